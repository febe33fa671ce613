# -*- test-case-name: tests.stream.test_clientstate -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Client state indication on the wire (XEP-0352): the feature and its nonzas. What is held back is the session's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zope.interface import implementer

from muccore.interfaces import InlineFeature, ISession, IStreamFeature, Offering, Stage
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.specs import Spec

implements: Final = (Spec(352, "Client State Indication", "1.0.0"),)


@implementer(IStreamFeature)
class ClientStateFeature:
    """The feature."""

    stage = Stage.BINDING
    order = 310

    def __init__(self) -> None:
        self.nonzas: Mapping[tuple[str, str], Any] = {
            (ns.CLIENT_STATE, "active"): self._active,
            (ns.CLIENT_STATE, "inactive"): self._inactive,
        }
        self.inline = InlineFeature(ns.CLIENT_STATE, dict.fromkeys(self.nonzas, self._begin))

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        yield Element((ns.CLIENT_STATE, "csi"))

    @staticmethod
    def _begin(session: ISession, element: Element) -> bytes:
        """Begin the session in a state (XEP-0386 §3.2.2)."""
        session.setActive(element.name == "active")
        return b""

    @staticmethod
    def _active(session: ISession, element: Element) -> None:
        session.setActive(True)

    @staticmethod
    def _inactive(session: ISession, element: Element) -> None:
        session.setActive(False)
