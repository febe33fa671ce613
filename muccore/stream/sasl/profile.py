# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The SASL profile of RFC 6120 §6, with XEP-0440.

A profile puts the exchanges of L{muccore.stream.login} on the wire: it is a stream feature, and an
L{ILoginProfile<muccore.stream.login.ILoginProfile>}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.sasl.elements import decodeData, renderData, renderFailure
from muccore.stream.sasl.exchange import Challenge, SASLFailure, Success
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import REQUIRED
from muccore.stream.states import Row, State
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

implements: Final = (Spec(440, "SASL Channel-Binding Type Capability", "1.0.0"),)

_AUTH: Final = (ns.SASL, "auth")
_RESPONSE: Final = (ns.SASL, "response")
_ABORT: Final = (ns.SASL, "abort")


@implementer(IStreamFeature)
class SASLProfile:
    """The feature of SASL, with which a new stream begins after the log-in."""

    stage = Stage.LOGIN
    order = 200
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, sasl: SASL, tlsMode: str) -> None:
        self._sasl = sasl
        self._tlsRequired = tlsMode == REQUIRED
        self.steps: Mapping[State, Row] = {}
        for state in (State.UNSECURED, State.SECURED):
            unexpected = (self._unexpected, state)
            row: Row = {_AUTH: (self._auth, State.CHECKING), _RESPONSE: unexpected, _ABORT: (self._abort, state)}
            self.steps[state] = row
        self.steps[State.AUTHENTICATING] = {
            _AUTH: (self._unexpected, State.AUTHENTICATING),
            _RESPONSE: (self._respond, State.CHECKING),
            _ABORT: (self._abort, State.AUTHENTICATING),
        }

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        secure, bindings = offering
        if self._tlsRequired and not secure:
            return
        names = self._sasl.mechanisms(secure, bindings)
        if names:
            mechanisms = Element((ns.SASL, "mechanisms"))
            for name in names:
                mechanisms.add("mechanism", None, name)
            yield mechanisms
        types = self._sasl.bindingTypes(secure, bindings)
        if types:
            announced = Element((ns.SASL_CHANNEL_BINDING, "sasl-channel-binding"))
            for type in types:
                announced.add("channel-binding", type=type)
            yield announced

    # Steps

    def _auth(self, negotiation: Negotiation, element: Element) -> None:
        login = negotiation.login
        login.mechanism = element.attributes.get("mechanism", "")
        try:
            if self._tlsRequired and not negotiation.secure:
                raise SASLFailure("encryption-required")
            initial = decodeData(element)
            bindings = negotiation.host.bindings()
            exchange = self._sasl.begin(login.mechanism, negotiation.secure, bindings, login.attempt)
        except SASLFailure as e:
            login.fail(negotiation, self, e)
        else:
            login.begin(negotiation, self, exchange, initial)

    def _respond(self, negotiation: Negotiation, element: Element) -> None:
        try:
            data = decodeData(element) or b""
        except SASLFailure as e:
            negotiation.login.fail(negotiation, self, e)
        else:
            negotiation.login.respond(negotiation, self, data)

    def _abort(self, negotiation: Negotiation, element: Element) -> None:
        negotiation.login.fail(negotiation, self, SASLFailure("aborted"))

    def _unexpected(self, negotiation: Negotiation, element: Element) -> None:
        negotiation.login.fail(negotiation, self, SASLFailure("malformed-request", "This element is not expected now."))

    # ILoginProfile

    def sendChallenge(self, negotiation: Negotiation, challenge: Challenge) -> None:
        """See L{ILoginProfile.sendChallenge<muccore.stream.login.ILoginProfile.sendChallenge>}."""
        negotiation.state = State.AUTHENTICATING
        negotiation.host.sendNonza(renderData("challenge", challenge.data))

    def sendFailure(self, negotiation: Negotiation, error: SASLFailure) -> None:
        """See L{ILoginProfile.sendFailure<muccore.stream.login.ILoginProfile.sendFailure>}."""
        negotiation.host.sendNonza(renderFailure(error))

    def sendSuccess(self, negotiation: Negotiation, account: JID, success: Success) -> None:
        """See L{ILoginProfile.sendSuccess<muccore.stream.login.ILoginProfile.sendSuccess>}."""
        negotiation.authenticated(account)
        negotiation.state = State.RESTARTING
        negotiation.host.sendNonza(renderData("success", success.data))
        negotiation.beginStream()
        negotiation.host.restartStream()
