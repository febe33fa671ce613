# -*- test-case-name: tests.server.test_newaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stream feature of in-band registration (XEP-0077 §7, XEP-0445 §4): IQs about it before the log-in, under TLS only.
Any other stanza ends the stream, as without it (RFC 6120 §4.9.3.12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import IRegistrar, RegistrationState
from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.states import Row, State
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError, StreamError, errorElement
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.rendering import withAddress
from muccore.xmpp.stanzas import iqProblem

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

_PAYLOADS: Final = frozenset([(ns.REGISTER, "query"), (ns.PARS, "preauth")])


@implementer(IStreamFeature)
class InBandRegistration:
    """The feature of one host, which the registrar offers something at."""

    stage = Stage.LOGIN
    order = 300
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, registrar: IRegistrar, domain: str) -> None:
        self._registrar = registrar
        self._domain = domain
        self.steps: Mapping[State, Row] = {State.SECURED: {(ns.CLIENT, "iq"): (self._received, State.CHECKING)}}

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        if offering.secure:
            if self._registrar.offersTokens:
                yield Element((ns.REGISTER_TOKEN, "register"))
            yield Element((ns.REGISTER_FEATURE, "register"))

    def _received(self, negotiation: Negotiation, iq: Element) -> None:
        if (
            iq.get("type") not in ("get", "set")
            or iq.get("id") is None
            or not self._isToHost(iq.attributes.get("to"))
            or not any((child.uri, child.name) in _PAYLOADS for child in iq.childElements())
        ):
            raise StreamError("not-authorized")
        if negotiation.registration is None:
            negotiation.registration = RegistrationState()
        answering = Deferred.fromCoroutine(self._answer(negotiation, iq, negotiation.registration))
        if not answering.called:
            # As while a password is checked: what the client sends meanwhile waits.
            negotiation.host.pauseParsing()
            answering.addCallback(lambda _: negotiation.host.resumeParsing())
        answering.addErrback(negotiation.host.internalError)

    def _isToHost(self, to: str | None) -> bool:
        try:
            return to is None or jid.parse(to).full == self._domain
        except InvalidJID:
            return False

    async def _answer(self, negotiation: Negotiation, iq: Element, state: RegistrationState) -> None:
        refused = False
        try:
            problem = iqProblem(iq)
            if problem is not None:
                raise StanzaError("bad-request", text=problem)
            payload = await self._registrar.answer(iq, negotiation.host.address, state)
        except StanzaError as e:
            # Without the request, which has the password.
            answer, refused = reply(iq, "error"), True
            answer.children.append(errorElement(e))
        else:
            answer = reply(iq, "result")
            if payload is not None:
                answer.children.append(payload)
        if negotiation.state is not State.CHECKING:
            # The stream has ended meanwhile.
            return
        negotiation.state = State.SECURED
        answer.attributes["from"] = self._domain
        answer.attributes.pop("to", None)
        negotiation.host.send(*withAddress(answer))
        if refused:
            negotiation.countFailure()
