# -*- test-case-name: tests.log.test_logger -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Twisted's logger with a threshold: an event below it costs one comparison."""

from __future__ import annotations

from typing import Any

from constantly import NamedConstant
from twisted.logger import Logger as _Logger
from twisted.logger import LogLevel


class Logger(_Logger):
    """A logger that drops events below L{threshold}, which is set for the process by C{[server] log_level}."""

    threshold: NamedConstant = LogLevel.info

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: object) -> None:
        """See C{twisted.logger.Logger.emit}."""
        if level >= Logger.threshold:
            super().emit(level, format, **kwargs)


def setThreshold(name: str) -> None:
    """Set the lowest level that is logged: C{debug}, C{info}, C{warn}, C{error} or C{critical}."""
    level: Any = LogLevel.levelWithName(name)
    Logger.threshold = level
