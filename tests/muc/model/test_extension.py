# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.extension}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, RoomChange
from muccore.interfaces.handlers import BARE, HOST, InvalidHandler, IQTable
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.extensionpoints import RoomExtensions
from muccore.muc.model.messages import isSubjectChange
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.element import Element, copyOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from tests.muc.muchelpers import (
    HOST as SERVICE,
)
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    form,
    join,
    leave,
    register,
    role,
    say,
    sendAdmin,
    sendGroupchat,
    sendIQ,
    sendOwner,
    sendPresence,
    setSubject,
    summaries,
    values,
)

POINTS = (
    "beforeCreation", "beforeConfiguration", "beforeDestruction", "beforeEntering", "beforePresence",
    "beforeNickChange", "beforeMessage", "beforePrivateMessage", "beforePrivilegeChange", "created", "configured",
    "destroyed", "greet", "entered", "presenceChanged", "nickChanged", "left", "published", "subjectChanged",
    "privilegesChanged", "moderated",
)  # fmt: skip
"""Every point that is asked or told."""


class Recorder(RoomExtension):
    """
    Records what it is asked and told.

    @ivar calls: the names of the points, in order.
    @ivar refused: the point that is refused.
    @ivar broken: the point that fails.
    """

    name = "recorder"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refused = self.broken = ""


def _recording(point: str) -> Any:
    def record(self: Recorder, *args: Any) -> None:
        self.calls.append(point)
        if self.refused == point:
            raise StanzaError("policy-violation", text="not now")
        if self.broken == point:
            raise ZeroDivisionError

    return record


for _point in POINTS:
    setattr(Recorder, _point, _recording(_point))


class PointTests(MUCTestCase):
    """The points, and when each comes."""

    def startServer(self, store: object = None, **options: object) -> None:
        super().startServer()
        self.recorder = Recorder()
        self.server = InMemoryServer(store, extensions=[self.recorder], **options)  # type: ignore[arg-type]

    def calls(self) -> list[str]:
        """What was called since the last call."""
        calls, self.recorder.calls = self.recorder.calls, []
        return calls

    def refuse(self, point: str) -> None:
        """Refuse what a point is asked, from now on."""
        self.recorder.refused = point

    def test_life(self) -> None:
        """Creation, configuration, entering, leaving and destruction."""
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        self.assertEqual(self.calls(), ["beforeCreation", "beforeEntering", "greet", "entered", "created"])
        configure(romeo)
        self.assertEqual(self.calls(), ["beforeConfiguration", "configured"])
        join(juliet, "Juliet")
        self.assertEqual(self.calls(), ["beforeEntering", "greet", "entered"])
        join(juliet, "Juliet")
        self.assertEqual(self.calls(), ["greet", "entered"])
        leave(juliet, "Juliet")
        self.assertEqual(self.calls(), ["left"])
        sendOwner(romeo, "<destroy/>")
        self.assertEqual(self.calls(), ["beforeDestruction", "moderated", "destroyed"])

    def test_ends(self) -> None:
        """A room that ends because nobody is left, or that was never configured."""
        [romeo] = self.login("romeo")
        self.createRoom(romeo)
        self.calls()
        leave(romeo, "Romeo")
        self.assertEqual(self.calls(), ["left", "destroyed"])
        join(romeo, "Romeo")
        self.calls()
        self.server.clock.advance(100_000)
        self.assertEqual(self.calls(), ["destroyed"])

    def test_openFromTheStart(self) -> None:
        """A room that is not locked was created once it is stored."""
        self.startServer(lockNewRooms=False)
        join(self.client("romeo"), "Romeo")
        self.assertEqual(self.calls(), ["beforeCreation", "beforeEntering", "greet", "entered", "created"])

    def test_stanzas(self) -> None:
        """Presence, nicks, messages and the subject."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo, changesubject=True)
        self.enterAll(juliet)
        self.calls()
        for send, expected in (
            (lambda: sendPresence(juliet, "Juliet", "<show>xa</show>"), ["beforePresence", "presenceChanged"]),
            (lambda: sendPresence(juliet, "J"), ["beforeNickChange", "nickChanged"]),
            (lambda: say(juliet, "Hi"), ["beforeMessage", "published"]),
            (lambda: setSubject(juliet, "Love"), ["beforeMessage", "published", "subjectChanged"]),
            (
                lambda: juliet.sends(f"<message type='chat' to='{ROOM}/Romeo'><body>Hi</body></message>"),
                ["beforePrivateMessage"],
            ),
            (lambda: join(juliet, "Juliet"), ["beforeNickChange", "nickChanged", "greet", "entered"]),
            (
                lambda: join(juliet, "Juliet", "<show>dnd</show>"),
                ["beforePresence", "presenceChanged", "greet", "entered"],
            ),
        ):
            send()
            self.assertEqual(self.calls(), expected)

    def test_privileges(self) -> None:
        """Roles, affiliations, registrations; those who are removed leave."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        self.enterAll(juliet)
        self.calls()
        sendAdmin(romeo, role("Juliet", "moderator"))
        self.assertEqual(self.calls(), ["beforePrivilegeChange", "privilegesChanged"])
        register(juliet, "Juliet")
        self.assertEqual(self.calls(), ["beforePrivilegeChange", "privilegesChanged"])
        configure(romeo, roomadmins=["juliet@localhost"])
        self.assertEqual(
            self.calls(), ["beforeConfiguration", "beforePrivilegeChange", "privilegesChanged", "configured"]
        )
        sendAdmin(romeo, affiliation("juliet@localhost", "outcast"))
        self.assertEqual(self.calls(), ["beforePrivilegeChange", "left", "privilegesChanged"])

    def test_refused(self) -> None:
        """What is refused gets the error, nothing has happened, and nothing more is called."""
        romeo, juliet, paris = self.login("romeo", "juliet", "paris")
        self.createRoom(romeo)
        self.enterAll(juliet)
        store = self.server.store.load(ROOM)
        for point, client, send in (
            ("beforeCreation", juliet, lambda: join(juliet, "Juliet", to=ROOM.replace("room", "other"))),
            ("beforeEntering", paris, lambda: join(paris, "Paris")),
            ("beforePresence", juliet, lambda: sendPresence(juliet, "Juliet", "<show>xa</show>")),
            ("beforePresence", juliet, lambda: join(juliet, "Juliet", "<show>xa</show>")),
            ("beforeNickChange", juliet, lambda: sendPresence(juliet, "J")),
            ("beforeMessage", juliet, lambda: say(juliet, "Hi")),
            ("beforeMessage", romeo, lambda: setSubject(romeo, "Hi")),
            (
                "beforePrivateMessage",
                juliet,
                lambda: juliet.sends(f"<message type='chat' to='{ROOM}/Romeo'><body>Hi</body></message>"),
            ),
            ("beforePrivilegeChange", romeo, lambda: sendAdmin(romeo, role("Juliet", "moderator"))),
            ("beforePrivilegeChange", romeo, lambda: sendAdmin(romeo, affiliation("paris@localhost", "member"))),
            ("beforePrivilegeChange", paris, lambda: register(paris, "P")),
            ("beforePrivilegeChange", romeo, lambda: configure(romeo, roomadmins=["paris@localhost"])),
            ("beforeConfiguration", romeo, lambda: configure(romeo, moderatedroom=True)),
            ("beforeDestruction", romeo, lambda: sendOwner(romeo, "<destroy/>")),
        ):
            self.refuse(point)
            self.calls()
            send()
            self.assertEqual(self.calls()[-1], point)
            [error] = summaries(client)
            self.assertIn("policy-violation", error)
            self.assertEqual([summaries(other) for other in self.clients], [[], [], []])
        self.assertEqual(
            self.successResultOf(self.server.store.load(ROOM)),
            self.successResultOf(store),  # nothing is stored
        )

    def test_broken(self) -> None:
        """A failure in what is told is logged, and changes nothing else; in what is asked, it is an internal error."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        self.recorder.broken = "entered"
        join(juliet, "Juliet")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.room().sessions[juliet.address].occupant.nick, "Juliet")
        self.discardReceived()
        self.recorder.broken = "beforeMessage"
        say(juliet, "Hi")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(
            [summaries(romeo), summaries(juliet)], [[], ["room message error cancel internal-server-error by=None"]]
        )


class Hat(RoomExtension):
    """Stamps occupants with their name, messages with a number, and the presence of some with a hat."""

    name = "hat"
    features = ("urn:hat",)
    serviceFeatures = ("urn:hats",)
    fields = (
        ExtensionField(
            "hat.size", "urn:hat#size", "text-single", "Size of hats", infoVar="urn:hat#size", default=7, parse=int
        ),
        ExtensionField("hat.on", "urn:hat#on", "boolean", "Hats", default=False),
    )

    def __init__(self) -> None:
        self.made = 0
        self.hats: set[str] = set()

    def newState(self) -> int:
        """Make a number."""
        self.made += 1
        return self.made

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """Make the occupants' stamp."""
        return f"<of-{account.local} xmlns='urn:hat'/>".encode()

    def stampMessage(self, room: Room, id: str, message: Element) -> bytes:
        """Make the messages' stamp."""
        return f"<state-{room.settings.extensions[self.name]} xmlns='urn:hat'/>".encode()

    def stampPresence(self, room: Room, occupant: Occupant) -> bytes:
        """Make the stamp of who has a hat."""
        return b"<hat xmlns='urn:hat'/>" if occupant.nick in self.hats else b""

    def roomFeatures(self, room: Room) -> Iterable[str]:
        """A feature of rooms with hats."""
        return ["urn:hat#on"] if self.fields[1].get(room.settings) else []

    def infoFields(self, room: Room, sender: JID) -> Iterable[tuple[str, str, str, bool | str | tuple[str, ...]]]:
        """A field for each."""
        yield "urn:hat#you", "text-single", "You", sender.local

    def discoInfo(self, room: Room, sender: JID, node: str) -> Element | None:
        """Answer one node."""
        return Element((ns.DISCO_INFO, "query"), None, {"node": node}) if node == "hats" else None

    def discoItems(self, room: Room, sender: JID, node: str, query: Element) -> Element | None:
        """Answer one node."""
        return Element((ns.DISCO_ITEMS, "query"), None, {"node": node}) if node == "hats" else None

    def iqs(self) -> IQTable:
        """Answer a request to rooms and one to the service."""
        return {
            ("get", BARE, "urn:hat", "count"): dispatchToRoom()(self._count),
            ("get", HOST, "urn:hat", "count"): lambda handler, iq, to: Element(("urn:hat", "all")),
            ("set", BARE, "urn:hat", "put"): dispatchToRoom(changing=True)(self._put),
        }

    def _count(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
        found = Element(("urn:hat", "count"))
        found.children.append(str(len(room.states.get(self.name, {}))))
        return found

    def _put(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
        nick = next(iq.childElements()).text()

        def apply() -> Any:
            room.states.setdefault(self.name, {})[nick] = True
            self.hats.add(nick)
            return lambda: room.restamp(room.occupants[nick])

        writing = handler.storeChange(room, RoomChange(states={(self.name, nick): True}))
        return handler.commitAndReply(iq, room, writing, apply)


def hatStamps(client: Client) -> list[list[str]]:
    """The stamps in each stanza that a client has received."""
    return [[e.name for e in each.childElements() if e.uri == "urn:hat"] for each in client.received()]


class ExtensionTests(MUCTestCase):
    """A room with an extension."""

    def startServer(self, store: object = None, **options: object) -> None:
        super().startServer()
        self.hat = Hat()
        self.server = InMemoryServer(store, extensions=[self.hat, RoomExtension()])  # type: ignore[arg-type]

    def test_stamps(self) -> None:
        """It adds to what an occupant sends, and nothing to what the room does; its state is made once a room."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendGroupchat(romeo, "<body>a</body>")
        self.assertEqual(hatStamps(romeo), [["of-romeo", "state-1"]])
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertEqual(hatStamps(juliet), [["of-romeo"], ["of-juliet"], ["of-romeo", "state-1"], []])
        self.createRoom(romeo, to=ROOM.replace("room", "other"))
        self.assertEqual(self.hat.made, 2)

    def test_presenceStamps(self) -> None:
        """A stamp of presence comes when it changes, stays in what follows, and is in nothing else."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        self.enterAll(juliet)
        sendIQ(romeo, "set", "<put xmlns='urn:hat'>Romeo</put>")
        self.assertEqual([each.name for each in romeo.received()], ["iq", "presence"])
        self.assertEqual(hatStamps(juliet), [["of-romeo", "hat"]])
        self.room().restamp(self.room().occupants["Romeo"])
        self.assertEqual(hatStamps(juliet), [])
        say(romeo, "Hi")
        sendPresence(romeo, "Romeo", "<show>xa</show>")
        self.assertEqual(hatStamps(juliet), [["of-romeo", "state-1"], ["of-romeo", "hat"]])
        join(juliet, "Juliet")
        self.assertEqual(hatStamps(juliet)[0], ["of-romeo", "hat"])
        romeo.received()
        leave(romeo, "Romeo")
        self.assertEqual(hatStamps(juliet), [["of-romeo"]])
        join(romeo, "Romeo")
        self.assertEqual(hatStamps(juliet), [["of-romeo", "hat"]])

    def test_rows(self) -> None:
        """Its rows are stored, and there when the room is loaded again."""
        romeo = self.client("romeo")
        self.createRoom(romeo, persistentroom=True)
        sendIQ(romeo, "set", "<put xmlns='urn:hat'>Romeo</put>")
        self.startServer(self.server.store)
        romeo = self.client("romeo")
        sendIQ(romeo, "get", "<count xmlns='urn:hat'/>")
        [answer] = romeo.received()
        self.assertEqual(next(answer.childElements()).text(), "1")
        self.assertEqual(self.hat.made, 0)

    def test_iqs(self) -> None:
        """It answers requests to the service and to rooms, with errors as any other."""
        romeo = self.client("romeo")
        sendIQ(romeo, "get", "<count xmlns='urn:hat'/>", to=SERVICE)
        sendIQ(romeo, "get", "<count xmlns='urn:hat'/>")
        self.assertEqual(summaries(romeo), ["result q", "error q cancel item-not-found"])

    def test_conflict(self) -> None:
        """Two extensions cannot answer the same requests, nor one those that rooms answer anyway."""

        class Disco(RoomExtension):
            def iqs(self) -> IQTable:
                return {("get", BARE, ns.DISCO_INFO, "query"): lambda handler, iq, to: None}

        for extensions in ([Hat(), Hat()], [Disco()]):
            error = self.assertRaises(InvalidHandler, InMemoryServer, extensions=extensions)
            self.assertIn("which another one has as well", str(error))

    def disco(self, client: Client, to: str = ROOM, kind: str = "info", node: str = "") -> Element:
        """The answer to a request of service discovery."""
        named = f" node='{node}'" if node else ""
        sendIQ(client, "get", f"<query xmlns='http://jabber.org/protocol/disco#{kind}'{named}/>", to=to)
        [answer] = client.received()
        return answer

    def test_features(self) -> None:
        """Its features are those of the room and of the service; some depend on the room."""
        romeo = self.client("romeo")
        self.createRoom(romeo)

        def features(to: str) -> list[str]:
            query = next(self.disco(romeo, to).childElements())
            return [e["var"] for e in query.childElements() if e.name == "feature" and "hat" in e["var"]]

        self.assertEqual(features(ROOM), ["urn:hat"])
        self.assertEqual(features(SERVICE), ["urn:hats"])
        configure(romeo, **{"urn:hat#on": True})
        romeo.received()
        self.assertEqual(features(ROOM), ["urn:hat", "urn:hat#on"])

    def test_nodes(self) -> None:
        """It answers for its nodes; others are not found."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        for kind in ("info", "items"):
            query = next(self.disco(romeo, kind=kind, node="hats").childElements())
            self.assertEqual(query.attributes, {"node": "hats"})
            error = self.disco(romeo, kind=kind, node="shoes").child("error")
            assert error is not None
            self.assertEqual(next(error.childElements()).name, "item-not-found")

    def form(self, client: Client) -> dict[str, list[str]]:
        """The values in the configuration form."""
        sendOwner(client, type="get")
        [answer] = client.received()
        x = next(answer.childElements()).child("x", ns.DATA)
        assert x is not None
        return values(x)

    def info(self, client: Client) -> dict[str, list[str]]:
        """The values in C{muc#roominfo}."""
        x = next(self.disco(client).childElements()).child("x", ns.DATA)
        assert x is not None
        return values(x)

    def test_fields(self) -> None:
        """Its fields are in the form and in disco, are stored, and refuse what they cannot parse."""
        romeo = self.client("romeo")
        self.createRoom(romeo, persistentroom=True)
        self.assertEqual(self.form(romeo)["urn:hat#size"], ["7"])
        self.assertEqual(self.info(romeo)["urn:hat#size"], ["7"])
        self.assertEqual(self.info(romeo)["urn:hat#you"], ["romeo"])
        configure(romeo, roomname="Hats", **{"urn:hat#size": "large"})
        [error] = romeo.received()
        text = next(e for e in error.elements() if e.name == "error").children
        self.assertIn("not-acceptable", summaryOf(error))
        self.assertIn("urn:hat#size: invalid literal", str([child.text() for child in text]))
        self.assertNotIn("Hats", self.form(romeo)["muc#roomconfig_roomname"])
        configure(romeo, **{"urn:hat#size": "9", "urn:hat#on": True})
        self.assertEqual(summaries(romeo), ["result q", "room groupchat 104"])
        self.startServer(self.server.store)
        romeo = self.client("romeo")
        found = self.form(romeo)
        self.assertEqual([found["urn:hat#size"], found["urn:hat#on"]], [["9"], ["1"]])

    def test_nothing(self) -> None:
        """An extension without points is not asked."""
        extensions = RoomExtensions([RoomExtension()])
        self.assertEqual(extensions.missingStates({}), {})
        self.assertEqual({getattr(extensions, point) for point in POINTS if point != "beforeMessage"}, {()})


def summaryOf(stanza: Element) -> str:
    """The condition of an error."""
    error = stanza.child("error")
    assert error is not None
    return " ".join(child.name for child in error.childElements())


class Censor(RoomExtension):
    """Replaces the bodies of some messages, at once or later, and refuses others."""

    name = "censor"
    waitingPayloads = frozenset({"urn:slow"})

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Element], Element]] = []

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element] | None:
        """Change a message with a payload."""
        if message.child("slow", "urn:slow") is not None:
            later: Deferred[Element] = Deferred()
            self.waiting.append((later, message))
            return later
        body = message.child("body")
        if body is None or body.text() != "damn":
            return None
        return self.censored(message)

    @staticmethod
    def censored(message: Element) -> Element:
        """A message with another body or subject."""
        changed = copyOf(message)
        name = "subject" if isSubjectChange(message) else "body"
        changed.children = [child for child in changed.children if getattr(child, "name", "") != name]
        changed.add(name, text="d**n")
        return changed

    def release(self) -> None:
        """Let the oldest pass."""
        later, message = self.waiting.pop(0)
        later.callback(self.censored(message))


class BeforeMessageTests(MUCTestCase):
    """What an extension does with messages before they are sent."""

    def startServer(self, store: object = None, **options: object) -> None:
        super().startServer()
        self.censor, self.recorder = Censor(), Recorder()
        self.server = InMemoryServer(extensions=[self.censor, self.recorder])

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, changesubject=True)
        self.enterAll(self.juliet)

    def test_concerned(self) -> None:
        """Who is not concerned with a room is not asked; what has changed is found out with the next message."""

        class Selective(Recorder):
            concerned = False
            found = 0

            def isConcernedWith(self, room: Room) -> bool:
                self.found += 1
                return self.concerned

        selective = Selective()
        self.server = InMemoryServer(extensions=[selective])
        [romeo] = self.login("romeo")
        self.createRoom(romeo)

        def asked() -> int:
            """How many of three messages it is asked about."""
            selective.calls.clear()
            for _ in range(3):
                say(romeo, "a")
            return selective.calls.count("beforeMessage")

        self.assertEqual((asked(), selective.found), (0, 1))
        selective.concerned = True
        self.assertEqual((asked(), selective.found), (0, 1))
        configure(romeo, roomname="R")
        self.assertEqual((asked(), selective.found), (3, 2))
        selective.concerned = False
        muc = self.server.muc
        muc.reconfigure(muc.options)
        self.assertEqual((asked(), selective.found), (0, 3))

    def test_replaced(self) -> None:
        """What it returns is sent, and kept in the history."""
        say(self.juliet, "damn")
        say(self.juliet, "Hi")
        expected = ["Juliet groupchat body:d**n", "Juliet groupchat body:Hi"]
        self.assertEqual(summaries(self.romeo), expected)
        self.assertEqual(summaries(self.juliet), expected)
        paris = self.client("paris")
        join(paris, "Paris")
        self.assertEqual(summaries(paris)[-3:-1], [f"{line} delayed" for line in expected])

    def test_later(self) -> None:
        """A message that waits holds up those of its sender and further ones that wait, not those of others."""
        slow = "<slow xmlns='urn:slow'/>"
        self.recorder.calls.clear()
        sendGroupchat(self.juliet, f"<body>a</body>{slow}")
        say(self.juliet, "b")
        sendGroupchat(self.romeo, f"<body>c</body>{slow}")
        self.assertEqual(summaries(self.romeo), [])
        self.assertEqual(self.recorder.calls, [])
        self.enter("paris")
        self.censor.release()
        found = ["Juliet groupchat slow body:d**n", "Juliet groupchat body:b"]
        self.assertEqual(summaries(self.romeo), found)
        self.assertEqual(self.recorder.calls[-4:], ["beforeMessage", "published"] * 2)
        self.censor.release()
        self.assertEqual(summaries(self.romeo), ["Romeo groupchat slow body:d**n"])

    def test_payloads(self) -> None:
        """One that names payloads is asked about messages with these, and in its turn; others about all."""
        self.recorder.calls.clear()
        found: list[str] = []

        class Picky(Recorder):
            messagePayloads = frozenset({"urn:a", "urn:b"})

            def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> None:
                found.append(message.childText("body") or "")

        for extensions in ([Picky(), self.recorder], [Picky()]):
            extended = RoomExtensions(extensions)
            for number, uri in enumerate(("urn:a", "urn:c", "urn:b", ns.CLIENT)):
                message = Element((ns.CLIENT, "message"))
                message.add("body", text=str(number))
                message.add("x", uri)
                room, occupant = self.room(), self.room().occupants["Romeo"]
                self.assertIs(extended.beforeMessage(room, occupant, message), message)
        self.assertEqual(found, ["0", "2"] * 2)
        self.assertEqual(self.recorder.calls, ["beforeMessage"] * 4)

    def test_subjectLater(self) -> None:
        """A change of the subject may wait, too; it is stored before it is announced."""
        sendGroupchat(self.juliet, "<subject>damn</subject><slow xmlns='urn:slow'/>")
        self.assertEqual((summaries(self.romeo), self.room().subject), ([], None))
        self.censor.release()
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat slow subject:d**n"])
        record = self.successResultOf(self.server.store.load(ROOM))
        self.assertEqual(record.subject.text, "d**n")

    def test_refusedLater(self) -> None:
        """One that is refused after it has waited gets the error, and the next goes on."""
        sendGroupchat(self.juliet, "<body>a</body><slow xmlns='urn:slow'/>")
        say(self.juliet, "b")
        later, _ = self.censor.waiting.pop()
        later.errback(StanzaError("forbidden"))
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat body:b"])
        self.assertEqual(summaries(self.juliet), ["room message error auth forbidden", "Juliet groupchat body:b"])


class Library(RoomExtension):
    """Has messages."""

    name = "library"

    def __init__(self, *messages: PastMessage) -> None:
        self.messages = messages
        self.replaced: list[Any] = []

    def findMessage(self, room: Room, id: str) -> Deferred[PastMessage | None]:
        """Find one."""
        return succeed(next((each for each in self.messages if each.id == id), None))

    def findMessagesBy(self, room: Room, account: str, limit: int) -> Deferred[Any]:
        """Find some."""
        return succeed([each for each in self.messages if each.account == account][-limit:])

    def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> Deferred[None]:
        """Replace some."""
        self.replaced.append(tombstones)
        return succeed(None)


class Absent(RoomExtension):
    """Keeps nothing of this room."""

    name = "absent"

    def findMessage(self, room: Room, id: str) -> None:
        """Find nothing."""

    def findMessagesBy(self, room: Room, account: str, limit: int) -> None:
        """Find nothing."""

    def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> None:
        """Replace nothing."""


class PastMessageTests(SynchronousTestCase):
    """Messages that extensions keep."""

    room: Any = None

    def get(self, coroutine: Any) -> Any:
        """The result of a coroutine that need not wait."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_found(self) -> None:
        """The first extension that has a message, or any of an author, answers."""
        one, two, three = (PastMessage(id, account, "", 0.0) for id, account in (("1", "a"), ("2", "b"), ("1", "b")))
        extensions = RoomExtensions([RoomExtension(), Absent(), Library(one), Library(two, three)])
        for id, expected in (("1", one), ("2", two), ("3", None)):
            self.assertEqual(self.get(extensions.findMessage(self.room, id)), expected)
        for account, found in (("a", [one]), ("b", [three]), ("c", [])):
            self.assertEqual(list(self.get(extensions.findMessagesBy(self.room, account, 1))), found)

    def test_replaced(self) -> None:
        """Every extension replaces what it has."""
        first, second = Library(), Library()
        tombstones = {"1": Rendered(b"<message", b"/>")}
        self.get(RoomExtensions([first, Absent(), second]).replaceMessages(self.room, tombstones))
        self.assertEqual((first.replaced, second.replaced), ([tombstones], [tombstones]))

    def test_nothing(self) -> None:
        """Without such an extension there is nothing."""
        extensions = RoomExtensions([RoomExtension()])
        self.assertIsNone(self.get(extensions.findMessage(self.room, "1")))
        self.assertEqual(list(self.get(extensions.findMessagesBy(self.room, "a", 1))), [])
        self.get(extensions.replaceMessages(self.room, {}))


class Loader(RoomExtension):
    """Prepares rooms when it is told."""

    name = "loader"

    def __init__(self, result: Deferred[None]) -> None:
        self.result = result
        self.stopped: list[bool] = []
        self.started = False

    def start(self) -> None:
        """Note the start."""
        self.started = self.service is not None

    def stop(self, final: bool) -> Deferred[None] | None:
        """Note the end."""
        self.stopped.append(final)
        return self.result

    def loading(self, room: Room) -> Deferred[None] | None:
        """Prepare a room."""
        return self.result


class ServiceTests(MUCTestCase):
    """The start and end of a service, and the loading of its rooms."""

    def serve(self, result: Deferred[None]) -> Loader:
        """Start a server in whose store there is a room."""
        self.startServer()
        self.createRoom(self.client("romeo"), persistentroom=True)
        loader = Loader(result)
        self.server = InMemoryServer(self.server.store, extensions=[loader])
        return loader

    def test_loading(self) -> None:
        """Who enters waits until the room is prepared; a failure is logged and keeps nobody out."""
        waiting: Deferred[None] = Deferred()
        for result, failed in ((waiting, 0), (fail(ZeroDivisionError()), 1)):
            self.serve(result)
            juliet = self.client("juliet")
            join(juliet, "Juliet")
            if not result.called:
                self.assertEqual(summaries(juliet), [])
                result.callback(None)
            self.assertEqual(len(summaries(juliet)), 2)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), failed)

    def test_startAndStop(self) -> None:
        """It is started with its service; the end waits for it."""
        waiting: Deferred[None] = Deferred()
        loader = self.serve(succeed(None))
        loader.result = waiting
        self.assertTrue(loader.started)
        stopping = self.server.muc.shutDown(True)
        self.assertEqual(loader.stopped, [True])
        self.assertNoResult(stopping)
        waiting.callback(None)
        self.successResultOf(stopping)


class Limit(RoomExtension):
    """Lets nobody but admins be more than a visitor, and counts changes of privileges in a row of the room."""

    name = "limit"

    def limitRole(self, room: Room, account: JID, affiliation: Affiliation, role: Role) -> Role:
        """Limit it."""
        return role if affiliation >= Affiliation.ADMIN or account.local == "nurse" else Role.VISITOR

    def beforePrivilegeChange(self, room: Room, actor: JID, change: PrivilegeChange) -> None:
        """Count it."""
        change.states[self.name, "count"] = room.states.get(self.name, {}).get("count", 0) + 1


class PrivilegeTests(MUCTestCase):
    """Roles that are limited, and rows that change together with privileges."""

    def startServer(self, store: object = None, **options: object) -> None:
        super().startServer()
        self.server = InMemoryServer(store, extensions=[Limit(), RoomExtension()])  # type: ignore[arg-type]

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.login("romeo", "juliet", "nurse")
        self.createRoom(self.romeo)
        self.enterAll(self.juliet, self.nurse)

    def roles(self) -> list[str]:
        """The roles of all occupants."""
        return [occupant.role.xmlName for occupant in self.room().occupants.values()]

    def test_limits(self) -> None:
        """On entering, by a new affiliation, and when a room stops being moderated; but not if a moderator gives it."""
        limited = ["moderator", "visitor", "participant"]
        self.assertEqual(self.roles(), limited)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"), affiliation("nurse@localhost", "member"))
        self.assertEqual(self.roles(), limited)
        configure(self.romeo, moderatedroom=True)
        sendAdmin(self.romeo, role("Nurse", "visitor"))
        self.discardReceived()
        configure(self.romeo, moderatedroom=False)
        self.assertEqual(self.roles(), limited)
        self.assertEqual([line for line in summaries(self.juliet) if "Juliet" in line], [])
        sendAdmin(self.romeo, role("Juliet", "participant"))
        self.assertEqual(self.roles(), ["moderator", "participant", "participant"])
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertEqual(self.roles(), ["moderator", "moderator", "participant"])
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"))
        self.assertEqual(self.roles(), limited)

    def test_rows(self) -> None:
        """They are stored with changes of affiliations and of roles, by whatever request."""
        approval = form(
            ns.MUC_REQUEST,
            {"muc#role": "participant", "muc#roomnick": "Juliet", "muc#request_allow": True},
        )
        invitation = f"<x xmlns='{ns.MUC_USER}'><invite to='paris@localhost'/></x>"
        for count, send in enumerate(
            (
                lambda: sendAdmin(self.romeo, affiliation("juliet@localhost", "member")),
                lambda: configure(self.romeo, membersonly=True, roomadmins=["nurse@localhost"]),
                lambda: sendAdmin(self.romeo, role("Juliet", "visitor")),
                lambda: register(self.juliet, "Juliet"),
                lambda: self.romeo.sends(f"<message to='{ROOM}'>{approval}</message>"),
                lambda: self.romeo.sends(f"<message to='{ROOM}'>{invitation}</message>"),
            ),
            1,
        ):
            send()
            self.assertEqual(self.room().states, {"limit": {"count": count}})
            self.assertEqual(self.storedRecord().states, {"limit": {"count": count}})

    def test_first(self) -> None:
        """So are those of the first configuration."""
        other = ROOM.replace("room", "other")
        join(self.juliet, "Juliet", to=other)
        configure(self.juliet, to=other, roomadmins=["nurse@localhost"])
        self.assertEqual(self.storedRecord(other).states, {"limit": {"count": 1}})


class Birthdays(RoomExtension):
    """Asks those who register for their birthday, which is forgotten with their registration."""

    name = "birthdays"

    def __init__(self) -> None:
        self.told: list[PrivilegeChange] = []

    def registrationFields(self, room: Room, account: JID) -> Iterable[tuple[Field, Value]]:
        """Ask for it."""
        yield Field("text-single", "birthday", "Birthday"), room.states.get(self.name, {}).get(account.bare)

    def registrationRows(self, room: Room, account: JID, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """Keep it."""
        return {account.bare: values["birthday"] or None} if "birthday" in values else {}

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, Any]:
        """Forget it."""
        return {key: None for key, entry in changes.items() if entry is None or entry.nick is None}

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Note what has changed."""
        self.told.append(change)


class RegistrationTests(MUCTestCase):
    """An extension that asks for something at registration."""

    def setUp(self) -> None:
        self.birthdays = Birthdays()
        self.server = InMemoryServer(extensions=[self.birthdays])
        self.clients = []
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, persistentroom=True)

    def register(self, **more: Any) -> None:
        """Register Juliet."""
        fields = form(ns.MUC_REGISTER, {"muc#register_roomnick": "Juliet", **more})
        sendIQ(self.juliet, "set", f"<query xmlns='{ns.REGISTER}'>{fields}</query>")
        self.assertEqual(summaries(self.juliet), ["result q"])

    def shown(self) -> list[str] | None:
        """What the form of Juliet has."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.REGISTER}'/>")
        x = self.result(self.juliet).child("x", ns.DATA)
        assert x is not None
        return values(x)["birthday"]

    def stored(self) -> dict[str, Any]:
        """The rows in memory, which are also those of the store."""
        record = self.record()
        assert record is not None
        rows = self.room().states.get("birthdays", {})
        self.assertEqual(record.states.get("birthdays", {}), rows)
        return rows

    def test_registration(self) -> None:
        """Its fields are in the form, with the present value; what it keeps of them is stored with the registration."""
        self.assertEqual((self.shown(), self.stored()), ([], {}))
        self.register(birthday="31 July")
        self.assertEqual((self.shown(), self.stored()), (["31 July"], {"juliet@localhost": "31 July"}))
        self.register()
        self.assertEqual(self.shown(), ["31 July"])
        register(self.juliet, None)
        self.assertEqual((self.stored(), summaries(self.juliet)), ({}, ["result q"]))

    def test_told(self) -> None:
        """It is told, even if nothing else has changed."""
        self.register()
        self.birthdays.told.clear()
        self.register(birthday="31 July")
        [change] = self.birthdays.told
        self.assertEqual((change.affiliates, change.states), ({}, {("birthdays", "juliet@localhost"): "31 July"}))
        self.register()
        self.assertEqual(len(self.birthdays.told), 1)


class FieldTests(SynchronousTestCase):
    """Values of fields of extensions."""

    def test_values(self) -> None:
        """A value is that of the room or the default, as a form shows it."""
        defaults = {"persistent": True, "public": True, "membersOnly": False, "moderated": False}
        settings = RoomSettings(
            **defaults, nonAnonymous=False, historyLength=20, extensions={"a": 5, "b": ["x", "y"], "c": True}
        )
        for setting, default, expected in (("a", 1, "5"), ("b", [], ("x", "y")), ("c", False, True), ("d", 3, "3")):
            field = ExtensionField(setting, "v", "text-single", "", default=default)
            self.assertEqual(field.valueIn(settings), expected)


class RoomMessageTests(MUCTestCase):
    """What an extension learns of a message and of its author."""

    def test_published(self) -> None:
        """All that an archive needs; the room itself is an author as well."""
        found: list[Any] = []

        class Archive(RoomExtension):
            name = "archive"

            def published(self, room: Room, message: Any) -> None:
                found.append(message)

            def stampMessage(self, room: Room, id: str, message: Element) -> bytes:
                return f"<id xmlns='urn:x'>{id}</id>".encode()

            def left(self, room: Room, session: OccupantSession) -> None:
                found.append(session.jid)

        self.server = InMemoryServer(extensions=[Archive()])
        [romeo] = self.login("romeo")
        self.createRoom(romeo)
        say(romeo, "Hi")
        message = Element((ns.CLIENT, "message"), None, {"type": "groupchat", "from": ROOM})
        message.add("body", text="Be quiet")
        self.room().publish(None, message, kept=True)
        own, other = found
        self.assertEqual((own.sender, own.account, own.kept), (f"{ROOM}/Romeo", "romeo@localhost", True))
        self.assertEqual((other.sender, other.account), (ROOM, ""))
        self.assertIsInstance(own.rendered, Rendered)
        self.assertEqual([e.name for e in own.message.childElements()], ["body"])
        ids = [str(e.child("id", "urn:x")) for e in romeo.received()]
        self.assertEqual(ids, [each.rendered.element.child("id", "urn:x").text() for each in found])
        self.assertEqual([item.id for item in self.room().history], [own.id, other.id])
