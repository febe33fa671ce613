# Copyright (c) The muccore authors. See LICENSE for details.
"""muccore and Prosody speak with each other, with the certificates of an authority for tests."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.logger import LogLevel

from muccore.testing.server import startServer
from tests.endtoend.clients import RoomClient, bodyOf, bounded, codes, isPresence, nickOf
from tests.endtoend.prosodyserver import MISSING, ProsodyServer
from tests.endtoend.test_federation import JULIET, ONE, ROMEO, ROOM, TWO, FederationCase, condition, typed
from tests.federation import Authority, freePorts, sections

THERE = f"garden@rooms.{TWO}"


class ProsodyTests(FederationCase):
    """Romeo is a user of muccore, Juliet one of Prosody."""

    skip = MISSING

    async def begin(self, secure: bool, bidirectional: bool = False) -> tuple[RoomClient, RoomClient]:
        """
        Start both, and log Romeo and Juliet in.

        @param secure: whether each needs a certificate that the other trusts; otherwise neither has one.
        """
        [client] = freePorts(1)
        names = dict.fromkeys((ONE, f"rooms.{ONE}"), self.ports[ONE])
        stranger = self.authority if secure else Authority(self.mktemp(), "stranger")
        certificate = stranger.issue(TWO, f"rooms.{TWO}")
        self.prosody = ProsodyServer(
            self, TWO, client, self.ports[TWO], names, certificate, stranger.path, secure, "juliet",
            bidirectional=bidirectional,
        )  # fmt: skip
        await self.prosody.start()
        routes = dict.fromkeys((TWO, f"rooms.{TWO}"), self.ports[TWO])
        configured = sections(
            ONE, self.authority, self.ports[ONE], routes, bidirectional="yes" if bidirectional else "no",
            dialback="no" if secure else "yes",
        )  # fmt: skip
        configured["muc"].update(lock_new_rooms="no")
        configured["server"]["log_level"] = "info"
        self.one = await startServer(reactor, **configured)
        self.addCleanup(self.one.stop)
        return await self.users(self.one.port, client)

    async def rooms(self, romeo: RoomClient, juliet: RoomClient) -> None:
        """Let both meet in a room on each side."""
        for room, owner, guest in ((ROOM, romeo, juliet), (THERE, juliet, romeo)):
            self.assertIn(110, codes(await bounded(owner.enter("owner", room))))
            self.assertIn(110, codes(await bounded(guest.enter("guest", room))))
            await bounded(owner.until(lambda e: isPresence(e) and nickOf(e) == "guest"))
            for client in (owner, guest):
                client.sendToRoom("hello", room)
                for each in (owner, guest):
                    await bounded(each.until(lambda e: bodyOf(e) == "hello"))
            guest.send(f"<presence type='unavailable' to='{room}/guest'/>")
            gone = await bounded(owner.until(typed("unavailable")))
            self.assertEqual(nickOf(gone), "guest")

    async def test_certificates(self) -> None:
        """By certificates: chat, subscriptions, and a room on each side."""
        romeo, juliet = await self.begin(True)
        await self.chat(romeo, juliet)
        for client, other, to, account in ((romeo, juliet, JULIET, ROMEO), (juliet, romeo, ROMEO, JULIET)):
            client.send(f"<presence type='subscribe' to='{to}'/>")
            await bounded(other.until(typed("subscribe")))
            other.send(f"<presence type='subscribed' to='{account}'/>")
            await bounded(client.until(typed("subscribed")))
            available = await bounded(client.until(lambda e: isPresence(e) and e.get("type") is None))
            self.assertTrue(str(available.get("from")).startswith(f"{to}/"))
        await self.rooms(romeo, juliet)
        self.assertEqual(self.methods(), {"certificate"})

    async def test_dialback(self) -> None:
        """By dialback, each way: chat, and a room on each side."""
        romeo, juliet = await self.begin(False)
        await self.chat(romeo, juliet)
        await self.rooms(romeo, juliet)
        self.assertEqual(self.methods(), {"dialback"})
        opened = [line for line in self.logged.lines(LogLevel.info) if line.startswith("link-opened ")]
        self.assertTrue(opened and all(" by dialback, " in line for line in opened), opened)

    async def test_bidirectional(self) -> None:
        """By streams for both directions: chat, and a room on each side."""
        for secure in (True, False):
            self.logged.events.clear()
            romeo, juliet = await self.begin(secure, True)
            await self.chat(romeo, juliet)
            # To verify a key, Prosody opens a stream, which it then uses.
            self.assertEqual(self.methods(), set() if secure else {"dialback"})
            await self.rooms(romeo, juliet)
            lines = "\n".join(self.logged.lines(LogLevel.info))
            self.assertIn(f"link-opened by rooms.{ONE}: {TWO} at 127.0.0.1 by the stream of that server", lines)
            await self.one.stop()
            await self.prosody.stop()

    async def test_killed(self) -> None:
        """When Prosody dies, its users leave."""
        romeo, juliet = await self.begin(True)
        federation = self.one.server.components and self.one.server.components.federation.federation
        assert federation is not None
        self.patch(federation, "settings", federation.settings.__class__(grace=0.5))
        await bounded(romeo.enter("Romeo", ROOM))
        await bounded(juliet.enter("Juliet", ROOM))
        await bounded(romeo.until(lambda e: isPresence(e) and nickOf(e) == "Juliet"))
        await self.prosody.stop()
        gone = await bounded(romeo.until(typed("unavailable")))
        self.assertEqual((nickOf(gone), 333 in codes(gone)), ("Juliet", True))
        romeo.send(f"<message to='{JULIET}' type='chat' id='late'><body>late</body></message>")
        answer = await bounded(romeo.until(lambda e: e.get("id") == "late"))
        self.assertEqual(condition(answer), "remote-server-timeout")
