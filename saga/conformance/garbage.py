"""What is no command: everything that a queue or an address gets to see one day."""

_DEEP = 20_000
_BIG_BYTES = 2 * 1024 * 1024

GARBAGE: tuple[tuple[str, bytes], ...] = (
    ("an empty body", b""),
    ("text that is not JSON", b"charge 12 EUR, please {"),
    ("bytes that are not UTF-8", b'{"command_id": "\xff\xfe"}'),
    ("JSON that is no object", b'["command_id"]'),
    ("an object without a command_id", b"{}"),
    ("a command_id that is a number", b'{"command_id": 7, "kind": "action"}'),
    ("very deep JSON", b"[" * _DEEP + b"]" * _DEEP),
    ("two megabytes", b'{"padding": "' + b"x" * _BIG_BYTES + b'"}'),
)
