# -*- test-case-name: tests.services.test_uptime -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The uptime of the server (XEP-0012 §5)."""

from __future__ import annotations

from muccore.routing.handler import HOST, Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class UptimeHandler(Handler):
    """Answers with the time since the server has started."""

    implements = (Spec(12, "Last Activity", "2.0", "The uptime of the server."),)
    features = (ns.LAST,)

    def connectionInitialized(self) -> None:
        """Note the time of the start."""
        super().connectionInitialized()
        self._start = self.parent.clock.seconds()

    def onUptime(self, element: Element, to: JID) -> Element:
        """Return the whole seconds."""
        seconds = max(0, int(self.parent.clock.seconds() - self._start))
        return Element((ns.LAST, "query"), None, {"seconds": str(seconds)})

    iqs = {("get", HOST, ns.LAST, "query"): onUptime}
