"""Run a `saga` command, and say how long it took and how much memory it had at most.

Reads its words as JSON from its input; they are followed by what the command said.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence


def main(words: Sequence[str]) -> None:
    """Run it."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "saga", *words], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"saga {' '.join(words)} ended with {done.returncode}: {done.stdout[:2_000]} {done.stderr}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mib": usage.ru_maxrss / 1024,
        "said": done.stderr,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(json.loads(sys.stdin.read())["words"])
