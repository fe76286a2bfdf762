"""The tables of the embedded store, and the refusal of a file that a newer version wrote."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from saga.errors import NotReady, StoreUnavailable

SCHEMA_VERSION = 4

# `position` is AUTOINCREMENT: a number that was used once never names another message, so that a late
# acknowledgement deletes nothing but its own.
# `unprojected` names the processes whose log is ahead of their projection. A crash leaves it behind, and
# the next start makes these processes due at once: their incoming message was deleted with the append, so
# no redelivery would bring anyone to look at them.
_TABLES = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE events (
    process_id TEXT NOT NULL, first INTEGER NOT NULL, mark TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (process_id, first)
);
CREATE TABLE unprojected (
    process_id TEXT PRIMARY KEY, last INTEGER NOT NULL, orphaned INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE projections (
    process_id TEXT PRIMARY KEY, process_type TEXT NOT NULL, definition_hash TEXT NOT NULL,
    status TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, state_format INTEGER NOT NULL,
    labels TEXT NOT NULL, attention INTEGER NOT NULL, wake_at INTEGER, wake_for TEXT,
    started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, ended_at INTEGER,
    leased_until INTEGER, leased_wake_at INTEGER
);
CREATE INDEX projections_by_start ON projections (started_at DESC, process_id DESC);
CREATE INDEX projections_by_status ON projections (process_type, status);
CREATE INDEX projections_by_wake ON projections (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE definitions (
    hash TEXT PRIMARY KEY, process_type TEXT NOT NULL, text TEXT NOT NULL, registered_at INTEGER NOT NULL
);
CREATE TABLE current_definitions (process_type TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE messages (
    position INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL, message_id TEXT NOT NULL, correlation_id TEXT NOT NULL, kind TEXT NOT NULL,
    timestamp INTEGER NOT NULL, arrived_at INTEGER NOT NULL, app_id TEXT, headers TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX messages_by_queue ON messages (queue, position);
CREATE INDEX messages_by_id ON messages (message_id);
CREATE TABLE dead_letters (
    position INTEGER PRIMARY KEY, reason TEXT NOT NULL, detail TEXT NOT NULL, first_seen INTEGER NOT NULL,
    dead_at INTEGER NOT NULL, exchange TEXT NOT NULL, routing_key TEXT NOT NULL, message_id TEXT NOT NULL,
    app_id TEXT, headers TEXT NOT NULL, body BLOB NOT NULL
);
"""
# `position` is the order of the queue: a new one is greater than all that are there.
_SINCE_VERSION_2 = """
CREATE TABLE locks (
    key TEXT PRIMARY KEY, holder TEXT NOT NULL, asked_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX locks_by_holder ON locks (holder);
CREATE TABLE lock_queue (
    position INTEGER PRIMARY KEY, key TEXT NOT NULL, process_id TEXT NOT NULL, root_id TEXT NOT NULL,
    waits INTEGER NOT NULL, asked_at INTEGER NOT NULL, UNIQUE (key, process_id)
);
CREATE INDEX lock_queue_by_root ON lock_queue (root_id);
CREATE TABLE paused_types (process_type TEXT PRIMARY KEY) WITHOUT ROWID;
"""
# Start and id stand behind what is asked for: a page is read from an index in its order. The labels, which never
# change, stand beside the projections for that; triggers write them, so that no save can forget it.
_SINCE_VERSION_3 = """
DROP INDEX projections_by_status;
CREATE INDEX projections_by_status ON projections (status, started_at DESC, process_id DESC);
CREATE INDEX projections_by_type_and_status
    ON projections (process_type, status, started_at DESC, process_id DESC);
CREATE INDEX projections_of_attention ON projections (started_at DESC, process_id DESC) WHERE attention = 1;
CREATE TABLE projection_labels (
    key TEXT NOT NULL, value TEXT NOT NULL, started_at INTEGER NOT NULL, process_id TEXT NOT NULL,
    PRIMARY KEY (key, value, started_at DESC, process_id DESC)
) WITHOUT ROWID;
INSERT INTO projection_labels
    SELECT l.key, l.atom, p.started_at, p.process_id FROM projections p, json_each(p.labels) l;
CREATE TRIGGER projection_inserted AFTER INSERT ON projections BEGIN
    INSERT OR IGNORE INTO projection_labels
        SELECT key, atom, NEW.started_at, NEW.process_id FROM json_each(NEW.labels);
END;
CREATE TRIGGER projection_relabelled AFTER UPDATE OF labels, started_at ON projections
WHEN NEW.labels <> OLD.labels OR NEW.started_at <> OLD.started_at BEGIN
    DELETE FROM projection_labels WHERE started_at = OLD.started_at AND process_id = OLD.process_id
        AND (key, value) IN (SELECT key, atom FROM json_each(OLD.labels));
    INSERT OR IGNORE INTO projection_labels
        SELECT key, atom, NEW.started_at, NEW.process_id FROM json_each(NEW.labels);
END;
"""
_SINCE_VERSION_4 = """
CREATE TABLE deliveries (
    process_id TEXT NOT NULL, sequence INTEGER NOT NULL, host TEXT NOT NULL, due_at INTEGER, ended_at INTEGER,
    version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (process_id, sequence)
);
CREATE INDEX deliveries_by_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_end ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
"""
# What an older file lacks, by the version that wrote it.
_UPGRADES: Mapping[int, str] = {1: _SINCE_VERSION_2, 2: _SINCE_VERSION_3, 3: _SINCE_VERSION_4}
_STAMP = f"INSERT INTO schema_version VALUES ({SCHEMA_VERSION});"  # noqa: S608 - our own number


class NewerSchema(NotReady):
    """Say that a newer version of Batuta wrote this file."""

    code: ClassVar[str] = "newer-schema"

    def __init__(self, file: Path, version: int) -> None:
        super().__init__(
            f"{file} has schema {version}, and this version of Batuta knows {SCHEMA_VERSION} at most: "
            "upgrade Batuta, or name another folder by SAGA_DATA"
        )
        self.file = file
        self.version = version


def prepare(file: Path) -> None:
    """Make the file, or the tables that it lacks. Raises NewerSchema, StoreUnavailable."""
    try:
        connection = connect(file)
        try:
            _prepare(connection, file)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{file} can't be used as a store ({error}): see what it is") from error


def check(file: Path) -> None:
    """See that a file is there, with the tables of this version. Raises NewerSchema, StoreUnavailable."""
    if not file.is_file():
        raise StoreUnavailable(f"there is no embedded store {file}: name its folder by SAGA_DATA")
    try:
        connection = connect(file)
        try:
            row: tuple[int] | None = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{file} can't be used as a store ({error}): see what it is") from error
    version = row[0] if row is not None else 0
    if version > SCHEMA_VERSION:
        raise NewerSchema(file, version)
    if version < SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{file} has the older schema {version}: start the server once, which brings it up"
        )


def connect(file: Path) -> sqlite3.Connection:
    """Open a connection whose commits are on the disk when they return."""
    # The lanes of this store use a connection from one thread at a time, not always the one that made it.
    connection = sqlite3.connect(
        file, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=5
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    known = connection.execute("SELECT name FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    if known is None:
        # One transaction: a crash in the middle leaves an empty file, never half of the tables.
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} {' '.join(_UPGRADES.values())} {_STAMP} COMMIT;"
        )
        return
    row: tuple[int] | None = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    version = row[0] if row is not None else 0
    if version > SCHEMA_VERSION:
        raise NewerSchema(file, version)
    for old in range(version, SCHEMA_VERSION):
        stamp = f"UPDATE schema_version SET version = {old + 1};"  # noqa: S608 - our own number
        connection.executescript(f"BEGIN IMMEDIATE; {_UPGRADES[old]} {stamp} COMMIT;")
