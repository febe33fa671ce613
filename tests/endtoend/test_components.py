# Copyright (c) The muccore authors. See LICENSE for details.
"""External components (XEP-0114) with slixmpp, and C{docs/components.md}."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import sys
from collections import defaultdict
from typing import Any, cast

from slixmpp import ComponentXMPP
from slixmpp.exceptions import IqError
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.trial.unittest import TestCase

from tests.configuration import ENCRYPTED, ENVIRONMENT
from tests.endtoend.serverprocess import CLEAN, ServerProcess, run
from tests.endtoend.slixmppthread import ROOM, AsyncioThread, Slixmpp, statuses

DOCUMENT = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "docs", "components.md")
NAME, SECRET = "bridge.localhost", "the secret of the bridge"
A, B = f"a@{NAME}/1", f"b@{NAME}/1"


class SlixmppComponent(ComponentXMPP):  # type: ignore[misc]
    """
    A component of slixmpp. Everything here runs in the loop's thread.

    @ivar received: stanzas that have not been taken yet, by recipient: sender and what it is.
    @ivar outcome: C{session_start}, or the condition of a stream error.
    """

    def __init__(self, asyncioThread: AsyncioThread, secret: str = SECRET) -> None:
        super().__init__(NAME, secret)
        asyncioThread.clients.append(self)  # type: ignore[arg-type]
        self.register_plugin("xep_0045")
        self.received: defaultdict[str, asyncio.Queue[tuple[str, str]]] = defaultdict(asyncio.Queue)
        self.outcome: asyncio.Future[str] = self.loop.create_future()
        self.add_event_handler("session_start", lambda _: self._came("session_start"))
        self.add_event_handler("stream_error", lambda error: self._came(error["condition"]))
        self.add_event_handler("message", lambda message: self._got(message, message["body"]))
        for event in ("groupchat_presence", "presence_error"):
            self.add_event_handler(event, lambda presence: self._got(presence, presence["type"]))

    def _came(self, event: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(event)

    def _got(self, stanza: Any, what: str) -> None:
        self.received[str(stanza["to"])].put_nowait((stanza["from"].resource, what))

    async def connectTo(self, port: int) -> str:
        """Connect; return the C{outcome}."""
        self.connect("127.0.0.1", port)
        return await self.outcome

    def enter(self, address: str, nick: str, room: str = ROOM) -> None:
        """Let an address enter a room."""
        presence = self.make_presence(pto=f"{room}/{nick}", pfrom=address)
        presence.enable("muc_join")
        presence.send()

    def say(self, address: str, text: str) -> None:
        """Send a message to the room."""
        self.make_message(ROOM, text, mtype="groupchat", mfrom=address).send()

    async def next(self, recipient: str, *wanted: str) -> None:
        """Wait for a stanza: sender and what it is."""
        while await self.received[recipient].get() != wanted:
            pass


class SlixmppComponentTests(TestCase):
    """A server with a component, and Romeo in a room."""

    timeout = 120

    async def setUp(self) -> None:
        """Start the server."""
        self.server = ServerProcess(
            self,
            c2s=ENCRYPTED,
            muc={"lock_new_rooms": "no"},
            components={"listen": "tcp:0:interface=127.0.0.1"},
            **{f"component {NAME}": {"secret": SECRET}},
        )
        os.chmod(self.server.path, 0o600)
        await self.server.start()
        self.port = int(self.server.portsOf("ComponentFactory")[-1])
        self.asyncioThread = AsyncioThread(self)

    async def romeo(self) -> Slixmpp:
        """Log Romeo in, and enter. For asyncio."""
        romeo = Slixmpp(self.asyncioThread, "romeo", "x")
        self.assertEqual(await romeo.logIn(self.server.port, self.server.certificate), "session_start")
        await romeo.room.join_muc_wait(ROOM, "Romeo")
        return romeo

    async def test_occupants(self) -> None:
        """
        Two addresses of the component enter a room under two nicks, talk with Romeo, and one leaves. When the component
        dies, the other one leaves too; it can come back.
        """

        async def play() -> None:
            romeo = await self.romeo()
            component = SlixmppComponent(self.asyncioThread)
            self.assertEqual(await component.connectTo(self.port), "session_start")
            for address, nick in ((A, "A"), (B, "B")):
                component.enter(address, nick)
                await component.next(address, nick, "available")
                await romeo.nextPresence(nick, "available")
            await component.next(A, "B", "available")
            component.say(A, "hello")
            self.assertEqual(await romeo.nextMessage(), ("A", "hello"))
            await component.next(B, "A", "hello")
            romeo.send_message(ROOM, "welcome", mtype="groupchat")
            await component.next(A, "Romeo", "welcome")
            await component.next(B, "Romeo", "welcome")
            romeo.send_message(f"{ROOM}/B", "psst", mtype="chat")
            await component.next(B, "Romeo", "psst")
            component.make_presence(pto=f"{ROOM}/A", pfrom=A, ptype="unavailable").send()
            self.assertNotIn(333, statuses(await romeo.nextPresence("A", "unavailable")))
            component.abort()
            self.assertIn(333, statuses(await romeo.nextPresence("B", "unavailable")))
            component = SlixmppComponent(self.asyncioThread)
            self.assertEqual(await component.connectTo(self.port), "session_start")
            component.enter(B, "B")
            await romeo.nextPresence("B", "available")

        await self.asyncioThread.run(play())
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])
        self.assertNotIn(SECRET, self.server.output)

    async def test_refused(self) -> None:
        """
        A wrong secret and a second connection are refused. While the component is away, a request to it comes back;
        when it has gone from the configuration, it is disconnected. A readable file with secrets is warned of.
        """

        async def askWhileAway() -> None:
            romeo = await self.romeo()
            wrong = SlixmppComponent(self.asyncioThread, "wrong")
            self.assertEqual(await wrong.connectTo(self.port), "not-authorized")
            with self.assertRaises(IqError) as refused:
                await romeo.make_iq_get("jabber:iq:version", ito=NAME).send()
            self.assertEqual(refused.exception.condition, "remote-server-timeout")

        async def connect() -> SlixmppComponent:
            component = SlixmppComponent(self.asyncioThread)
            self.assertEqual(await component.connectTo(self.port), "session_start")
            second = SlixmppComponent(self.asyncioThread)
            self.assertEqual(await second.connectTo(self.port), "conflict")
            component.outcome = component.loop.create_future()
            return component

        await self.asyncioThread.run(askWhileAway())
        component = await self.asyncioThread.run(connect())
        os.chmod(self.server.path, 0o644)
        self.server.signal("HUP")
        await self.server.logged("every user of this machine can read the secrets in it")
        del self.server.sections[f"component {NAME}"]
        self.server.configure()
        self.server.signal("HUP")

        async def gone() -> str:
            return await component.outcome

        self.assertEqual(await self.asyncioThread.run(gone()), "host-gone")


class _Program(ProcessProtocol):
    """A program whose output is kept for the failure of a test."""

    def __init__(self) -> None:
        self.output = b""
        self._ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        """Keep it."""
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        """Note the end."""
        self._ended.callback(None)

    def kill(self) -> Deferred[None]:
        """End it, and wait until it has ended."""
        if not self._ended.called:
            cast(Any, self.transport).signalProcess("KILL")
        return self._ended


class DocumentTests(TestCase):
    """C{docs/components.md}."""

    timeout = 120

    async def test_example(self) -> None:
        """Its configuration, with its command, starts a server without a warning; its component works there."""
        with open(DOCUMENT, encoding="utf-8") as file:
            blocks = re.findall(r"^```(\w+)\n(.*?)^```$", file.read(), re.M | re.S)
        text = dict(reversed(blocks))
        given = configparser.ConfigParser()
        given.read_string(text["ini"])
        sections = {name: dict(given[name]) for name in given.sections()}
        server = ServerProcess(self, c2s=ENCRYPTED, components={"listen": "tcp:0:interface=127.0.0.1"}, **sections)
        command = text["sh"].splitlines()[0].replace("/etc/muccore/server.cfg", server.path)
        self.assertEqual((await run(*command.split()))[0], 0)
        await server.start()
        program = _Program()
        code = text["python"].replace(", 5347)", f", {server.portsOf('ComponentFactory')[-1]})")
        asyncioThread = AsyncioThread(self)
        lobby = "lobby@conference.localhost"

        async def create() -> Slixmpp:
            romeo = Slixmpp(asyncioThread, "romeo", "x")
            await romeo.logIn(server.port, server.certificate)
            await romeo.room.join_muc_wait(lobby, "Romeo")
            form = await romeo.room.get_room_config(lobby)
            form["type"] = "submit"
            await romeo.room.set_room_config(lobby, form)
            return romeo

        async def talk(romeo: Slixmpp) -> None:
            await romeo.nextPresence("Bot", "available")
            romeo.send_message(lobby, "Bot: hello", mtype="groupchat")
            self.assertEqual([await romeo.nextMessage() for _ in range(2)], [("Romeo", "Bot: hello"), ("Bot", "hello")])

        romeo = await asyncioThread.run(create())
        spawn: Any = reactor
        spawn.spawnProcess(program, sys.executable, [sys.executable, "-c", code], env=ENVIRONMENT)
        self.addCleanup(program.kill)
        await asyncioThread.run(talk(romeo))
        self.assertEqual(server.unexpectedLines, [], program.output)
