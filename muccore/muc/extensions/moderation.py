# -*- test-case-name: tests.muc.extensions.test_moderation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Retraction of messages by moderators (XEP-0425, also in the form of version 0.2): of one message, and of everything that
a user wrote, on request or with a kick or a ban (docs/moderation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from muccore.interfaces.handlers import BARE, IQTable
from muccore.log.eventlog import MESSAGES_RETRACTED
from muccore.log.logger import Logger
from muccore.muc.extensions.bulkretraction import BulkRetractions, Outcome
from muccore.muc.extensions.moderationcommand import RetractAllCommand
from muccore.muc.extensions.occupantids import occupantId
from muccore.muc.model import pastmessages, retractions
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.privilegechanges import PrivilegeChange, actorOf
from muccore.muc.model.privileges import Affiliation, checkModeration
from muccore.muc.model.rendering import Actor
from muccore.muc.model.retractions import Moderation
from muccore.muc.model.room import Room
from muccore.muc.protocol.admin import reasonIn
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.protocol.nicks import prepareNick
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import ns
from muccore.xmpp.commands import Command
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.specs import Spec
from muccore.xmpp.stanzas import parseAddress
from muccore.xmpp.uniqueids import newId

WAITING: Final = 10
"""
Users of whom everything is being retracted in a room, beyond which requests are refused. Those who have requested it
themselves, as anybody may, are counted apart.
"""


class ModeratedRetraction(RoomExtension):
    """The extension."""

    name = "moderation"
    implements = (Spec(425, "Moderated Message Retraction", "0.3.0", "And the stanzas of version 0.2."),)
    features = (ns.MODERATE, ns.MODERATE_0)

    _log = Logger()
    _bulk: BulkRetractions

    def start(self) -> None:
        """Begin without anything to do."""
        self._bulk = BulkRetractions(self.service.rooms)

    def stop(self, final: bool) -> Deferred[Any]:
        """Finish what was begun."""
        return self._bulk.finish()

    def destroyed(self, room: Room, venue: JID | None, reason: str | None) -> None:
        """There is nothing left to retract."""
        self._bulk.roomDestroyed(room)

    def iqs(self) -> IQTable:
        """Answer moderators."""
        moderate = dispatchToRoom(changing=True)(self._onModerate)
        return {
            ("set", BARE, ns.MODERATE, "moderate"): moderate,
            ("set", BARE, ns.FASTEN, "apply-to"): moderate,
            ("set", BARE, ns.MODERATION, "retract-all"): dispatchToRoom(changing=True)(self._onRetractAll),
        }

    def commands(self) -> Sequence[Command[Room]]:
        """Let moderators do it in any client."""
        return [RetractAllCommand(self)]

    # One message

    def _onModerate(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Deferred[None]:
        """Retract a message (XEP-0425 §3)."""
        sender = parse(iq.attributes["from"])
        _check(room, sender, "")
        id, reason = _parse(next(iq.childElements()))
        retracting = Deferred.fromCoroutine(self._retract(room, sender, id, reason)).addErrback(storeFailed)
        return handler.rooms.lockWhile(room, sender.full, retracting)

    async def _retract(self, room: Room, sender: JID, id: str, reason: str | None) -> None:
        past = retractions.checkRetractable(await pastmessages.find(room, id))
        _check(room, sender, past.account)
        bare, moderation = room.jid.bare, _moderation(room, actorOf(room, sender), reason)
        # Each has an announcement of its own: clients need not know that they are one message.
        ids = {each: newId() for each in (past, *await pastmessages.findCorrections(room, past))}
        tombstones = {
            each.id: retractions.tombstone(each, bare, announcementId, room.now(), moderation)
            for each, announcementId in ids.items()
        }
        await pastmessages.replace(room, tombstones)
        for each, announcementId in ids.items():
            room.publish(None, retractions.announcement(bare, announcementId, each.id, moderation), kept=True)
        self._note(room, moderation, past.account, len(ids))

    # Everything of one user

    def _onRetractAll(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Deferred[Element]:
        """Retract everything that a user wrote: the author of a message, a JID, an occupant, or the requester."""
        sender = parse(iq.attributes["from"])
        request = next(iq.childElements())
        given = [name for name in ("id", "jid", "nick") if name in request.attributes]
        if len(given) > 1:
            raise StanzaError("bad-request", text="Name either a message, an address or a nickname.")
        value = request.attributes[given[0]] if given else ""
        if given == ["id"]:
            _check(room, sender, "")
            finding = Deferred.fromCoroutine(_authorOf(room, value)).addErrback(storeFailed)
        elif given == ["jid"]:
            finding = succeed(parseAddress(value).bare)
        elif given == ["nick"]:
            occupant = room.occupantByNick(prepareNick(value))
            if occupant is None:
                raise StanzaError("item-not-found", text="There is no occupant with this nickname.")
            finding = succeed(occupant.account.bare)
        else:
            finding = succeed(sender.bare)
        reason = reasonIn(request)

        def done(outcome: Outcome) -> Element:
            answer = Element((ns.MODERATION, "retract-all"))
            answer.attributes.update(count=str(outcome.number), complete="true" if outcome.complete else "false")
            return answer

        return finding.addCallback(lambda author: self.retractAll(room, sender, author, reason)).addCallback(done)

    def retractAll(self, room: Room, sender: JID, author: str, reason: str | None) -> Deferred[Outcome]:
        """
        Retract everything that a user wrote.

        @param sender: the full JID of who requests it.
        @param author: the bare JID of the user.
        @return: fires when all of it is announced.
        @raise StanzaError: as L{checkModeration}, which users who retract what they wrote themselves need not pass;
            C{resource-constraint} if too much is being retracted.
        """
        own = author == sender.bare
        if not own:
            _check(room, sender, author)
        elif room.affiliations.get(sender) is Affiliation.OUTCAST:
            raise StanzaError("forbidden")
        waiting = self._bulk.waiting(room, own)
        if len(waiting) >= WAITING or (own and author in waiting):
            raise StanzaError("resource-constraint", text="Too much is being retracted in this room; try again later.")
        return self._begin(room, sender.full, author, _moderation(room, actorOf(room, sender), reason))

    def retractByService(self, room: Room, author: str) -> Deferred[Outcome]:
        """
        Retract everything that a user wrote, for the service itself: no moderator is told, and no audit trail has it.

        @param author: the bare JID of the user.
        @return: fires when all of it is announced.
        """
        return self._bulk.add(room, room.jid.bare, author, Moderation(Actor("", None)))

    def _begin(self, room: Room, sender: str, author: str, moderation: Moderation) -> Deferred[Outcome]:
        def done(outcome: Outcome) -> Outcome:
            self._note(room, moderation, author, outcome.number)
            return outcome

        return self._bulk.add(room, sender, author, moderation).addCallback(done)

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Retract everything of those for whom that was requested with a kick or a ban."""
        for author, reason in change.retracted.items():
            assert change.actor is not None
            moderation = _moderation(room, change.actor, reason)
            self._begin(room, change.actor.jid, author, moderation).addErrback(self._failed, room)

    def _failed(self, failure: Failure, room: Room) -> None:
        self._log.failure("cannot retract what a user wrote in {room}", failure, room=room.jid.bare)

    def _note(self, room: Room, moderation: Moderation, author: str, count: int) -> None:
        if count:
            MESSAGES_RETRACTED.log(moderation.actor.jid, count=count, target=author or "-", room=room.jid.bare)
            details = {"count": str(count)}
            act = ModerationAct("retraction", moderation.actor.jid, author, moderation.reason, details)
            tell(room.extensions.moderated, room, act)


def _check(room: Room, sender: JID, author: str) -> None:
    """
    Check that the sender of a request may retract what an author wrote.

    @param author: a bare JID; C{""} for the room itself.
    @raise StanzaError: as L{checkModeration}.
    """
    session = room.sessions.get(sender.full)
    role = None if session is None else session.occupant.role
    affiliation = room.affiliations.get(parse(author)) if author else Affiliation.NONE
    checkModeration(role, room.affiliations.get(sender), affiliation)


def _moderation(room: Room, actor: Actor, reason: str | None) -> Moderation:
    """What is told of a moderator, who may be outside the room."""
    nick = actor.nick or room.affiliations.reservedNick(actor.jid)
    by = None if nick is None else f"{room.jid.bare}/{nick}"
    return Moderation(actor, by, occupantId(room, parse(actor.jid)), reason)


async def _authorOf(room: Room, id: str) -> str:
    """@raise StanzaError: C{item-not-found} if there is no such message; C{not-acceptable} if it has no author."""
    past = await pastmessages.find(room, id)
    if past is None:
        raise StanzaError("item-not-found", text="There is no such message, or it is too old.")
    if not past.account:
        raise StanzaError("not-acceptable", text="No user wrote this message.")
    return past.account


def _parse(request: Element) -> tuple[str, str | None]:
    """
    The id and the reason in a request.

    @raise StanzaError: C{bad-request} without an id; C{feature-not-implemented} if it is no retraction.
    """
    moderate, retract = request, ns.RETRACT
    if request.uri == ns.FASTEN:
        older = request.child("moderate", ns.MODERATE_0)
        if older is None:
            raise StanzaError("feature-not-implemented")
        moderate, retract = older, ns.RETRACT_0
    if moderate.child("retract", retract) is None:
        raise StanzaError("feature-not-implemented", text="Messages can only be retracted.")
    id = request.get("id")
    if not id:
        raise StanzaError("bad-request", text="The request must name a message.")
    return id, reasonIn(moderate)
