# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Resource binding (RFC 6120 §7), and the session request of RFC 3921, which does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from muccore.interfaces import ISession
from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.states import Row, State
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError, errorReply
from muccore.xmpp.rendering import Rendered, escapeAttribute, escapeText, withAddress
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

implements: Final = (
    Spec(3921, "XMPP: Instant Messaging and Presence", note="The session request, which does nothing.", series="RFC"),
)


@implementer(IStreamFeature)
class ResourceBinding:
    """The feature of resource binding."""

    stage = Stage.BINDING
    order = 100
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self) -> None:
        self.steps: Mapping[State, Row] = {State.AUTHENTICATED: {(ns.CLIENT, "iq"): (self._bind, State.BOUND)}}

    def isDone(self, session: ISession) -> bool:
        """A session has a resource."""
        return True

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        yield Element((ns.BIND, "bind"))

    @staticmethod
    def _bind(negotiation: Negotiation, iq: Element) -> None:
        request = iq.child("bind", ns.BIND)
        if request is None or iq.get("type") != "set":
            raise StreamError("not-authorized")
        resource = request.child("resource")
        try:
            if iq.get("id") is None:
                raise StanzaError("bad-request", text="an IQ must have an id")
            session = negotiation.bind(None if resource is None else resource.text())
        except StanzaError as e:
            negotiation.state = State.AUTHENTICATED
            negotiation.host.send(*withAddress(errorReply(iq, e)))
            negotiation.countFailure()
            return
        id, full = escapeAttribute(iq.attributes["id"]), escapeText(session.jid.full)
        result = f" id='{id}' type='result'><bind xmlns='{ns.BIND}'><jid>{full}</jid></bind></iq>"
        negotiation.host.send(Rendered(b"<iq", result.encode()), b"")
        negotiation.host.sessionBound(session)


@implementer(IStreamFeature)
class SessionRequest:
    """The feature of the session request."""

    stage = Stage.BINDING
    order = 200
    steps: Mapping[State, Row] = {}
    nonzas: Mapping[tuple[str, str], Any] = {}

    def isDone(self, session: ISession) -> bool:
        """A session has a resource."""
        return True

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        # COMPAT: clients of RFC 3921 request a session unless it is optional.
        element = Element((ns.SESSION, "session"))
        element.add("optional")
        yield element
