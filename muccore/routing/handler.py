# -*- test-case-name: tests.routing.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The shape of a handler: wokkel's C{XMPPHandler}, with tables of what it handles.

A handler sees its C{parent}, which is an L{muccore.interfaces.IDomain}, and nothing else of the server. Its methods
get C{(element, to)}: the stanza and its C{to}, parsed. The stanza stays the domain's until the method has returned and
the Deferred that it may have returned has fired: the error that answers it is made from it, and another handler may be
asked. A handler leaves it as it is and builds what it sends. Methods refuse by raising L{StanzaError}. A method for an
IQ returns what goes into the result: C{None} for nothing, an element or a list of them, a Deferred (or a coroutine) of
one of these, or L{ANSWERED} if it answers by itself. What the other methods return is ignored, except that a Deferred
may fail with L{StanzaError} later.
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
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.specs import Spec


@implementer(ITableHandler, IDisco)
class Handler(XMPPHandler):  # type: ignore[misc]
    """
    A handler with tables.

    @cvar stanzas: see L{ITableHandler.stanzas}.
    @cvar iqs: see L{ITableHandler.iqs}.
    @cvar implements: the texts that it follows.
    @cvar identities: what the domain is because of it, as C{(category, type, name)} (XEP-0030 §3.1).
    @cvar features: the namespaces that the domain supports because of it.
    @ivar parent: its domain; C{None} before it has one.
    """

    stanzas: StanzaTable = {}
    iqs: IQTable = {}
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

    def shutDown(self) -> Deferred[None] | None:
        """
        The server is about to stop: say goodbye to those whom this handler serves. Override it; what it returns is
        waited for.
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
        """See C{wokkel.iwokkel.IDisco}: nothing."""
        return []


__all__ = [
    "ANSWERED", "ANY", "BARE", "FULL", "HOST", "NOT_HANDLED", "AddressType", "Handler", "StanzaError",
    "answersAnyone", "mayDecline",
]
