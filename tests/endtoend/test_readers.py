# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients that get much at once, on loopback: who reads as fast as they can is never cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.trial.unittest import TestCase

from muccore.testing.server import startServer
from muccore.xmpp import jid
from tests.endtoend.clients import TIMEOUT, PlainClient, bounded, resetAll
from tests.routing.helpers import FakeStream

ROOMS: Final = 24
LENGTH: Final = 20
MESSAGE: Final = 25_000
"""Characters of a message: with those of L{LENGTH} messages, the history of a room is full."""

OCCUPANTS: Final = 1200
STATUS: Final = 7_500

JOIN: Final = "<presence to='{}@conference.localhost/{}'><x xmlns='http://jabber.org/protocol/muc'/>{}</presence>"


class Reader(PlainClient):
    """A client that counts what it reads, keeping the end of it."""

    def __init__(self, user: str) -> None:
        super().__init__(user)
        self.size = 0
        self.counts: dict[bytes, int] = {b"<subject": 0, b"<presence": 0, b"</body>": 0}
        self.last = b""
        self._done: tuple[Callable[[], bool], Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        """Log in, then count."""
        if not self.ready.called:
            super().dataReceived(data)
            return
        self.size += len(data)
        # A word may be divided between two reads.
        overlap, data = len(self.last), self.last + data
        for word in self.counts:
            self.counts[word] += data.count(word) - data[:overlap].count(word)
        self.last = data[-10:]
        if self._done is not None and self._done[0]():
            (_, done), self._done = self._done, None
            done.callback(None)

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fire once a condition holds."""
        done: Deferred[None] = Deferred()
        self._done = (condition, done)
        return done


class Absent(FakeStream):
    """The stream of an occupant who need not be there."""

    def send(self, stanza: Any, to: bytes) -> None:
        """Do nothing."""

    def sendAll(self, stanzas: Any, to: bytes) -> None:
        """Do nothing."""


class ReaderTests(TestCase):
    """A server with the default limits, and a reader."""

    async def start(self, **sections: dict[str, str]) -> None:
        """Start the server."""
        muc = {"lock_new_rooms": "no", "rooms_per_user": "0", "rooms_per_minute": "0", "max_users_limit": "10000"}
        self.running = await startServer(reactor, muc={"domain": "conference.localhost", **muc}, **sections)
        self.addCleanup(self.running.stop)

    async def connect(self, user: str) -> Reader:
        """Log a reader in."""
        reader = Reader(user)
        self.addCleanup(resetAll, [reader])
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.running.port, timeout=TIMEOUT)
        await connectProtocol(endpoint, reader)
        await reader.ready
        return reader

    def test_histories(self) -> Deferred[None]:
        """Somebody enters 24 rooms at once, each with all the history that a room keeps."""

        async def run() -> None:
            await self.start()
            author = await self.connect("author")
            text = "x" * MESSAGE
            for number in range(ROOMS):
                room = f"room{number}"
                author.send(JOIN.format(room, "Author", ""))
                for _ in range(LENGTH):
                    author.send(
                        f"<message type='groupchat' to='{room}@conference.localhost'><body>{text}</body></message>"
                    )
            await author.until(lambda: author.counts[b"</body>"] == ROOMS * LENGTH)
            reader = await self.connect("reader")
            reader.send("".join(JOIN.format(f"room{number}", "Reader", "") for number in range(ROOMS)))
            await reader.until(lambda: reader.counts[b"<subject"] == ROOMS)
            self.assertEqual(reader.counts[b"</body>"], ROOMS * LENGTH)
            self.assertGreater(reader.size, ROOMS * LENGTH * MESSAGE)
            self.assertFalse(reader.gone.called)

        return bounded(run())

    def test_presences(self) -> Deferred[None]:
        """Somebody enters a room of 1,200 with presences of 7.5 KB, and is told in order what happens meanwhile."""

        async def run() -> None:
            await self.start()
            components = self.running.server.components
            assert components is not None
            status = f"<status>{'x' * STATUS}</status>"
            sessions = []
            for number in range(OCCUPANTS):
                full = jid.parse(f"u{number}@localhost/r")
                session = components.sessions.bind(full.bareJID(), full.resource, Absent())
                sessions.append(session)
                self.enter(session, "big", f"n{number}", status)
                if not number:
                    await self.pause()
            reader = await self.connect("reader")
            reader.send(JOIN.format("big", "Reader", ""))
            await reader.until(lambda: reader.size > 100_000)
            for session in sessions[:100]:
                session.end()
            await reader.until(lambda: reader.counts[b"<presence"] == OCCUPANTS + 1 + 100)
            self.assertGreater(reader.size, OCCUPANTS * STATUS)
            self.assertFalse(reader.gone.called)

        return bounded(run())

    def enter(self, session: Any, room: str, nick: str, payload: str) -> None:
        """Let a session enter a room."""
        from muccore.testing.inmemory import parseStanza

        session.stanzaReceived(parseStanza(JOIN.format(room, nick, payload)))

    def pause(self) -> Deferred[None]:
        """Let the server create the room."""
        done: Deferred[None] = Deferred()
        reactor.callLater(0.2, done.callback, None)  # type: ignore[attr-defined]
        return done
