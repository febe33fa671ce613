# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a server costs: C{python -m benchmarks} starts one, puts a load on it and tells what it used for that. See
C{docs/benchmarks.md}.
"""
