# -*- test-case-name: tests.server.test_rlimits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The process's limit of open files, which bounds its connections."""

from __future__ import annotations

import resource
from typing import Any

SPARE = 256
"""Files open besides the connections of clients: listeners, databases, logs."""


def raiseFileLimit(connections: int, limits: Any = resource) -> int:
    """
    Raise the limit of open files to what a number of connections needs, as far as the system allows.

    @param connections: the clients that may be connected.
    @param limits: the module L{resource}, or a double of it.
    @return: the clients that can be connected, at least 1. What is open besides keeps L{SPARE}, or half of less.
    """
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    wanted = connections + SPARE
    if soft != limits.RLIM_INFINITY and soft < wanted:
        granted = wanted if hard == limits.RLIM_INFINITY else min(wanted, hard)
        limits.setrlimit(limits.RLIMIT_NOFILE, (granted, hard))
        return min(connections, max(1, granted - min(SPARE, granted // 2)))
    return connections
