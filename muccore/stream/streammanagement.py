# -*- test-case-name: tests.stream.test_streammanagement -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stream management on the wire (XEP-0198): the feature and its nonzas. The counters and the queue are the session's
(L{muccore.interfaces.IStreamManagement}).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from muccore.interfaces import InlineFeature, ISession, IStreamFeature, Offering, ResumptionFailed, Stage
from muccore.stream.states import Row, State
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

implements: Final = (Spec(198, "Stream Management", "1.6.3"),)

_UNSIGNED_INT: Final = re.compile(r"\s*\+?0*([0-9]{1,10})\s*", re.ASCII)
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, None: False}
_MODULUS: Final = 2**32


@implementer(IStreamFeature)
class StreamManagementFeature:
    """The feature of stream management."""

    stage = Stage.BINDING
    order = 300

    def __init__(self) -> None:
        uri = ns.STREAM_MANAGEMENT
        self.nonzas: Mapping[tuple[str, str], Any] = {
            (uri, "enable"): self._enable,
            (uri, "r"): self._answer,
            (uri, "a"): self._acknowledge,
            (uri, "resume"): self._refuse,
        }
        self.inline = InlineFeature(uri, {(uri, "enable"): enable})
        # The order of log-in, binding and stream management is enforced, by an error that the client may survive.
        self.steps: dict[State, Row] = {
            state: dict.fromkeys(self.nonzas, (self._refuseEarly, state))
            for state in (State.UNSECURED, State.SECURED, State.AUTHENTICATING, State.AUTHENTICATED)
        }
        self.steps[State.AUTHENTICATED][uri, "resume"] = (self._resume, State.BOUND)

    def isDone(self, session: ISession) -> bool:
        """Whether a session has enabled it: xmpp.js enables it whenever it is offered."""
        return session.management is not None

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        yield Element((ns.STREAM_MANAGEMENT, "sm"))

    # Before a resource is bound

    @staticmethod
    def _refuseEarly(negotiation: Negotiation, element: Element) -> None:
        negotiation.host.sendNonza(_failed("unexpected-request"))
        negotiation.countFailure()

    @staticmethod
    def _resume(negotiation: Negotiation, element: Element) -> None:
        session, answer = resume(negotiation, element)
        negotiation.host.sendNonza(answer)
        if session is None:
            # The client may bind a resource instead.
            negotiation.state = State.AUTHENTICATED
            negotiation.countFailure()
        else:
            sessionResumed(negotiation, session)

    # With a session

    @staticmethod
    def _enable(session: ISession, element: Element) -> None:
        session.stream.sendNonza(enable(session, element))

    @staticmethod
    def _answer(session: ISession, element: Element) -> None:
        management = session.management
        if management is None:
            session.stream.sendNonza(_failed("unexpected-request"))
        else:
            session.stream.sendNonza(_nonza("a", h=str(management.handled % _MODULUS)))

    @staticmethod
    def _acknowledge(session: ISession, element: Element) -> None:
        management, handled = session.management, _parseCounter(element)
        if management is None:
            session.stream.sendNonza(_failed("unexpected-request"))
        elif handled is None:
            session.stream.sendNonza(_failed("bad-request"))
        else:
            management.acknowledge(handled)

    @staticmethod
    def _refuse(session: ISession, element: Element) -> None:
        session.stream.sendNonza(_failed("unexpected-request"))


def enable(session: ISession, element: Element) -> bytes:
    """Enable stream management by an C{<enable/>}; return the rendered answer."""
    resumable = _BOOLEANS.get(element.get("resume"))
    maximum = _parseUnsigned(element.get("max"))
    if session.management is not None:
        return _failed("unexpected-request")
    if resumable is None or maximum == 0 or (maximum is None and element.get("max") is not None):
        return _failed("bad-request")
    management = session.enableManagement(resumable, maximum)
    attributes = {}
    if management.id is not None:
        attributes = {"id": management.id, "resume": "true", "max": str(ceil(management.holdTime))}
    return _nonza("enabled", **attributes)


def resume(negotiation: Negotiation, element: Element) -> tuple[ISession | None, bytes]:
    """
    Resume a session by a C{<resume/>}.

    @return: the session, for L{sessionResumed}, or C{None} if that fails; and the rendered answer, to be sent before.
    @raise StreamError: see L{ISessionBinder.resume<muccore.interfaces.ISessionBinder.resume>}.
    """
    id, handled = element.get("previd"), _parseCounter(element)
    try:
        if id is None or handled is None:
            raise ResumptionFailed("bad-request")
        session = negotiation.resume(id, handled)
    except ResumptionFailed as e:
        return None, _failed(e.condition, e.handled)
    return session, _nonza("resumed", previd=id, h=str(session.management.handled % _MODULUS))


def sessionResumed(negotiation: Negotiation, session: ISession) -> None:
    """Go on with a session that was resumed: send what its client has missed."""
    negotiation.host.sessionBound(session, resumed=True)
    session.management.attach(session.stream)


def _parseUnsigned(text: str | None) -> int | None:
    """Parse an C{xs:unsignedInt}; C{None} if it is none."""
    match = None if text is None else _UNSIGNED_INT.fullmatch(text)
    number = _MODULUS if match is None else int(match[1])
    return number if number < _MODULUS else None


def _parseCounter(element: Element) -> int | None:
    return _parseUnsigned(element.get("h"))


def _nonza(name: str, **attributes: str) -> bytes:
    return render(Element((ns.STREAM_MANAGEMENT, name), None, dict(attributes)))


def _failed(condition: str, handled: int | None = None) -> bytes:
    element = Element((ns.STREAM_MANAGEMENT, "failed"))
    if handled is not None:
        element.attributes["h"] = str(handled % _MODULUS)
    element.add(condition, ns.STANZA_ERRORS)
    return render(element)
