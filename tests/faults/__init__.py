# Copyright (c) The muccore authors. See LICENSE for details.
"""
Attacks, kills and crowds that take longer than a few seconds: C{make test-faults}, which C{.ci/run} runs too. Modules
here have no C{test_} in their names, so C{make test} leaves them out.
"""
