# -*- test-case-name: tests.routing.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The base class of handlers: wokkel's C{XMPPHandler} with tables of what it handles.

Of the server, a handler knows its C{parent} (L{muccore.interfaces.IDomain}) only. Its methods get C{(element, to)}: the
stanza and its parsed C{to}. They must not change the stanza, nor may the Deferred that they return: the domain makes
the error reply from it, and other handlers may be asked. Methods refuse by raising L{StanzaError}. A method for an IQ
returns the payload of the result: C{None} for none, an element, a list of elements, a Deferred or coroutine of one of
these, or L{ANSWERED} if it answers by itself. What other methods return is ignored, except that a Deferred may fail
with L{StanzaError}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.xish import domish
from wokkel import disco
from wokkel.iwokkel import IDisco
from wokkel.subprotocols import XMPPHandler
from zope.interface import implementer

from muccore.interfaces import IDomain
from muccore.interfaces.filters import FilterTable, IFilterHandler
from muccore.interfaces.handlers import (
    ANSWERED,
    ANY,
    BARE,
    FULL,
    HOST,
    NOT_HANDLED,
    AddressType,
    IQTable,
    ITableHandler,
    StanzaTable,
    answersAnyone,
    mayDecline,
)
from muccore.xmpp import jid
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.specs import Spec


@implementer(ITableHandler, IFilterHandler, IDisco)
class Handler(XMPPHandler):  # type: ignore[misc]
    """
    A handler with the tables of L{ITableHandler} and L{IFilterHandler}.

    @cvar streamFeatures: what it offers to the streams of a domain of accounts, as L{IStreamFeature}.
    @cvar roomExtensions: what it adds to the rooms of its domain, as L{muccore.muc.model.extension.RoomExtension}.
    @cvar implements: the texts that it follows.
    @cvar identities: what the domain is because of it, as C{(category, type, name)} (XEP-0030 §3.1).
    @cvar features: the namespaces that the domain supports because of it.
    @ivar parent: its domain; C{None} before it has one.
    """

    stanzas: StanzaTable = {}
    iqs: IQTable = {}
    outbound: FilterTable = {}
    inbound: FilterTable = {}
    redelivered: FilterTable = {}
    offline: FilterTable = {}
    streamFeatures: Sequence[Any] = ()
    roomExtensions: Sequence[Any] = ()
    implements: tuple[Spec, ...] = ()
    identities: tuple[tuple[str, str, str | None], ...] = ()
    features: tuple[str, ...] = ()

    parent: IDomain

    def reply(self, iq: Element, payload: domish.Element | None = None) -> None:
        """Send the result of an IQ now; its method then returns L{ANSWERED}."""
        answer = reply(iq, "result")
        if payload is not None:
            answer.children.append(payload)
        self.parent.send(answer)

    def replyDirectly(self, iq: Element, payload: Element | None = None) -> None:
        """
        Send the result of an IQ straight to its sender, before what its method sends from now on; the method then
        returns L{ANSWERED}.

        @param payload: may hold C{SerializedXML}, such as what was stored: it is sent as the bytes that it is, which
            only those parse who need elements.
        """
        answer = reply(iq, "result")
        if payload is not None:
            answer.children.append(payload)
        sender = iq.attributes["from"]
        self.parent.routeTo(jid.parse(sender)).deliver(Rendered.of(answer).withoutElement(), toAttribute(sender))

    def shutDown(self, final: bool) -> Deferred[None] | None:
        """
        Prepare for the end of the server. The returned Deferred is waited for.

        @param final: whether it ends for good, so that those who use the handler should be told, instead of restarting.
        """
        return None

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{wokkel.iwokkel.IDisco}: L{identities} and L{features}, for the domain itself."""
        if target.user or nodeIdentifier:
            return []
        return [
            *(disco.DiscoIdentity(*identity) for identity in self.identities),
            *map(disco.DiscoFeature, self.features),
        ]

    def getDiscoItems(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{wokkel.iwokkel.IDisco}: no items."""
        return []


__all__ = [
    "ANSWERED", "ANY", "BARE", "FULL", "HOST", "NOT_HANDLED", "AddressType", "Handler", "StanzaError",
    "answersAnyone", "mayDecline",
]
