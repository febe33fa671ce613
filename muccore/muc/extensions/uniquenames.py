# -*- test-case-name: tests.muc.extensions.test_uniquenames -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Unique names of rooms (XEP-0307): the service makes one on request. Nobody else can have it, since it is random enough
not to be found by chance or by guessing; so nothing needs to be reserved.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

from muccore.interfaces.handlers import HOST, IQTable
from muccore.muc.model.extension import RoomExtension
from muccore.muc.protocol.base import RoomHandler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.specs import Spec

_BYTES: Final = 15
"""Of randomness: 24 characters in Base32, which are the same in lower case."""


class UniqueNames(RoomExtension):
    """The extension."""

    name = "unique"
    implements = (Spec(307, "Unique Room Names for Multi-User Chat", "0.1"),)
    serviceFeatures = (ns.MUC_UNIQUE,)

    def iqs(self) -> IQTable:
        """Answer requests to the service."""
        return {("get", HOST, ns.MUC_UNIQUE, "unique"): self._make}

    def _make(self, handler: RoomHandler, iq: Element, to: JID) -> Element:
        """Make a name; C{not-allowed} if the sender may not create rooms."""
        handler.rooms.checkMayCreate(parse(iq.attributes["from"]))
        answer = Element((ns.MUC_UNIQUE, "unique"))
        answer.children.append(base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower())
        return answer
