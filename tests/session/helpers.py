# Copyright (c) The muccore authors. See LICENSE for details.
"""Sessions in front of a router that records what it is given."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muccore.im.presence import PresenceHandler
from muccore.im.userdomain import UserDomain
from muccore.interfaces import IRouter
from muccore.session.registry import Sessions
from muccore.testing.defaults import MANAGEMENT
from muccore.testing.doubles import SettableClock
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from tests.routing.helpers import Client, FakeStream, canonical, makeRosters

ROMEO = "romeo@localhost/orchard"


@implementer(IRouter)
class FakeRouter:
    """Records what is routed."""

    def __init__(self, log: list[object]) -> None:
        self.log = log

    def route(self, element: Element, to: JID) -> None:
        """See L{IRouter.route}."""
        self.log.append((to.full, *canonical(element)))

    def routeTo(self, jid: JID) -> None:
        """See L{IRouter.routeTo}."""


class SessionTestCase(SynchronousTestCase):
    """A registry with one session, C{romeo@localhost/orchard}."""

    def setUp(self) -> None:
        """Bind the session."""
        self.routed: list[object] = []
        self.clock = SettableClock()
        self.sessions = Sessions(4, self.clock, MANAGEMENT)
        self.router = self.sessions.router = FakeRouter(self.routed)
        self.rosters = makeRosters(self.sessions)
        self.presenceHandler = PresenceHandler(3, self.rosters)
        self.users = UserDomain("localhost", self.router, self.clock, self.sessions)
        self.presenceHandler.setHandlerParent(self.users)
        self.romeo = self.connect(ROMEO)

    def connect(self, address: str, presence: str | None = None) -> Client:
        """Bind a session and, if presence is given, send it."""
        full = jid.parse(address)
        stream = FakeStream(self.routed)
        client = Client(self.sessions.bind(full.bareJID(), full.resource, stream), stream)
        if presence is not None:
            client.ask(presence)
        return client

    def take(self) -> list[object]:
        """What has been routed since the last call, once everybody is told which sessions have ended."""
        self.sessions.endings.finishAll()
        routed = self.routed[:]
        self.routed.clear()
        return routed

    def assertRouted(self, *expected: tuple[str, str]) -> None:
        """Exactly this has been routed, in this order."""
        self.assertEqual(self.take(), [(to, *canonical(text)) for to, text in expected])
