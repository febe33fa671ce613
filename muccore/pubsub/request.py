# -*- test-case-name: tests.pubsub.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A request to a publish-subscribe service."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from muccore.pubsub.model.errors import nodeRequired
from muccore.xmpp import dataforms, jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request.

    @ivar iq: the whole stanza.
    @ivar service: the address of the service.
    @ivar sender: who has sent it.
    @ivar pubsub: its payload.
    @ivar action: what is requested, such as C{<publish/>}.
    """

    iq: Element
    service: str
    sender: JID
    pubsub: Element
    action: Element

    @classmethod
    def read(cls, iq: Element, service: str, known: Container[tuple[str, str | None, str]]) -> Request:
        """
        Read a request: of several elements, the first one that is one counts.

        @param known: the requests that there are, by type, namespace and name.
        @raise StanzaError: C{bad-request} if nothing is requested, C{feature-not-implemented} for what is not known.
        """
        pubsub = next(iq.childElements())
        type, actions = iq.attributes["type"], list(pubsub.childElements())
        if not actions:
            raise StanzaError("bad-request", text="nothing is requested")
        for action in actions:
            if (type, action.uri, action.name) in known:
                return cls(iq, service, jid.parse(iq.attributes["from"]), pubsub, action)
        raise StanzaError("feature-not-implemented")

    @property
    def bare(self) -> str:
        """The bare JID of the sender."""
        return self.sender.bare

    @property
    def node(self) -> str:
        """The name of the node; raises L{StanzaError} with C{nodeid-required} if there is none."""
        self.checkNode()
        return self.action.attributes["node"]

    def checkNode(self) -> None:
        """@raise StanzaError: with C{nodeid-required} if there is no name of a node."""
        if not self.action.get("node"):
            raise nodeRequired()

    def companion(self, name: str) -> Element | None:
        """
        What accompanies the action, such as C{<configure/>}; C{None} if it is missing.

        @raise StanzaError: C{bad-request} if it precedes the action, or names a node or a JID (§6.3.7, §8.1.3).
        """
        found = self.pubsub.child(name)
        if found is None:
            return None
        children = self.pubsub.children
        if children.index(found) < children.index(self.action):
            raise StanzaError("bad-request", text=f"<{name}/> must follow <{self.action.name}/>")
        if "node" in found.attributes or "jid" in found.attributes:
            raise StanzaError("bad-request", text=f"<{name}/> must name neither a node nor a JID here")
        return found

    def form(self, name: str) -> Element | None:
        """The form in a L{companion}, or C{None}."""
        found = self.companion(name)
        return None if found is None else dataforms.find(found)
