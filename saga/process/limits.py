"""The limits of one process; each is stated in docs/reference/limits.md and enforced here or at the door."""

FORWARD_EVENTS_MAX = 8_000
EVENTS_MAX = 10_000
PROCESS_BYTES_MAX = 32 * 1024 * 1024
# What the commands of one transition may hold, so that with its events and its cause it fits a document.
COMMANDS_BYTES_MAX = 5 * 1024 * 1024

# Progress moves a time-out up to this many times its length, and is recorded this often within one.
PROGRESS_FACTOR = 10
PROGRESS_PARTS = 4
