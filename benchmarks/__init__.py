# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{python -m benchmarks} starts a server, puts a load on it, and prints the CPU time and the memory that it used. See
C{docs/benchmarks.md}.
"""
