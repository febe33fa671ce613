# -*- test-case-name: tests.muc.extensions.test_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The archive of a room (XEP-0313): what is said is kept, can be read page by page by those who may enter, and becomes the
history again when the room is loaded. Owners switch it on and off (C{muc#roomconfig_enablelogging}), and say how long
messages are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.interfaces import (
    ArchiveItem,
    ArchivePage,
    ArchiveQuery,
    IArchiveStore,
    StoreError,
)
from muccore.interfaces.handlers import BARE, IQTable
from muccore.log.logger import Logger
from muccore.muc.extensions import archivedmessages
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.model.storing import isArchived
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import archivequeries, ns
from muccore.xmpp.archivequeries import MICROSECONDS, ArchiveRequest
from muccore.xmpp.archivereading import ArchiveReader
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.rendering import OwnStanzas, Rendered, escapeAttribute, toAttribute
from muccore.xmpp.specs import Spec

EXPIRY_INTERVAL: Final = 6 * 3600
"""Seconds between two searches for messages that are too old."""

_FIRST_EXPIRY: Final = 300
_LOG_INTERVAL: Final = 60
_DAY: Final = 86400

_DAYS: Final = ExtensionField(
    "archive.days",
    "x-muc#roomconfig_archivedays",
    "list-single",
    "Delete messages from the archive after",
    (("0", "As late as the server allows"), ("1", "A day"), ("7", "A week"), ("30", "30 days"), ("365", "A year")),
    default="0",
)


class RoomArchive(RoomExtension):
    """The extension."""

    name = "archive"
    implements = (
        Spec(313, "Message Archive Management", "1.1.3", "For rooms."),
        Spec(334, "Message Processing Hints", "1.0.0", "Of messages to rooms: store, no-store, no-permanent-store."),
        Spec(431, "Full Text Search in MAM", "0.2.0"),
    )
    fields = (_DAYS,)

    _log = Logger()

    def __init__(self, store: IArchiveStore, retention: float = 0) -> None:
        """@param retention: how long messages are kept at most, in seconds; 0: as long as a room wants."""
        self.store = IArchiveStore(store)
        self._retention = retention
        self._reader = ArchiveReader(self.store)
        # With the rooms' JIDs.
        self._published: list[tuple[str, RoomMessage]] = []
        self._lost = 0
        self._lastReport: float | None = None
        self._timer: IDelayedCall | None = None
        # The rooms that have ended, and whose archives could not be deleted.
        self._left: set[str] = set()

    # Keeping

    def published(self, room: Room, message: RoomMessage) -> None:
        """Append a message, before anybody sees it: all of a turn together, which costs half."""
        if room.settings.logged:
            self._published.append((room.jid.bare, message))
            if len(self._published) == 1:
                self._callBeforeSending(self._append)

    def _callBeforeSending(self, f: Callable[[], None]) -> None:
        later = getattr(self.service.parent.clock, "callBeforeSending", None)
        if later is None:
            f()
        else:
            later(f)

    def _append(self) -> None:
        published, self._published = self._published, []
        appended: dict[str, list[ArchiveItem]] = {}
        for room, message in published:
            stanza = message.message
            if isArchived(stanza):
                when = _microseconds(message.when)
                text = stanza.childText("body") or ""
                item = ArchiveItem(message.id, when, message.sender, message.account, message.rendered, text)
                appended.setdefault(room, []).append(item)
        for room, items in appended.items():
            self.store.append(room, items).addErrback(self._appendFailed, len(items))

    def _upToDate(self) -> IArchiveStore:
        """The store, with everything that was published."""
        if self._published:
            self._append()
        return self.store

    def _appendFailed(self, failure: Failure, count: int) -> None:
        """Log that messages are missing in archives, at most once a minute."""
        failure.trap(StoreError)
        self._lost += count
        now = self.service.parent.clock.seconds()
        if self._lastReport is None or now - self._lastReport >= _LOG_INTERVAL:
            self._log.error(
                "{count} messages could not be archived: {error}", count=self._lost, error=failure.getErrorMessage()
            )
            self._lastReport, self._lost = now, 0

    def beforeCreation(self, jid: JID, creator: JID) -> None:
        """Refuse a room whose readers would find what was said in an earlier one."""
        self._checkDeleted(jid.bare)

    def created(self, room: Room, creator: JID) -> None:
        """Nobody may find what was said in an earlier room of this name."""
        self._delete(room.jid.bare)

    def beforeConfiguration(self, room: Room, actor: JID, settings: RoomSettings) -> None:
        """Nobody enters a new room, which is locked until then, before that is certain."""
        if room.locked:
            self._checkDeleted(room.jid.bare)

    def destroyed(self, room: Room, venue: JID | None, reason: str | None) -> None:
        """The archive ends with the room."""
        self._delete(room.jid.bare)

    def _delete(self, room: str) -> None:
        def failed(failure: Failure) -> None:
            self._log.error("cannot delete an archive: {error}", error=failure.getErrorMessage())
            self._left.add(room)

        self._upToDate().delete(room).addCallbacks(lambda _: self._left.discard(room), failed)

    def _checkDeleted(self, room: str) -> None:
        """
        Check that nothing is left of an earlier room; try again to delete it.

        @raise StanzaError: C{internal-server-error} if something is.
        """
        if room in self._left:
            self._delete(room)
        if room in self._left:
            text = "The messages of an earlier room of this name could not be deleted; try again later."
            raise StanzaError("internal-server-error", "wait", text)

    def loading(self, room: Room) -> Deferred[None] | None:
        """Get the history from the archive."""
        if room.settings.logged and room.settings.historyLength:
            return Deferred.fromCoroutine(archivedmessages.restoreHistory(self._upToDate(), room))
        return None

    # What is retracted, even if the room has switched its archive off meanwhile

    def findMessage(self, room: Room, id: str) -> Deferred[PastMessage | None]:
        """Find an archived message."""
        return Deferred.fromCoroutine(archivedmessages.find(self._upToDate(), room.jid.bare, id))

    def findMessagesBy(self, room: Room, account: str, limit: int) -> Deferred[Sequence[PastMessage]]:
        """Find archived messages of an author."""
        return Deferred.fromCoroutine(archivedmessages.findBy(self._upToDate(), room.jid.bare, account, limit))

    def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> Deferred[int]:
        """Replace archived messages by tombstones."""
        return self._upToDate().retract(room.jid.bare, tombstones)

    # Expiry

    def start(self) -> None:
        """Begin to look for messages that are too old."""
        self._timer = self.service.parent.clock.callLater(_FIRST_EXPIRY, self._expireAll)

    def stop(self, final: bool) -> None:
        """Look no more."""
        self._append()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _expireAll(self) -> None:
        def done(result: object) -> None:
            if isinstance(result, Failure):
                self._log.error("cannot delete old messages: {error}", error=result.getErrorMessage())
            if self._timer is not None:
                self._timer = self.service.parent.clock.callLater(EXPIRY_INTERVAL, self._expireAll)

        Deferred.fromCoroutine(self._expire()).addBoth(done)

    async def _expire(self) -> None:
        """Go through the archives of this service, one after the other."""
        last = ""
        while names := await self.store.names(last, 100):
            for name in names:
                if self._timer is None:
                    return
                if parse(name).domain == self.service.rooms.domain:
                    await self._expireRoom(name)
            last = names[-1]

    async def _expireRoom(self, name: str) -> None:
        rooms = self.service.rooms
        room = rooms.live.get(name)
        if room is None:
            record = await rooms.store.load(name)
            if record is None and name not in rooms.live:
                # The room has ended, and its archive could not be deleted then.
                await self.store.delete(name)
                self._left.discard(name)
            if record is None:
                return
            settings = RoomSettings.fromMapping(record.settings, rooms.settings.defaults)
        else:
            settings = room.settings
        age = self._maximumAge(settings)
        if age:
            await self.store.expire(name, _microseconds(rooms.now() - age))

    def _maximumAge(self, settings: RoomSettings) -> float:
        wanted = int(_DAYS.get(settings)) * _DAY
        return min(wanted, self._retention) if wanted and self._retention else wanted or self._retention

    # Reading

    def roomFeatures(self, room: Room) -> tuple[str, ...]:
        """Those of an archive, if there is one."""
        return archivequeries.FEATURES if room.settings.logged else ()

    def iqs(self) -> IQTable:
        """Answer queries."""
        return {
            ("get", BARE, ns.MAM, "query"): dispatchToRoom()(self._onForm),
            ("set", BARE, ns.MAM, "query"): dispatchToRoom()(self._onQuery),
            ("get", BARE, ns.MAM, "metadata"): dispatchToRoom()(self._onMetadata),
        }

    def _onForm(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
        checkMayRead(room, parse(iq.attributes["from"]))
        return archivequeries.form()

    def _onMetadata(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Deferred[Any]:
        checkMayRead(room, parse(iq.attributes["from"]))
        self._checkDeleted(room.jid.bare)
        return self._upToDate().metadata(room.jid.bare).addCallbacks(archivequeries.metadata, storeFailed)

    def _onQuery(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Deferred[Any]:
        sender = parse(iq.attributes["from"])
        checkMayRead(room, sender)
        self._checkDeleted(room.jid.bare)
        request = archivequeries.parse(next(iq.childElements()))
        query = _restricted(room, sender, request)

        def send(page: ArchivePage) -> None:
            # They may have been banned meanwhile.
            checkMayRead(room, sender)
            self._sendResults(room, sender, request, page)

        self._upToDate()
        return self._reader.query(room.jid.bare, sender, query, send).addErrback(_queryFailed)

    def _sendResults(self, room: Room, sender: JID, request: ArchiveRequest, page: ArchivePage) -> None:
        """Send the items of a page, with the real JIDs for those who may see them (XEP-0313 §6.1.2)."""
        seesJIDs = _maySeeRealJIDs(room, sender)
        results = OwnStanzas()
        for item in reversed(page.items) if request.flipped else page.items:
            author = _author(item.author) if seesJIDs and item.author else b""
            results.append(archivequeries.result(room.jid.bare, request, item, author))
        self.service.parent.routeTo(sender).deliverAll(results, toAttribute(sender.full))


def checkMayRead(room: Room, sender: JID) -> None:
    """
    Check that somebody may read the archive of a room: those who may enter it (XEP-0313 §6.1.2).

    @raise StanzaError: C{feature-not-implemented} if the room has none, C{forbidden} if they may not.
    """
    settings = room.settings
    if not settings.logged:
        raise StanzaError("feature-not-implemented", text="The messages of this room are not archived.")
    affiliation = room.affiliations.get(sender)
    isStranger = affiliation is Affiliation.NONE and sender.full not in room.sessions
    if affiliation is Affiliation.OUTCAST or (isStranger and (settings.membersOnly or settings.password)):
        raise StanzaError("forbidden", text="You may not read the archive of this room.")
    for check in room.extensions.beforeReading:
        check(room, sender, affiliation)


def _maySeeRealJIDs(room: Room, sender: JID) -> bool:
    """Whether somebody who asks, perhaps from outside, may see real JIDs."""
    session = room.sessions.get(sender.full)
    if session is not None:
        return room.canSeeRealJIDs(session.occupant)
    return room.settings.nonAnonymous or room.affiliations.get(sender) >= Affiliation.ADMIN


def _restricted(room: Room, sender: JID, request: ArchiveRequest) -> ArchiveQuery:
    """
    The query for the store: C{with} the address of an occupant, or a real JID for those who may see it.

    @raise StanzaError: C{forbidden} if they may not.
    """
    wanted = request.sender
    if wanted is None:
        return request.query
    if wanted.bare == room.jid.bare:
        return replace(request.query, sender=wanted.full)
    if not _maySeeRealJIDs(room, sender):
        raise StanzaError("forbidden", text="with: you may not know who is who in this room")
    return replace(request.query, author=wanted.bare)


def _author(account: str) -> bytes:
    return f"<x xmlns='{ns.MUC_USER}'><item jid='{escapeAttribute(account)}'/></x>".encode()


def _queryFailed(failure: Failure) -> Failure:
    return failure if failure.check(StanzaError) else storeFailed(failure)


def _microseconds(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
