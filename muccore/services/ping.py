# -*- test-case-name: tests.services.test_ping -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""XMPP ping (XEP-0199)."""

from __future__ import annotations

from muccore.routing.handler import BARE, HOST, Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class PingHandler(Handler):
    """Answers pings of the domain."""

    implements = (Spec(199, "XMPP Ping", "2.0.1", "The server answers pings."),)
    features = (ns.PING,)

    def onPing(self, element: Element, to: JID) -> None:
        """XEP-0199 §4.2"""

    iqs = {("get", HOST, ns.PING, "ping"): onPing}


class AccountPingHandler(PingHandler):
    """Answers pings of the domain, and of an account by its owner: a client may omit C{to} (XEP-0199 §4.2)."""

    iqs = {**PingHandler.iqs, ("get", BARE, ns.PING, "ping"): PingHandler.onPing}
