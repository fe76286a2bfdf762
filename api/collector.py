"""Python's collector of cycles, for processes that make very many values and no cycles."""

import gc


def spare_the_collector() -> None:
    """Look for cycles rarely, and never among what is loaded: a message leaves none behind.

    With Python's own thresholds the search took a tenth of a coordinator's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
