# Copyright (c) The muccore authors. See LICENSE for details.
"""Turns of a reactor, one at a time: C{Clock.advance} also makes the calls that its calls request for the same time."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock


def turn(clock: Clock, seconds: float = 0) -> None:
    """Let time pass, and make the calls that are due, without those that they request."""
    clock.rightNow += seconds
    due: list[Any] = [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]
    for call in sorted(due, key=lambda each: each.getTime()):
        if call.active():
            function, arguments, named = call.func, call.args, call.kw
            call.cancel()
            function(*arguments, **named)
