"""The limits of one process; each is stated in docs/reference/limits.md and enforced here or at the door."""

FORWARD_EVENTS_MAX = 8_000
EVENTS_MAX = 10_000
PROCESS_BYTES_MAX = 32 * 1024 * 1024
# What the commands of one transition may hold, so that with its events and its cause it fits a document.
COMMANDS_BYTES_MAX = 5 * 1024 * 1024

# What one mapping may give, as long as what a participant may answer.
MAPPED_BYTES_MAX = 1024 * 1024

# How many commands of one process may wait for an answer at once.
IN_FLIGHT_MAX = 1_000
LOCK_KEY_MAX = 512
# How many rejected requests of operators a log keeps; later ones are only counted.
REJECTIONS_MAX = 100

# Progress moves a time-out up to this many times its length, and is recorded this often within one.
PROGRESS_FACTOR = 10
PROGRESS_PARTS = 4

# Reasons of a suspension that no reply can settle: they end by an operator's word.
EVENT_LIMIT = "event_limit"
UNDECIDABLE = "stuck"
ENDS_BY_OPERATOR = frozenset({EVENT_LIMIT, UNDECIDABLE})
