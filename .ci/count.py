"""
Says in one line how many tests passed and how many failed, as trial counted them.

The status is 0 only if trial has finished, tests passed, and none failed.
"""

import re
import sys

_BAD = ("failures", "errors", "unexpectedSuccesses")


def count(log: str) -> tuple[int, int]:
    """
    Read what trial has written.

    @return: how many passed, and how many failed. Without a result of trial, that is one failure.
    """
    results = re.findall(r"^(?:PASSED|FAILED)(?: \(([^()]*)\))?$", log, re.MULTILINE)
    if not results:
        return 0, 1
    numbers = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", results[-1])}
    return numbers.get("successes", 0), sum(numbers.get(name, 0) for name in _BAD)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        passed, failed = count(file.read())
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(not passed or failed > 0)
