# Copyright (c) The muccore authors. See LICENSE for details.
"""A publish-subscribe service with one node of items without payload (XEP-0060), as a handler at its own domain."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muccore.routing.handler import HOST, Handler, StanzaError
from muccore.xmpp import ns, rsm
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID

DOMAIN = "rtbl.localhost"
NODE = "muc_bans_sha256"


class NodeService(Handler):
    """
    The service.

    @ivar items: the ids of the items, in order.
    @ivar subscribers: who has subscribed.
    @ivar pageSize: the maximum of items on a page.
    @ivar paged: whether it has pages.
    @ivar repeats: whether it sends the first page, whatever is requested.
    @ivar broken: whether requests fail.
    @ivar waiting: requests for items wait for this.
    @ivar requests: the number of requests for items.
    """

    def __init__(self, *items: str) -> None:
        super().__init__()
        self.items = list(items)
        self.subscribers: list[str] = []
        self.pageSize = 100
        self.paged = True
        self.repeats = False
        self.broken = False
        self.waiting: Deferred[None] | None = None
        self.requests = 0

    def onSet(self, iq: Element, to: JID) -> Element:
        """Subscribe."""
        self._check()
        [wanted] = next(iq.childElements()).childElements()
        assert (wanted.name, wanted.get("node")) == ("subscribe", NODE)
        self.subscribers.append(wanted.attributes["jid"])
        answer = Element((ns.PUBSUB, "pubsub"))
        answer.add("subscription", node=NODE, jid=wanted.attributes["jid"], subscription="subscribed")
        return answer

    def onGet(self, iq: Element, to: JID) -> Any:
        """Send a page of items."""
        self._check()
        self.requests += 1
        pubsub = next(iq.childElements())
        page = rsm.PageRequest() if self.repeats else rsm.parse(pubsub) or rsm.PageRequest()
        _, found = rsm.select(page, self.items, min(page.limit or self.pageSize, self.pageSize))
        answer = Element((ns.PUBSUB, "pubsub"))
        items = answer.add("items", node=NODE)
        for id in found:
            items.add("item", id=id)
        if self.paged:
            first, last = (found[0], found[-1]) if found else (None, None)
            answer.children.append(rsm.render(first, last, None, len(self.items)))
        return answer if self.waiting is None else self.waiting.addCallback(lambda _: answer)

    def _check(self) -> None:
        if self.broken:
            raise StanzaError("remote-server-timeout")

    def notify(self, inside: str, to: str, type: str = "headline", **attributes: str) -> None:
        """Send an event with a child of a name, and children of that by C{name:id}."""
        event = stanza("message", type, from_=DOMAIN, to=to)
        name, *children = inside.split()
        items = event.add("event", ns.PUBSUB_EVENT).add(name, **{"node": NODE, **attributes})
        for child in children:
            kind, _, id = child.partition(":")
            items.add(kind, id=id)
        self.send(event)

    iqs = {("set", HOST, ns.PUBSUB, "pubsub"): onSet, ("get", HOST, ns.PUBSUB, "pubsub"): onGet}
