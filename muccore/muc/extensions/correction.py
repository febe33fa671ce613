# -*- test-case-name: tests.muc.extensions.test_correction -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Correction of messages by their authors only (XEP-0308), checked by the server: who corrects is the account that has
written, whatever its nick is now and how often it has left.

Clients cannot tell a later occupant of a nick from the author (XEP-0308, Security Considerations); the room can. So it
refuses what it does not know as well: a correction that might be of another one's message, or of a retracted one, must
not reach those who would apply it. Its author learns that, and can send the text as a new message.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from muccore.muc.model import pastmessages
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.specs import Spec

_PAYLOADS: Final = frozenset({ns.CORRECT})


class Correction(RoomExtension):
    """The extension. It announces no feature: those of XEP-0308 are of clients."""

    name = "correction"
    implements = (Spec(308, "Last Message Correction", "1.2.1", "Of messages to all; they are checked."),)
    messagePayloads = waitingPayloads = _PAYLOADS

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Deferred[Element] | None:
        """
        Check a correction.

        @raise StanzaError: (also as failure) C{forbidden} if the message is another one's, C{item-not-found} if it is
            not known (any more) or is retracted, C{bad-request} without an id or for several messages.
        """
        replaced = [child for child in message.childElements() if (child.uri, child.name) == (ns.CORRECT, "replace")]
        if not replaced:
            return None
        id = replaced[0].get("id")
        if len(replaced) > 1 or not id:
            raise StanzaError("bad-request", text="A correction must name one message.")
        account = occupant.account.bare
        recent = room.history.findSent(id)
        if recent is None:
            return Deferred.fromCoroutine(_checkOlder(room, account, id, message))
        _check(recent.account, account)
        return None


async def _checkOlder(room: Room, account: str, id: str, message: Element) -> Element:
    # COMPAT: some clients give the id that the room has given the message.
    past = await pastmessages.findSent(room, account, id) or await pastmessages.find(room, id)
    if past is None or past.retracted:
        raise StanzaError("item-not-found", text="There is no such message, or it is too old or retracted.")
    _check(past.account, account)
    return message


def _check(author: str, account: str) -> None:
    if author != account:
        raise StanzaError("forbidden", text="Only its author may correct this message.")
