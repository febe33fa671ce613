# -*- test-case-name: tests.endtoend.test_profanity -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client Profanity, as people use it: typed into a terminal, and read from there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor
from twisted.protocols.portforward import ProxyFactory
from twisted.trial.unittest import TestCase

from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.terminal import Terminal, Terminals

_README: Final = Path(__file__).parents[2] / "README.md"
_MISSING: Final = [program for program in ("profanity", "tmux") if shutil.which(program) is None]
_LOBBY: Final = "lobby@conference.localhost"


def linesOfReadme() -> list[str]:
    """Return what the README tells to type for a first chat, from C{profanity} on."""
    found = re.search(r"^    profanity\n((?:    .+\n)+)", _README.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


class Network(ProxyFactory):
    """
    What is between the clients and the server, on a port that stays the same.

    @ivar down: whether it refuses connections.
    """

    def __init__(self, test: TestCase) -> None:
        ProxyFactory.__init__(self, "127.0.0.1", 0)  # type: ignore[no-untyped-call]
        self.down = False
        listening: Any = reactor
        port = listening.listenTCP(0, self, interface="127.0.0.1")
        test.addCleanup(port.stopListening)
        self.listensOn: int = port.getHost().port

    def buildProtocol(self, address: Any) -> Any:
        """Forward a connection."""
        if self.down:
            return None
        self._latest: Any = super().buildProtocol(address)
        return self._latest

    def fail(self) -> None:
        """Reset the latest connection, and refuse others."""
        self.down = True
        self._latest.transport.abortConnection()


class ReadmeTests(TestCase):
    """What is typed into Profanity below."""

    def test_lines(self) -> None:
        """It is what the README tells."""
        connect, join, accept, hello = linesOfReadme()
        self.assertEqual(connect, "/connect romeo@localhost server 127.0.0.1 tls trust")
        self.assertEqual((join, accept, hello), (f"/join {_LOBBY}", "/room accept", "Hello!"))


class ProfanityTests(PersistentServerTests):
    """Romeo and Juliet, each with a Profanity of their own."""

    if _MISSING:
        skip = f"not installed: {', '.join(_MISSING)}"

    timeout = 300
    storage = {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}

    async def setUp(self) -> None:
        """Start two Profanities, whose files are in folders of their own, and log in as the README tells."""
        await super().setUp()
        self.network = Network(self)
        self.network.port = self.server.port
        terminals = Terminals(self)
        self.romeo, self.juliet = [await self.start(terminals, name) for name in ("romeo", "juliet")]

    async def start(self, terminals: Terminals, name: str) -> Terminal:
        """Start one, and log in for the first time."""
        home = self.server.file(name)
        Path(home).mkdir()
        environment = {"HOME": home, "XDG_CONFIG_HOME": f"{home}/config", "XDG_DATA_HOME": f"{home}/data", "TZ": "UTC"}
        terminal = await terminals.open(name, "profanity", environment=environment)
        await terminal.shows("Type '/help'")
        connect = linesOfReadme()[0].replace("romeo", name)
        await terminal.type("/reconnect 1", "/presence room all", f"{connect} port {self.network.listensOn}")
        await self.enterPassword(terminal, name)
        return terminal

    async def enterPassword(self, terminal: Terminal, name: str) -> None:
        """Go on after C{/connect}."""
        await terminal.shows("Enter password:")
        await terminal.type(f"{name}'s")
        await terminal.shows(rf"{name}@localhost/\S+ logged in successfully")

    async def logOut(self, terminal: Terminal, name: str) -> None:
        """Disconnect, and clear the console, in front of which that puts everybody."""
        await terminal.type("/disconnect")
        await terminal.shows(f"{name}@localhost logged out successfully")
        await terminal.type("/clear")

    async def logInAgain(self, terminal: Terminal, name: str) -> None:
        """Connect with what Profanity remembers of the account."""
        await terminal.type(f"/connect {name}@localhost")
        await self.enterPassword(terminal, name)

    async def assertShownOnce(self, terminal: Terminal, *texts: str, butNot: str = "") -> None:
        """Check that messages are shown, none of them twice, and that another one is not."""
        for text in texts:
            await terminal.shows(re.escape(text))
        screen = await terminal.screen()
        self.assertEqual([screen.count(text) for text in texts], [1 for _ in texts], screen)
        if butNot:
            self.assertNotIn(butNot, screen)

    async def befriend(self) -> None:
        """Become each other's contacts."""
        await self.romeo.type("/roster add juliet@localhost")
        await self.romeo.shows("Roster item added: juliet@localhost")
        await self.romeo.type("/sub request juliet@localhost")
        await self.juliet.shows("Received authorization request from romeo@localhost")
        await self.juliet.type("/sub allow romeo@localhost", "/sub request romeo@localhost")
        await self.romeo.shows("Subscription received from juliet@localhost")
        await self.romeo.shows("Received authorization request from juliet@localhost")
        await self.romeo.type("/sub allow juliet@localhost")
        await self.juliet.shows("Subscription received from romeo@localhost")

    async def test_contacts(self) -> None:
        """They become contacts and chat; what Romeo says while Juliet is away arrives when both are back, once."""
        await self.befriend()
        await self.romeo.type("/msg juliet@localhost Good morrow.")
        await self.juliet.shows("chat message: romeo@localhost")
        await self.juliet.type("/msg romeo@localhost Who is there?")
        await self.juliet.shows("me: Who is there[?]$")
        await self.romeo.shows(r"juliet@localhost/\S+: Who is there[?]$")
        await self.romeo.shows(r"^ juliet@localhost \[online\]")
        await self.logOut(self.juliet, "juliet")
        await self.romeo.shows(r"^ juliet@localhost \[offline\]")
        await self.romeo.type("Gone so soon?")
        await self.romeo.shows("me: Gone so soon[?]$")
        await self.logInAgain(self.juliet, "juliet")
        await self.juliet.shows("chat message: romeo@localhost")
        await self.juliet.type("/win romeo@localhost")
        # Profanity has closed the chat, and forgotten what it has shown.
        await self.assertShownOnce(self.juliet, ": Gone so soon?", butNot="Good morrow")
        await self.romeo.shows(r"^ juliet@localhost \[online\]")
        await self.stop()

    async def enterLobby(self) -> None:
        """Romeo creates the room as the README tells; Juliet enters it."""
        _, join, accept, hello = linesOfReadme()
        await self.romeo.type(join)
        await self.romeo.shows("Room locked, requires configuration")
        await self.romeo.type(accept)
        await self.romeo.shows("Room unlocked")
        await self.romeo.type(hello)
        await self.romeo.shows(f"romeo: {hello}")
        await self.juliet.type(join)
        await self.juliet.shows(f"romeo: {hello}")
        await self.juliet.type("Hello, Romeo.")
        await self.romeo.shows("juliet: Hello, Romeo[.]")

    async def test_room(self) -> None:
        """
        Juliet leaves a room, comes back and reads what was said meanwhile, and is back in the bookmarked room after
        the next log-in. After a kill of the server, both clients come back into it by themselves.
        """
        await self.enterLobby()
        await self.juliet.type("/bookmark")
        await self.juliet.shows(f"Bookmark added for {_LOBBY}")
        await self.juliet.type("/close")
        await self.juliet.shows("Closed window")
        await self.romeo.shows("juliet has left")
        await self.romeo.type("Where is she?")
        await self.romeo.shows("romeo: Where is she[?]")
        await self.juliet.type(f"/join {_LOBBY}")
        await self.assertShownOnce(self.juliet, "romeo: Hello!", "juliet: Hello, Romeo.", "romeo: Where is she?")

        await self.logOut(self.juliet, "juliet")
        await self.logInAgain(self.juliet, "juliet")
        await self.juliet.shows(f"Autojoined {_LOBBY} as juliet")
        await self.juliet.type(f"/win {_LOBBY}")
        await self.assertShownOnce(self.juliet, "romeo: Hello!", "juliet: Hello, Romeo.", "romeo: Where is she?")

        await self.kill()
        people = (self.romeo, self.juliet)
        for terminal in people:
            await terminal.shows("Lost connection")
        await self.server.start()
        self.network.port = self.server.port
        for terminal in people:
            await terminal.shows("Connection re-established")
        await self.juliet.type("Still here.")
        for terminal in people:
            await terminal.shows("juliet: Still here[.]")
            await self.assertShownOnce(terminal, "romeo: Hello!", "juliet: Hello, Romeo.", "romeo: Where is she?")
        await self.stop()

    async def test_resumed(self) -> None:
        """After a lost connection, a session is resumed: nobody has seen its user leave, and nothing is missing."""
        await self.enterLobby()
        self.network.fail()
        await self.juliet.shows("Lost connection")
        await self.romeo.type("Are you still here?")
        await self.romeo.shows("romeo: Are you still here[?]")
        self.network.down = False
        await self.juliet.shows("Connection re-established")
        await self.juliet.type("I am.")
        for terminal in (self.romeo, self.juliet):
            await self.assertShownOnce(terminal, "Are you still here?", "juliet: I am.", butNot="juliet has left")
        self.assertEqual(self.server.output.count("session-resumed"), 1)
        await self.stop()

    async def test_moderation(self) -> None:
        """The owner of a room looks at its affiliations and its configuration, and removes an occupant."""
        await self.enterLobby()
        await self.romeo.type("/affiliation list owner")
        await self.romeo.shows("romeo@localhost$")
        await self.romeo.type("/kick juliet")
        await self.romeo.shows("juliet has been kicked from the room")
        await self.juliet.shows(f"Kicked from {_LOBBY}")
        await self.romeo.type("/room config")
        await self.romeo.shows("Use '/form submit' to save changes")
        await self.stop()
