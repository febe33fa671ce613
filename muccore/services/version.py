# -*- test-case-name: tests.services.test_version -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Software version (XEP-0092)."""

from __future__ import annotations

from muccore import __version__
from muccore.routing.handler import HOST, Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class VersionHandler(Handler):
    """Answers with the name and version of the software."""

    implements = (Spec(92, "Software Version", "1.1", "The operating system is not disclosed (§5)."),)
    features = (ns.VERSION,)

    def __init__(self, name: str = "muccore", version: str = __version__) -> None:
        super().__init__()
        self._fields = [("name", name), ("version", version)]

    def onVersion(self, element: Element, to: JID) -> Element:
        """XEP-0092 §2"""
        query = Element((ns.VERSION, "query"))
        for name, text in self._fields:
            query.add(name, text=text)
        return query

    iqs = {("get", HOST, ns.VERSION, "query"): onVersion}
