# -*- test-case-name: tests.im.test_roster -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The roster of an account (RFC 6121 §2): empty, since there are no subscriptions yet.

Clients request it first, and some wait for the result.
"""

from __future__ import annotations

from muccore.routing.handler import BARE, Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class RosterHandler(Handler):
    """Answers an account's owner about its roster."""

    implements = (
        Spec(
            6121,
            "XMPP: Instant Messaging and Presence",
            note="The roster is empty and cannot be changed; there are no subscriptions.",
            series="RFC",
        ),
    )

    def onGet(self, element: Element, to: JID) -> Element:
        """Return the empty roster (RFC 6121 §2.1.4)."""
        return Element((ns.ROSTER, "query"))

    def onSet(self, element: Element, to: JID) -> None:
        """Refuse a change of the roster (RFC 6121 §2.3), which cannot be stored."""
        raise StanzaError("feature-not-implemented", text="There is no roster to be changed on this server.")

    iqs = {("get", BARE, ns.ROSTER, "query"): onGet, ("set", BARE, ns.ROSTER, "query"): onSet}
