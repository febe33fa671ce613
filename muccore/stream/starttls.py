# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""STARTTLS (RFC 6120 §5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.states import Row, State
from muccore.xmpp import ns
from muccore.xmpp.element import Element

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

REQUIRED: Final = "required"
"""TLS mode: log-in only under TLS."""

OPTIONAL: Final = "optional"
"""TLS mode: log-in with or without TLS."""

OFF: Final = "off"
"""TLS mode: no STARTTLS."""

_STARTTLS: Final = (ns.TLS, "starttls")


@implementer(IStreamFeature)
class StartTLS:
    """The feature; C{mode} is L{REQUIRED}, L{OPTIONAL} or L{OFF}."""

    stage = Stage.LOGIN
    order = 100
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, mode: str) -> None:
        self.mode = mode
        refuse = (self._refuse, State.CLOSED)
        self.steps: Mapping[State, Row] = {
            State.UNSECURED: {_STARTTLS: refuse if mode == OFF else (self._proceed, State.HANDSHAKE)},
            State.SECURED: {_STARTTLS: refuse},
            State.AUTHENTICATING: {_STARTTLS: refuse},
            State.AUTHENTICATED: {_STARTTLS: refuse},
        }

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        if not offering.secure and self.mode != OFF:
            element = Element((ns.TLS, "starttls"))
            if self.mode == REQUIRED:
                element.add("required")
            yield element

    @staticmethod
    def _proceed(negotiation: Negotiation, element: Element) -> None:
        negotiation.host.sendNonza(f"<proceed xmlns='{ns.TLS}'/>".encode())
        negotiation.beginStream()
        negotiation.secure = True
        negotiation.host.startTLS()

    @staticmethod
    def _refuse(negotiation: Negotiation, element: Element) -> None:
        negotiation.host.sendNonza(f"<failure xmlns='{ns.TLS}'/>".encode())
        negotiation.host.close(None)
