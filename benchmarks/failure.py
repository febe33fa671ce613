# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The exception that ends a benchmark."""


class BenchmarkFailed(Exception):
    """The server or the load failed, and there is no result; C{str()} of it says why."""
