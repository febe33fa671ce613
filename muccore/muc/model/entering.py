# -*- test-case-name: tests.muc.model.test_entering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a session is sent when it enters (XEP-0045 §7.1, §7.2): all other presence, its own, the history and the subject.

In a large room that takes several reactor turns (docs/design/0019). What the room sends to the session meanwhile
follows after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from muccore.interfaces import IRoute
from muccore.muc.model import presencebroadcast
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.rendering import OccupantPresence, presenceOf
from muccore.muc.model.subject import subjectMessage
from muccore.net.slices import RENDERING, Steps
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.muc.model.room import Room


@implementer(IRoute)
class _Backlog:
    """
    The route of a session that does not know yet who is in the room.

    @ivar sent: what was sent to it.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[Sequence[Rendered], bytes]] = []

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""
        self.sent.append(((stanza,), to))

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        self.sent.append((stanzas, to))


def sendInitialState(room: Room, session: OccupantSession, request: JoinRequest, created: bool) -> None:
    """
    Send a session everything. Unless that is done in this turn, C{Room.entering} says when it will be.

    @param created: whether the room was created by this request (status 201).
    """
    tell(room.extensions.greet, room, session, request)
    # For who pays for it. The presence of others is about as large as their own.
    own = presenceOf(session.occupant)[int(session.seesJIDs)]
    room.audience.sent += len(room.occupants) * own.size
    backlog = _Backlog()
    # All others have been sent the presence of the session already.
    sent = room.slices.run(_steps(room, session, request, created, backlog), len(room.sessions))
    if sent is None:
        return
    session.setRoute(backlog)
    room.entering[session.jid] = sent

    def done(_: object) -> None:
        if room.entering.get(session.jid) is sent:
            del room.entering[session.jid]

    sent.addCallback(done)


def _steps(room: Room, session: OccupantSession, request: JoinRequest, created: bool, backlog: _Backlog) -> Steps:
    route, to, settings = session.route, session.to, room.settings
    renamed = request.renamed or request.nick != session.occupant.nick
    possible = ((100, settings.nonAnonymous), (170, settings.logged), (201, created), (210, renamed))
    codes = [code for code, applies in possible if applies]
    own = OccupantPresence(session.occupant, extra=room.extensions.stampEntry(room, session))
    presence, history = own.toSelf(session, codes, request.id), list(room.history.select(request.history, to))
    subject = _subject(room)
    room.audience.sent += presence.size + sum([each.size for each in history]) + subject.size
    isIn = True
    for cost in presencebroadcast.occupantList(room, session, route.deliverAll):
        yield cost
        isIn = room.sessions.get(session.jid) is session
        if not isIn:
            break
    if isIn:
        yield len(history) + RENDERING
        isIn = room.sessions.get(session.jid) is session
    if isIn:
        route.deliver(presence, to)
        route.deliverAll(history, to)
        route.deliver(subject, to)
    if session.route is backlog:
        session.setRoute(route)
    for stanzas, address in backlog.sent:
        route.deliverAll(stanzas, address)
    if isIn:
        tell(room.extensions.entered, room, session, request)


def _subject(room: Room) -> Rendered:
    author = room.subject.author if room.subject is not None else ""
    stamps = room.extensions.stampOccupant(room, parse(author)) if author else b""
    return subjectMessage(room.jid, room.subject, stamps)
