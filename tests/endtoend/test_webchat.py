# Copyright (c) The muccore authors. See LICENSE for details.
"""The web chat in a real browser."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from muccore.http.webchat.resources import isFetched
from muccore.testing.server import RunningServer, startServer
from tests.certificates import makeCertificate
from tests.endtoend.chatpages import CHROMIUM, Chat, browse

ROOM = "garden"


def freePort() -> int:
    """A port on loopback that nobody uses at the moment."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        return port


class WebChatTests(TestCase):
    """People in a room, with nothing but a link."""

    timeout = 180

    def setUp(self) -> None:
        """Prepare the configuration."""
        if CHROMIUM is None:
            raise SkipTest("Chromium is not installed (on Debian: apt-get install chromium)")
        if not isFetched():
            raise SkipTest("Converse.js has not been fetched: run make web")
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        certificate, key = makeCertificate(self.folder)
        self.port = freePort()
        self.url = f"https://localhost:{self.port}"
        tls = {"certificate": os.path.abspath(certificate), "private_key": os.path.abspath(key)}
        self.settings: dict[str, dict[str, str]] = {
            "c2s": {"tls": "required", "allow_plaintext_auth": "no"},
            "http": {"tls_listen": f"tcp:{self.port}:interface=127.0.0.1"},
            "tls": tls,
            "host guests.localhost": {"anonymous": "yes", "accounts": "memory:", **tls},
            "anonymous": {"other_domains": "yes"},
            "muc": {"lock_new_rooms": "no"},
            "storage": {
                "affiliations": f"sqlite:{os.path.abspath(self.folder)}/rooms.db",
                "archive": f"sqlite:{os.path.abspath(self.folder)}/archive.db",
            },
        }
        self.running: RunningServer | None = None
        self.addCleanup(self.stop)

    async def start(self) -> None:
        """Start the server."""
        self.running = await startServer(reactor, **self.settings)

    async def stop(self) -> None:
        """Stop the server."""
        running, self.running = self.running, None
        if running is not None:
            await running.stop()

    async def restart(self) -> None:
        """Start it again."""
        await self.stop()
        await self.start()

    async def awaitBoth(self) -> None:
        """Wait until both have logged in again, and are in the room: places alone are kept over a restart."""
        assert self.running is not None and self.running.server.components is not None
        components = self.running.server.components
        rooms = components.hosts[0].handlers.muc["conference.localhost"].rooms
        for _ in range(600):
            room = rooms.live.get(f"{ROOM}@conference.localhost")
            online = {each.fullText for each in components.sessions if each.stream is not None}
            if room is not None and sum(jid in online for jid in room.sessions) == 2:
                return
            await deferLater(reactor, 0.1)
        raise AssertionError("not everybody has come back")

    def call(self, function: Any) -> Any:
        """Call an asynchronous function in the thread of the reactor, and wait for it."""
        from twisted.internet.defer import ensureDeferred

        return blockingCallFromThread(reactor, lambda: ensureDeferred(function()))

    async def test_link(self) -> None:
        """
        A user and a guest meet in a room by its link, talk, and come back by themselves when the server restarts; then
        the guest is kicked.
        """
        await self.start()

        def script(browser: Any) -> None:
            owner, guest = Chat(browser, "Olivia"), Chat(browser, "Viola", 400, 700)
            link = f"{self.url}/join/{ROOM}"
            owner.enterWithAccount(link, "olivia")
            guest.enterAsGuest(link)
            owner.say("Who comes there?")
            guest.awaitText("Who comes there?")
            guest.say("A gentleman, much wronged.")
            owner.awaitText("A gentleman, much wronged.")
            problems = [*owner.problems, *guest.problems]
            self.call(self.restart)
            self.call(self.awaitBoth)
            for speaker, listener in ((owner, guest), (guest, owner)):
                speaker.awaitRoom()
                speaker.say(f"{speaker.name} is back.")
                listener.awaitText(f"{speaker.name} is back.")
            owner.say("/kick Viola Enough")
            guest.awaitText("kicked")
            self.assertEqual(problems, [])
            folder = os.environ.get("MUCCORE_SCREENSHOTS")
            if folder:
                for each in owner, guest:
                    each.page.screenshot(path=os.path.join(folder, f"{each.name}.png"))

        await deferToThread(browse, script)
