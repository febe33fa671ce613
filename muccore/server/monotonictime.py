# -*- test-case-name: tests.server.test_monotonictime -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A reactor whose timers do not depend on the time of day.

Twisted's reactors time by the time of day: when it is set back, no timer fires until it is as late as before; not even
those that flush what was written. When it is set forward, everything times out.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.base import DelayedCall, ReactorBase


def useMonotonicTime(reactor: Any) -> None:
    """
    Let a reactor, and the calls that it has delayed already, count the seconds of a clock that is never set.

    Private parts of Twisted in use: that the methods of L{ReactorBase} call C{self.seconds}, and C{DelayedCall.time}.

    @param reactor: one with a clock of its own, such as that of asyncio or of tests, stays as it is, and so does one
        that has been changed already.
    """
    if not isinstance(reactor, ReactorBase) or reactor.seconds is not ReactorBase.seconds:
        return
    before = reactor.seconds()
    reactor.seconds = time.monotonic
    offset = reactor.seconds() - before
    for call in reactor.getDelayedCalls():
        assert isinstance(call, DelayedCall)
        # The order of all calls stays.
        call.time += offset
        call.seconds = reactor.seconds
