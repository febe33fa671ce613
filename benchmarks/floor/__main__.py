# -*- test-case-name: tests.test_floorbenchmark -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{python -m benchmarks.floor}."""

import signal
import sys

from benchmarks.floor.command import main

if __name__ == "__main__":
    # SIGTERM has to end the servers, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
