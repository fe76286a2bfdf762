"""The failures that a participant's own code speaks of."""

import math


class BusinessFailure(Exception):  # noqa: N818 - the word of the field; it is an answer, no fault of the code
    """Raise it in a handler to say that the step failed and that nothing happened.

    With `retryable` the orchestrator may try again, not before `retry_after` seconds if given. It is for
    failures after which the world is as before; where something may have happened, let the exception out.
    """

    def __init__(
        self, code: str, message: str = "", *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        if not code:
            raise ValueError("a business failure needs a code, such as 'card_declined'")
        if retry_after is not None and not (math.isfinite(retry_after) and retry_after >= 0):
            raise ValueError(f"retry_after is {retry_after}: it must be a number of seconds, 0 or more")
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
