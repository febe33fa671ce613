# Copyright (c) The muccore authors. See LICENSE for details.
"""A server and clients over BOSH, without HTTP."""

from __future__ import annotations

from typing import Any, Final

from muccore.net.flush import FlushScheduler
from muccore.net.outbox import Outboxes
from muccore.stream.bosh.connection import BOSHConnection
from muccore.stream.bosh.sessions import BOSHSessions
from muccore.stream.bosh.stream import BOSHStream
from muccore.stream.factory import C2SFactory
from muccore.stream.starttls import OFF
from muccore.testing.defaults import defaultStreams
from tests.stream.bosh import RID, Answer, Responder, creation, request
from tests.stream.doubles import auth
from tests.stream.test_c2s import Case

BIND: Final = (
    "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<resource>r</resource></bind></iq>"
)
PRESENCE: Final = "<presence xmlns='jabber:client'/>"


class Client:
    """
    A client.

    @ivar sid: the ID of its session.
    @ivar first: the answer with which it was created.
    @ivar rid: the ID of its last request.
    """

    sid = ""

    def __init__(self, case: BOSHCase, **origin: Any) -> None:
        self.case = case
        self.rid = RID
        self.origin = origin

    def create(self, **attributes: Any) -> Answer:
        """Create a session."""
        responder = Responder(**self.origin)
        self.case.deliver(creation(**attributes), responder)
        assert responder.answer is not None
        self.first = responder.answer
        self.sid = self.first.attributes.get("sid", "")
        return self.first

    def post(self, payload: str = "", rid: int | None = None, **attributes: Any) -> Responder:
        """Send the next request, or another."""
        if rid is None:
            rid = self.rid = self.rid + 1
        responder = Responder(**self.origin)
        self.case.deliver(request(rid, payload, **{"sid": self.sid, **attributes}), responder)
        return responder

    def ask(self, payload: str = "", **attributes: Any) -> Answer:
        """Send the next request, which is answered at once; return the answer."""
        answer = self.post(payload, **attributes).answer
        assert answer is not None, payload
        return answer

    def login(self) -> None:
        """Log in, and bind a resource."""
        assert self.ask(auth().decode()).names == ["success"]
        assert self.ask(xmpp__restart="true", to="example.org").names == ["features"]
        assert self.ask(BIND).names == ["iq"]

    @property
    def stream(self) -> BOSHStream:
        """Its stream."""
        [found] = [each for each in self.case.factory.streams if each.transport is self.connection]
        assert isinstance(found, BOSHStream)
        return found

    @property
    def connection(self) -> BOSHConnection:
        """Its connection."""
        return self.case.sessions._connections[self.sid]

    @property
    def exists(self) -> bool:
        """Whether the server knows its session."""
        return self.sid in self.case.sessions._connections


class BOSHCase(Case):
    """A server and clients."""

    def setUp(self) -> None:
        """Create the server."""
        super().setUp()
        self.flusher = FlushScheduler(self.clock, lambda: 0.0)
        self.factory = C2SFactory(self.flusher, self.features(OFF), defaultStreams())
        self.outboxes = Outboxes()
        self.sessions = BOSHSessions(self.factory, self.flusher, self.factory.features, False, self.outboxes)

    def deliver(self, data: bytes, responder: Responder) -> None:
        """Let a request arrive, and end the turn."""
        self.assertTrue(self.flusher.run(self.sessions.receive, data, responder))

    def client(self, **origin: Any) -> Client:
        """A client with a session."""
        client = Client(self, **origin)
        client.create()
        return client

    def user(self, **origin: Any) -> Client:
        """A client that is logged in."""
        client = self.client(**origin)
        client.login()
        return client

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1)

    def turn(self) -> None:
        """Begin another turn of the reactor."""
        self.clock.advance(0)
