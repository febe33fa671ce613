# -*- test-case-name: tests.services.test_time -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Entity time (XEP-0202)."""

from __future__ import annotations

import time
from collections.abc import Callable

from muccore.routing.handler import HOST, Handler
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class TimeHandler(Handler):
    """Answers with the time in UTC; the server's time zone is not disclosed."""

    implements = (Spec(202, "Entity Time", "2.0", "The offset from UTC is always zero."),)
    features = (ns.TIME,)

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """@param now: the seconds since the epoch."""
        super().__init__()
        self._now = now

    def onTime(self, element: Element, to: JID) -> Element:
        """XEP-0202 §2"""
        answer = Element((ns.TIME, "time"))
        answer.add("tzo", text="+00:00")
        answer.add("utc", text=stamp(self._now()))
        return answer

    iqs = {("get", HOST, ns.TIME, "time"): onTime}
