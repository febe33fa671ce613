# -*- test-case-name: tests.muc.protocol.test_presence_entering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A request to enter a room (XEP-0045 §7.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from muccore.interfaces import IRoute
from muccore.muc.model.history import HistoryOptions
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


@dataclass(frozen=True)
class JoinRequest:
    """
    A request to enter a room.

    @ivar jid: the full JID.
    @ivar route: the route of the session.
    @ivar payload: from L{muccore.muc.model.rendering.extractPresencePayload}.
    @ivar id: the id of the presence.
    @ivar presence: the presence that requests it.
    @ivar renamed: whether another nick than C{nick} was requested (status 210).
    """

    jid: JID
    nick: str
    route: IRoute
    payload: bytes
    password: str | None = field(default=None, repr=False)
    history: HistoryOptions = field(default_factory=HistoryOptions)
    id: str | None = None
    renamed: bool = False
    presence: Element | None = field(default=None, repr=False)
