# -*- test-case-name: tests.im.test_directinvitations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Direct invitations to rooms (XEP-0249) that users of this server get: an inbound filter, by which they are counted with
those that rooms send.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from muccore.interfaces import ISession
from muccore.interfaces.filters import BLOCKING
from muccore.routing.handler import Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

_LIMITS: Final = {"reason": 1024, "thread": 256}
"""Characters of attributes, as of the invitations that rooms send."""


class DirectInvitationHandler(Handler):
    """The filter."""

    def __init__(self, admit: Callable[[JID, JID], None]) -> None:
        """@param admit: called with who invites and who is invited; refuses by raising L{StanzaError}."""
        super().__init__()
        self._admit = admit

    def onMessage(self, element: Element, to: JID, recipients: Sequence[ISession]) -> Any:
        """
        Let a message pass unless it is an invitation that is refused.

        @raise StanzaError: C{not-acceptable} for a reason or thread that is too long; what C{admit} raises.
        """
        x = element.child("x", ns.CONFERENCE)
        if x is not None and element.attributes.get("type") != "error":
            for name, limit in _LIMITS.items():
                if len(x.attributes.get(name, "")) > limit:
                    raise StanzaError("not-acceptable", text=f"The {name} may be at most {limit} characters long.")
            self._admit(parse(element.attributes["from"]), to)
        return element

    inbound = {("message", BLOCKING): onMessage}
