# Copyright (c) The muccore authors. See LICENSE for details.
"""A day of messages with a real server: a desktop, a phone that sleeps, and a server that is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muccore.config.userssection import UsersSection
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.endtoend.reconnectingclient import ReconnectingClient
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess
from tests.im import test_dayofmessages
from tests.im.test_dayofmessages import ACTS, bodyOf

MESSAGES: Final = 300

ROMEO: Final = "romeo@localhost"


class Device(ReconnectingClient):
    """
    A client that counts messages.

    @ivar seen: how often it has got each, as itself or as a copy.
    @ivar inSession: whether it has a session, with a connection or without.
    """

    def __init__(self, user: str, resource: str) -> None:
        super().__init__(user)
        self.resource = resource
        self.seen: Counter[str] = Counter()
        self.inSession = False
        self.archived: list[str] = []
        self.failed = 0
        self._sent: list[str] = []
        self._answers: dict[str, Deferred[Element]] = {}
        self._count = 0

    @property
    def isConnected(self) -> bool:
        """Whether it has a connection."""
        return self._stream is not None and not self._stream.gone.called

    def stanzaReceived(self, element: Element) -> None:
        """Count a message; take an answer."""
        if element.name == "message" and element.get("type") != "error":
            result = element.child("result", ns.MAM)
            if result is None:
                self.seen[bodyOf(element)[0]] += 1
            else:
                forwarded = result.child("forwarded", ns.FORWARD)
                message = None if forwarded is None else forwarded.child("message", ns.CLIENT)
                assert message is not None
                self.archived.append(message.childText("body") or "")
        elif element.name == "iq" and element.get("id") in self._answers:
            self._answers.pop(element.attributes["id"]).callback(element)

    def send(self, text: str) -> None:
        """Send a stanza, again after the session was resumed if the server has not handled it."""
        self._sent.append(text)
        self.write(text)

    def sessionBegan(self) -> None:
        """Nothing of this session is sent yet."""
        self._sent.clear()

    def sessionResumed(self, handled: int) -> None:
        """Send again what the server has not handled."""
        self.write("".join(self._sent[handled:]))

    def resumptionFailed(self) -> None:
        """It has had another session."""
        self.failed += 1

    def ask(self, type: str, payload: str, to: str = "") -> Deferred[Element]:
        """Send a request; wait for the answer, before which all that was sent before is handled."""
        self._count += 1
        id = f"q{self._count}"
        answer = self._answers[id] = Deferred()
        to = f" to='{to}'" if to else ""
        self.send(f"<iq type='{type}' id='{id}'{to}>{payload}</iq>")
        return answer.addTimeout(TIMEOUT, reactor)

    def ping(self) -> Deferred[Element]:
        """Wait until the server has handled all before."""
        return self.ask("get", f"<ping xmlns='{ns.PING}'/>", "localhost")

    async def begin(self, port: int) -> None:
        """Begin a new session."""
        self.id, self.inSession = None, True
        await self.connect(port)
        await self.ask("set", f"<enable xmlns='{ns.CARBONS}'/>")
        self.send("<presence/>")
        await self.ping()

    async def leave(self) -> None:
        """Acknowledge everything, and end the session."""
        await self.ping()
        self.acknowledge()
        await self.ping()
        self.write("</stream:stream>")
        await self.lost()
        self.inSession = False


class DayTests(TestCase):
    """Some hundred messages at random moments. The seed is in the log; the environment may set it."""

    timeout = 600

    async def setUp(self) -> None:
        """Start the server, and log all in."""
        seed = int(os.environ.get("MUCCORE_SEED", random.SystemRandom().randrange(2**32)))
        print(f"MUCCORE_SEED={seed}")
        self.random = random.Random(seed)
        users = {"offline_size": "10 MiB"}
        if "archive" in [field.name for field in fields(UsersSection)]:
            users["archive"] = "yes"
        self.server = ServerProcess(
            self,
            storage={"affiliations": "sqlite:rooms.db", "userdata": "sqlite:users.db", "archive": "sqlite:archive.db"},
            users=users,
            limits={"exempt": "127.0.0.0/8"},
        )
        await self.server.start()
        self.desktop, self.phone = Device("romeo", "desktop"), Device("romeo", "phone")
        self.juliet = Device("juliet", "balcony")
        self.all = (self.desktop, self.phone, self.juliet)
        for device in self.all:
            self.addCleanup(device.abort)
        # By message, the devices where it belongs; those to nobody belong to the one that comes first.
        self.belongs: dict[str, list[Device]] = {}
        self.waiting: list[str] = []

    def stored(self) -> int:
        """How many messages the database keeps for Romeo."""
        with sqlite3.connect(f"file:{self.server.file('users.db')}?mode=ro", uri=True) as connection:
            [[count]] = connection.execute("SELECT count(*) FROM user_document WHERE kind = 'offline'")
        return int(count)

    async def until(self, isSo: Callable[[], Any]) -> None:
        """Wait until something is so."""
        begun = reactor.seconds()  # type: ignore[attr-defined]
        while not isSo():
            self.assertLess(reactor.seconds() - begun, TIMEOUT)  # type: ignore[attr-defined]
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    def write(self) -> None:
        """Somebody writes."""
        body = f"m{len(self.belongs)}"
        message = "<message type='chat' id='{0}' to='{1}'><body>{0}</body></message>"
        if self.desktop.isConnected and self.random.random() < 0.3:
            self.desktop.send(message.format(body, "juliet@localhost"))
            self.belongs[body] = [self.juliet, *([self.phone] if self.phone.inSession else [])]
            return
        to = self.random.choice([ROMEO, ROMEO, f"{ROMEO}/phone", f"{ROMEO}/desktop"])
        self.juliet.send(message.format(body, to))
        self.belongs[body] = [each for each in (self.desktop, self.phone) if each.inSession]
        if not self.belongs[body]:
            self.waiting.append(body)

    def missing(self) -> list[tuple[str, str]]:
        """Messages, and the devices that have not got them, though they belong there."""
        expected = ((body, each) for body, owners in self.belongs.items() for each in owners)
        return [(body, each.resource) for body, each in expected if not each.seen[body]]

    async def writeSome(self) -> None:
        """Write some messages, with pauses."""
        for _ in range(self.random.randrange(1, 20)):
            self.write()
            if self.random.random() < 0.3:
                await deferLater(reactor, self.random.random() / 50)  # type: ignore[arg-type]

    async def handled(self) -> None:
        """Wait until the server has handled what was written."""
        for device in self.all:
            if device.isConnected:
                await device.ping()

    async def comes(self, device: Device) -> None:
        """A device comes back with a new session: first it gets what was waiting."""
        await self.handled()
        waiting, self.waiting = self.waiting, []
        await self.until(lambda: self.stored() == len(waiting))
        for body in waiting:
            self.belongs[body] = [device]
        await device.begin(self.server.port)
        await self.until(lambda: all(device.seen[body] for body in waiting))

    async def restart(self, kill: bool) -> None:
        """End the server, when what is in no store is acknowledged, and start it again."""
        await self.handled()
        if kill:
            await self.until(lambda: self.stored() == len(self.waiting))
            self.server.signal("KILL")
            self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        else:
            await self.server.stop()
        self.assertEqual(self.server.unexpectedLines, [])
        for device in self.all:
            await device.lost()
            if kill:
                device.inSession = False
        await self.server.start()
        if kill:
            await self.juliet.begin(self.server.port)
        else:
            await self.juliet.connect(self.server.port)

    async def test_day(self) -> None:
        """Each message is everywhere where it belongs, once, and nowhere else."""
        await self.juliet.begin(self.server.port)
        await self.comes(self.desktop)
        await self.comes(self.phone)
        while len(self.belongs) < MESSAGES:
            # The phone sleeps, is cut off, and resumes; the desktop, too.
            self.phone.write("<inactive xmlns='urn:xmpp:csi:0'/>")
            await self.writeSome()
            for device in (self.phone, self.desktop):
                if self.random.random() < 0.7:
                    await device.abort()
            await self.writeSome()
            if self.random.random() < 0.3:
                await self.restart(kill=False)
            await self.writeSome()
            for device in (self.phone, self.desktop):
                if not device.isConnected:
                    await device.connect(self.server.port)
            await self.writeSome()
            # Both are away for hours.
            for device in (self.phone, self.desktop):
                await self.handled()
                await device.leave()
                await self.writeSome()
            await self.restart(kill=True)
            await self.writeSome()
            devices = [self.phone, self.desktop]
            self.random.shuffle(devices)
            for device in devices:
                await self.comes(device)
                await self.writeSome()
        await self.handled()
        await self.until(lambda: not self.missing())
        await self.handled()
        for device in self.all:
            expected = Counter(body for body, owners in self.belongs.items() if device in owners)
            self.assertEqual(device.seen, expected, device.resource)
            self.assertEqual(device.failed, 0)
        await self.checkArchive()
        self.assertEqual(self.server.unexpectedLines, [])

    async def checkArchive(self) -> None:
        """If there are archives of users (XEP-0313), each message is in that of Romeo once."""
        info = await self.desktop.ask("get", f"<query xmlns='{ns.DISCO_INFO}'/>", ROMEO)
        query = info.child("query", ns.DISCO_INFO)
        if query is None or ns.MAM not in [each.get("var") for each in query.childElements()]:
            return
        after = ""
        while True:
            page = f"<query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><max>100</max>{after}</set></query>"
            answer = await self.desktop.ask("set", page)
            fin = answer.child("fin", ns.MAM)
            assert fin is not None
            if fin.get("complete") == "true":
                break
            bounds = fin.child("set", ns.RSM)
            assert bounds is not None
            after = f"<after>{bounds.childText('last')}</after>"
        self.assertEqual(Counter(self.desktop.archived), Counter(list(self.belongs)))


class ManyDaysTests(test_dayofmessages.DayTests):
    """Many days on a clock that is set; it takes some minutes."""

    @settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(ACTS, max_size=60))
    def test_anything(self, acts: list[tuple[str, Any]]) -> None:
        """Whatever happens, each message is everywhere where it belongs, once."""
        self.assertEqual(self.live(acts), [])
