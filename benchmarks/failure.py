# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What ends a benchmark before its time."""


class BenchmarkFailed(Exception):
    """The server did not do what it has to, so that there is nothing to measure; C{str()} of it says what."""
