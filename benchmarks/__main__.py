# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{python -m benchmarks}."""

import signal
import sys

from benchmarks.command import main

if __name__ == "__main__":
    # SIGTERM has to end the server process, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
