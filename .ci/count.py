"""
Print in one line how many tests passed and how many failed in runs of trial, whose logs are the arguments.

The status is 0 only if every run finished, tests passed in each, and none failed.
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


def main(paths: list[str]) -> bool:
    """
    Count the runs together and print the line.

    @return: whether all is well.
    """
    counts = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            counts.append(count(file.read()))
    passed = sum(each for each, _ in counts)
    failed = sum(each for _, each in counts)
    print(f"{passed} passed, {failed} failed", flush=True)
    return not failed and all(each for each, _ in counts)


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
