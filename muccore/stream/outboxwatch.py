# -*- test-case-name: tests.stream.test_outboxwatch -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a stream does about what its client does not read: nothing more is asked for meanwhile, and a client that takes
nothing at all is told so and ended (docs/design/0022-outboxes.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from muccore.net.timingwheel import TICK
from muccore.stream.flowcontrol import FlowControl
from muccore.xmpp.errors import StreamError


class OutboxWatch(FlowControl):
    """
    The part of a stream that watches its outbox; an L{OutboxOwner<muccore.net.outbox.OutboxOwner>}.

    @ivar _congested: whether the client has much to read, and is not read meanwhile.
    @ivar _progress: what its connection had sent when it was looked at last; -1 if nothing waited.
    @ivar _stalledSince: the tick in which it had sent that first.
    """

    if not TYPE_CHECKING:
        # See FlowControl.
        __slots__ = ()
    else:
        _progress: int
        _stalledSince: int

    def outboxFilled(self) -> None:
        """See L{OutboxOwner<muccore.net.outbox.OutboxOwner>}."""
        self._congested = True
        self._updateReading()

    def outboxDrained(self) -> None:
        """See L{OutboxOwner<muccore.net.outbox.OutboxOwner>}. This may be inside a write."""
        self._congested = False
        self.hold(0)

    def outboxExceeded(self, condition: str, text: str) -> None:
        """See L{OutboxOwner<muccore.net.outbox.OutboxOwner>}."""
        if self._ended:
            self.transport.abortConnection()
        else:
            self._finish(StreamError(condition, f"{text[0].upper()}{text[1:]}."), final=False)

    def checkStalled(self, tick: int) -> int:
        """
        End the stream if its client has taken nothing for too long, though something waits.

        @return: ticks until it is to be checked again; 0 if it has ended.
        """
        limit, transport = math.ceil(self.factory.settings.stallTimeout / TICK), self.transport
        if not transport.isWaiting():
            self._progress = -1
        elif transport.progress != self._progress:
            self._progress, self._stalledSince = transport.progress, tick
        elif tick - self._stalledSince >= limit:
            transport.dropOutbox()
            self._finish(StreamError("connection-timeout", "Nothing was read for too long."), final=False)
            return 0
        else:
            return limit - (tick - self._stalledSince)
        return limit
