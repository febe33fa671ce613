# -*- test-case-name: tests.stream.test_advertisedlimits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The feature that tells clients the limits of their streams (XEP-0478)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zope.interface import implementer

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.specs import Spec

implements: Final = (Spec(478, "Stream Limits Advertisement", "0.2.0"),)


@implementer(IStreamFeature)
class AdvertisedLimits:
    """
    The limits in one stage.

    @ivar maxBytes: bytes of one element.
    @ivar idleSeconds: seconds of silence after which the server checks whether the client is there, or ends the stream;
        C{None}: it does not.
    """

    order = 900
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, stage: Stage, maxBytes: int, idleSeconds: int | None) -> None:
        self.stage = stage
        self.maxBytes = maxBytes
        self.idleSeconds = idleSeconds

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        limits = Element((ns.STREAM_LIMITS, "limits"))
        limits.add("max-bytes", text=str(self.maxBytes))
        if self.idleSeconds is not None:
            limits.add("idle-seconds", text=str(self.idleSeconds))
        yield limits
