# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{python -m benchmarks.floor} compares the server with C programs that make the same system calls and little else, in
turns in one run. See C{docs/benchmarks.md}.
"""
