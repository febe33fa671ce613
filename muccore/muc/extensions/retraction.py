# -*- test-case-name: tests.muc.extensions.test_retraction -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Retraction of messages by their authors (XEP-0424), checked by the server: who retracts is the account that has written,
whatever its nick is now.

The retracted message becomes a tombstone in the history and wherever else it is kept, before anybody is told. So do its
corrections, since they are the same message to those who read it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.muc.model import pastmessages, retractions
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.room import Room
from muccore.muc.model.sanitize import withAttributes
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.retractions import FEATURES
from muccore.xmpp.specs import Spec
from muccore.xmpp.uniqueids import newId


class Retraction(RoomExtension):
    """The extension. It must be asked last: what it retracts stays retracted."""

    name = "retraction"
    implements = (Spec(424, "Message Retraction", "0.4.2", "In rooms; retractions of version 0.3 are checked, too."),)
    features = FEATURES
    waitingPayloads = frozenset({ns.RETRACT, ns.FASTEN})
    messagePayloads = retractions.PAYLOADS

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Deferred[Element] | None:
        """
        Check a retraction, and make the tombstones.

        @raise StanzaError: (also as failure) C{item-not-found} if the message is not known (any more) or is retracted,
            C{forbidden} if it is another one's, C{not-acceptable} if it is a retraction itself, C{bad-request} without
            an id.
        """
        retracting = retractions.retractedBy(message)
        if retracting is None:
            return None
        if not retracting.get("id"):
            raise StanzaError("bad-request", text="A retraction must name the message.")
        return Deferred.fromCoroutine(self._retract(room, occupant.account.bare, message, retracting))

    async def _retract(self, room: Room, account: str, message: Element, retracting: Element) -> Element:
        id = retracting.attributes["id"]
        found = await pastmessages.find(room, id) or await pastmessages.findSent(room, account, id)
        past = retractions.checkRetractable(found)
        if past.account != account:
            raise StanzaError("forbidden", text="Only its author may retract this message.")
        sent = withAttributes(message, {"id": message.get("id") or newId()})
        # Clients find the message by the id that the room has given it (XEP-0424 §5.1).
        referring = withAttributes(retracting, {"id": past.id if retracting.uri == ns.RETRACT else id})
        sent.children = [referring if child is retracting else child for child in sent.children]
        together = (past, *await pastmessages.findCorrections(room, past))
        made = [retractions.tombstone(each, room.jid.bare, sent.attributes["id"], room.now()) for each in together]
        await pastmessages.replace(room, {each.id: stanza for each, stanza in zip(together, made, strict=True)})
        return sent
