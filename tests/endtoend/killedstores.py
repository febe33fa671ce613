# Copyright (c) The muccore authors. See LICENSE for details.
"""
Users who write to everything that a server stores, until it is killed at a random moment; then, what they were told is
compared with what is there.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lxml import etree
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muccore.im.userstate import CARD, VCARD
from muccore.interfaces import RoomRecord
from muccore.xmpp import ns
from tests.endtoend.archivereading import idIn
from tests.endtoend.clients import ROOM, RoomClient, bounded, logIn
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

WINDOW = 6
"""Requests of a user that wait for answers."""

SHORTEST, LONGEST = 0.02, 0.25
"""Seconds of writing before a kill."""

_PAUSE = 0.05
"""Seconds after a refusal until the next request."""

BOOKMARKS = "storage:bookmarks"
OWNER = "romeo"
OTHERS = ("juliet", "nurse", "paris")


@dataclass
class Register:
    """
    Something that is stored, and written again and again with another text.

    @ivar write: makes the stanza that writes a text; its id is the text.
    @ivar read: finds the text in what the stores have.
    @ivar told: the last text of which somebody was told that it is there; C{None}: none yet.
    @ivar waiting: the texts, in order, whose writes were not answered.
    """

    write: Callable[[str], str]
    read: Callable[[Stored], str | None]
    told: str | None = None
    waiting: list[str] = field(default_factory=list)

    def answered(self, text: str, done: bool) -> None:
        """A write was answered; answers are in order."""
        if self.waiting[0] != text:
            raise AssertionError(f"{text} was answered before {self.waiting[0]}")
        del self.waiting[0]
        if done:
            self.told = text

    def check(self, stored: Stored) -> str | None:
        """Compare with what is there, from which it goes on; return what is wrong."""
        found = self.read(stored)
        allowed = [self.told, *self.waiting]
        self.told, self.waiting = found, []
        return None if found in allowed else f"{found} is there, not one of {allowed}"


class Stored:
    """What the stores have."""

    def __init__(self, room: RoomRecord | None, rosters: dict[str, Any], documents: dict[tuple[str, str], Any]) -> None:
        self.room = room
        self._rosters = rosters
        self._documents = documents

    def reason(self, user: str) -> str | None:
        """The reason of an affiliation in the room."""
        entry = None if self.room is None else self.room.affiliates.get(user)
        return None if entry is None else entry.reason

    def roomName(self) -> str | None:
        """The name of the room."""
        return (self.room.name or None) if self.room else None

    def subject(self) -> str | None:
        """The subject of the room."""
        return self.room.subject.text if self.room and self.room.subject else None

    def contact(self, user: str, contact: str) -> str | None:
        """The name of a contact of a user."""
        item = self._rosters[user].rows.get(contact, (0, None))[1]
        return None if item is None else item.name

    def document(self, user: str, kind: str) -> str | None:
        """The text in a document of a user."""
        content = self._documents[user, kind]
        return None if content is None else "".join(etree.fromstring(content).itertext())

    @classmethod
    async def load(cls, stores: Sequence[Any]) -> Stored:
        """Load everything from stores of rooms, rosters and documents."""
        rooms, rosters, documents = stores
        await gatherResults([store.open() for store in stores])
        users = [f"{name}@localhost" for name in OTHERS]
        try:
            return cls(
                await rooms.load(ROOM),
                {user: await rosters.load(user) for user in users},
                {
                    (user, kind): await documents.get(user, kind, key)
                    for user in users
                    for kind, key in (("private", f"{{{BOOKMARKS}}}storage"), (VCARD, CARD))
                },
            )
        finally:
            await gatherResults([store.close() for store in stores])


def roomRegisters() -> list[Register]:
    """What the owner writes."""

    def affiliation(user: str) -> Callable[[str], str]:
        return lambda text: (
            f"<iq type='set' to='{ROOM}' id='{text}'><query xmlns='{ns.MUC_ADMIN}'><item jid='{user}'"
            f" affiliation='outcast'><reason>{text}</reason></item></query></iq>"
        )

    def configuration(text: str) -> str:
        values = {"FORM_TYPE": ns.MUC_ROOMCONFIG, "muc#roomconfig_roomname": text}
        fields = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in values.items())
        form = f"<x xmlns='{ns.DATA}' type='submit'>{fields}</x>"
        return f"<iq type='set' to='{ROOM}' id='{text}'><query xmlns='{ns.MUC_OWNER}'>{form}</query></iq>"

    def subject(text: str) -> str:
        return f"<message type='groupchat' to='{ROOM}' id='{text}'><subject>{text}</subject></message>"

    banned = [f"tybalt{number}@localhost" for number in range(4)]
    return [
        *(Register(affiliation(user), lambda stored, user=user: stored.reason(user)) for user in banned),  # type: ignore[misc]
        Register(configuration, Stored.roomName),
        Register(subject, Stored.subject),
    ]


def userRegisters(name: str) -> list[Register]:
    """What a user writes."""
    user = f"{name}@localhost"

    def iq(payload: str) -> Callable[[str], str]:
        return lambda text: f"<iq type='set' id='{text}'>{payload.format(text)}</iq>"

    def contact(jid: str) -> str:
        return f"<query xmlns='{ns.ROSTER}'><item jid='{jid}' name='{{}}'/></query>"

    contacts = [f"friend{number}@localhost" for number in range(2)]
    vCard = f"<vCard xmlns='{ns.VCARD_TEMP}'><FN>{{}}</FN></vCard>"
    bookmarks = f"<query xmlns='{ns.PRIVATE}'><storage xmlns='{BOOKMARKS}'><url>{{}}</url></storage></query>"
    return [
        *(Register(iq(contact(jid)), lambda stored, jid=jid: stored.contact(user, jid)) for jid in contacts),  # type: ignore[misc]
        Register(iq(bookmarks), lambda stored: stored.document(user, "private")),
        Register(iq(vCard), lambda stored: stored.document(user, VCARD)),
    ]


class Writer:
    """
    A user who writes.

    @ivar refused: how many writes were refused.
    @ivar heard: the ids of the messages of the room that have come since the last check.
    """

    def __init__(self, name: str, registers: list[Register], talks: bool) -> None:
        self.name = name
        self.registers = registers
        self.refused = 0
        self.heard: list[str] = []
        self._talks = talks
        self._count = 0
        self._open: dict[str, Register] = {}
        self._writing = False

    async def enter(self, test: TestCase, port: int) -> None:
        """Log in and enter the room."""
        self.client: RoomClient = await logIn(test, port, self.name)
        self._open.clear()
        answer = await self.client.enter(self.name)
        assert answer.get("type") is None, etree.tostring(answer)

    def begin(self) -> None:
        """Begin to write."""
        self._writing = True
        self.reading = Deferred.fromCoroutine(self._read())
        for _ in range(WINDOW):
            self._next()

    def stop(self) -> None:
        """Write no more."""
        self._writing = False

    async def answered(self) -> None:
        """Wait until all writes are answered."""
        while self._open:
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    def _next(self) -> None:
        if not self._writing or self.client.lost is not None:
            return
        self._count += 1
        register = self.registers[self._count % len(self.registers)]
        text = f"{self.name}-{self._count}"
        register.waiting.append(text)
        self._open[text] = register
        self.client.send(register.write(text))
        if self._talks:
            self.client.sendToRoom(text)

    async def _read(self) -> None:
        client = self.client
        while client.stanzas or client.lost is None:
            while client.stanzas:
                self._received(client.stanzas.popleft())
            if client.lost is None:
                await client.changed()

    def _received(self, stanza: etree._Element) -> None:
        if stanza.tag == f"{{{ns.CLIENT}}}message" and stanza.get("type") == "groupchat":
            heard = idIn(stanza, ROOM)
            self.heard += [] if heard is None else [heard]
        isAnswer = stanza.get("type") in ("result", "error") or stanza.find(f"{{{ns.CLIENT}}}subject") is not None
        register = self._open.pop(stanza.get("id", ""), None) if isAnswer else None
        if register is None:
            return
        done = stanza.get("type") != "error"
        register.answered(str(stanza.get("id")), done)
        self.refused += not done
        if done:
            self._next()
        else:
            reactor.callLater(_PAUSE, self._next)  # type: ignore[attr-defined]


class KilledStoresTestCase(TestCase):
    """
    A server with the owner of a room and others in it. The seed is in the log; the environment may set it.

    @cvar kills: how often it is killed.
    """

    timeout = 3600

    kills: ClassVar[int]

    def configured(self) -> dict[str, dict[str, str]]:
        """The sections of the configuration that say where everything is stored."""
        raise NotImplementedError("the configuration of a test")

    def stores(self) -> Sequence[Any]:
        """Make the stores of rooms, rosters and documents, to be opened."""
        raise NotImplementedError("the stores of a test")

    async def setUp(self) -> None:
        """Start the server, and create the room."""
        seed = int(os.environ.get("MUCCORE_SEED", random.SystemRandom().randrange(2**32)))
        print(f"MUCCORE_SEED={seed}")
        self.random = random.Random(seed)
        free = {"messages_per_minute": "0", "occupant_rate": "0", "room_rate": "0", "joins_per_minute": "0"}
        self.server = ServerProcess(
            self,
            limits={"exempt": "127.0.0.0/8", "rate": "100 MiB", "burst": "100 MiB"},
            muc={"default_archive": "yes", **free},
            **self.configured(),
        )
        await self.server.start()
        self.writers = [
            Writer(OWNER, roomRegisters(), False), *(Writer(name, userRegisters(name), True) for name in OTHERS)
        ]
        owner = await logIn(self, self.server.port, OWNER)
        await bounded(owner.enter(OWNER))
        await bounded(owner.configure(persistentroom="1", changesubject="0"))
        owner.abort()
        self._archived = ""
        await self.enter()

    async def enter(self) -> None:
        """Let everybody enter."""
        await gatherResults([bounded(each.enter(self, self.server.port)) for each in self.writers])

    async def write(self) -> None:
        """Let everybody write for a while."""
        for writer in self.writers:
            writer.begin()
        await deferLater(reactor, self.random.uniform(SHORTEST, LONGEST))  # type: ignore[arg-type]

    async def killServer(self) -> None:
        """Kill the server, compare, and start it again."""
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        await gatherResults([each.reading for each in self.writers]).addTimeout(TIMEOUT, reactor)
        self.checkLog()
        await self.compare()
        await self.server.start()
        await self.enter()
        await self.compareArchive()

    def checkLog(self) -> None:
        """Check that nothing unexpected is in the log of the server."""
        self.assertEqual(self.server.unexpectedLines, [])

    async def compare(self) -> None:
        """Compare what everybody was told with what is there."""
        stored = await Stored.load(self.stores())
        wrong = [problem for each in self.writers for register in each.registers if (problem := register.check(stored))]
        self.assertEqual(wrong, [])

    async def compareArchive(self) -> None:
        """Find every message that somebody has got in the archive, in this order."""
        found = await bounded(self._newInArchive())
        for writer in self.writers:
            heard, writer.heard = writer.heard, []
            self.assertEqual([id for id in found if id in set(heard)], heard)

    async def _newInArchive(self) -> list[str]:
        client, found = self.writers[0].client, []
        while True:
            after = f"<after>{self._archived}</after>" if self._archived else ""
            query = f"<query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><max>500</max>{after}</set></query>"
            client.send(f"<iq type='set' to='{ROOM}' id='page'>{query}</iq>")
            page: list[str] = []
            while (element := await client.next()).get("id") != "page":
                page += [str(result.get("id")) for result in element.iter(f"{{{ns.MAM}}}result")]
            found += page
            self._archived = page[-1] if page else self._archived
            [fin] = element.iter(f"{{{ns.MAM}}}fin")
            if fin.get("complete") == "true":
                return found

    def told(self) -> int:
        """How many things have a text of which somebody was told."""
        return sum(register.told is not None for each in self.writers for register in each.registers)
