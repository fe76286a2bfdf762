"""The limits of one process; each is stated in docs/reference/limits.md and enforced here or at the door."""

from saga.messages.strict_json import DEFAULT_LIMITS, JsonLimits

FORWARD_EVENTS_MAX = 8_000
EVENTS_MAX = 10_000
# What is kept free beside the events of the way there and back: for retries, and for what people ask.
SPARE_EVENTS = 500
# Up to here a log has room for the way back whatever happened, as each undo has two events before it; only a
# list that is about to begin may need more.
ROOMY_EVENTS_MAX = 4_500
PROCESS_BYTES_MAX = 32 * 1024 * 1024
# What the commands of one transition may hold, so that with its events and its cause it fits a document.
COMMANDS_BYTES_MAX = 5 * 1024 * 1024

# What one mapping may give, as long as what a participant may answer.
MAPPED_BYTES_MAX = 1024 * 1024

# What the parameters of a step's process may be, so that its start passes the door together with what it is
# wrapped in.
CHILD_LIMITS = JsonLimits(bytes_max=960 * 1024, depth_max=DEFAULT_LIMITS.depth_max - 1)

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
