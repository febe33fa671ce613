# -*- test-case-name: tests.server.test_rlimits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How many files, and so how many connections, the process may have open."""

from __future__ import annotations

import resource
from typing import Any

SPARE = 256
"""What the process opens besides the connections of clients: listeners, databases, logs."""


def raiseFileLimit(connections: int, limits: Any = resource) -> int:
    """
    Let the process open as many files as that many connections need, as far as the system allows it.

    @param connections: how many clients shall be able to be connected.
    @param limits: has C{getrlimit} and C{setrlimit}.
    @return: how many can be.
    """
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    wanted = connections + SPARE
    if soft != limits.RLIM_INFINITY and soft < wanted:
        granted = wanted if hard == limits.RLIM_INFINITY else min(wanted, hard)
        limits.setrlimit(limits.RLIMIT_NOFILE, (granted, hard))
        return min(connections, max(0, granted - SPARE))
    return connections
