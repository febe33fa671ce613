# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.archive} (XEP-0313 §6.1.2, XEP-0334)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from muccore.interfaces import ArchiveQuery, RoomRecord, StoreUnavailable, Subject
from muccore.muc.extensions.archive import EXPIRY_INTERVAL
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.defaults import defaultRoom
from muccore.testing.inmemory import Client
from muccore.xmpp import archivequeries, ns
from muccore.xmpp.archivereading import WAITING
from muccore.xmpp.element import Element
from tests.muc.extensions.retractions import retractAll
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    form,
    join,
    leave,
    role,
    say,
    sendAdmin,
    sendGroupchat,
    sendIQ,
    sendOwner,
    setSubject,
    summaries,
    values,
)

HINT = f"xmlns='{ns.HINTS}'"
DAY = 86400


class ArchiveStore(MemoryArchive):
    """
    Archives that fail on demand.

    @ivar broken: whether queries, appends and deletions fail.
    @ivar appended: how many items each call has appended.
    @ivar waiting: what queries wait for.
    """

    broken = False
    waiting: Deferred[None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[int] = []

    def query(self, archive: str, query: ArchiveQuery) -> Any:
        if self.broken:
            return fail(StoreUnavailable("test"))
        found = super().query(archive, query)
        return found if self.waiting is None else self.waiting.addCallback(lambda _: found)

    def append(self, archive: str, items: Any) -> Any:
        self.appended.append(len(items))
        return fail(StoreUnavailable("test")) if self.broken else super().append(archive, items)

    def delete(self, archive: str) -> Any:
        return fail(StoreUnavailable("test")) if self.broken else super().delete(archive)


class ArchiveTestCase(MUCTestCase):
    """A server with archives, and a room of Romeo's."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        self.archive = options.pop("archive", None) or ArchiveStore()
        self.archive.open()
        super().startServer(store, archive=self.archive, **options)

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, enablelogging=True, persistentroom=True)

    def restart(self) -> None:
        """Start the server again, with the same stores."""
        self.startServer(self.server.store, archive=self.archive)
        self.romeo, self.juliet = self.login("romeo", "juliet")

    def query(self, client: Client, inside: str = "", to: str = ROOM, **fields: Any) -> list[Element]:
        """What a client receives for a query."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        x = form(ns.MAM, named) if named else ""
        sendIQ(client, "set", f"<query xmlns='{ns.MAM}' queryid='q'>{x}{inside}</query>", to=to)
        return client.received()

    def found(self, client: Client, inside: str = "", **fields: Any) -> list[str]:
        """The bodies (or subjects) that a client finds."""
        *results, fin = self.query(client, inside, **fields)
        self.assertEqual((fin.name, fin.get("type")), ("iq", "result"), fin.toXml())
        return [self.text(forwarded(each)) for each in results]

    @staticmethod
    def text(message: Element) -> str:
        """The text of a message."""
        return message.childText("body") or f"subject {message.childText('subject')}"

    def ids(self, client: Client) -> list[str]:
        """The ids of all items."""
        return [result(each).attributes["id"] for each in self.query(client)[:-1]]


def result(message: Element) -> Element:
    """The result in a message."""
    found = message.child("result", ns.MAM)
    assert found is not None, message.toXml()
    return found


def forwarded(message: Element) -> Element:
    """The forwarded message in a result."""
    found = result(message).child("forwarded", ns.FORWARD)
    assert found is not None
    inner = found.child("message", ns.CLIENT)
    assert inner is not None
    return inner


class KeepingTests(ArchiveTestCase):
    """What is archived, and for how long."""

    def test_kept(self) -> None:
        """Bodies, subjects and what asks for it; no private messages, states, refused messages, nor against a hint."""
        self.enter(self.juliet)
        say(self.juliet, "one")
        setSubject(self.romeo, "two")
        self.juliet.sends(f"<message type='chat' to='{ROOM}/Romeo'><body>private</body></message>")
        sendGroupchat(self.juliet, "<active xmlns='http://jabber.org/protocol/chatstates'/>")
        sendGroupchat(self.juliet, f"<body>no</body><no-store {HINT}/>")
        sendGroupchat(self.juliet, f"<body>no</body><no-permanent-store {HINT}/>")
        sendGroupchat(self.juliet, f"<reactions xmlns='urn:xmpp:reactions:0'/><store {HINT}/>")
        setSubject(self.juliet, "refused")
        self.discardReceived()
        self.assertEqual(self.found(self.romeo), ["one", "subject two", "subject None"])

    def test_onlyArchivedHaveIds(self) -> None:
        """What is not archived has no stanza id, from which clients would continue (§3.5); the archive has the same."""
        sendGroupchat(self.romeo, "<body>one</body>")
        sendGroupchat(self.romeo, "<active xmlns='http://jabber.org/protocol/chatstates'/>")
        first, second = self.romeo.received()
        stamp = first.child("stanza-id", ns.STANZA_ID)
        assert stamp is not None
        self.assertIsNone(second.child("stanza-id", ns.STANZA_ID))
        self.assertEqual(self.ids(self.romeo), [stamp.attributes["id"]])

    def test_turn(self) -> None:
        """
        What is said in one turn is appended together, before anything is sent; and before anything else is requested of
        the archive.
        """
        later: list[Any] = []
        self.server.clock.callBeforeSending = later.append
        say(self.romeo, "one")
        say(self.romeo, "two")
        self.assertEqual((len(later), self.archive.appended), (1, []))
        later.pop()()
        self.assertEqual(self.archive.appended, [2])
        for act in (
            lambda: self.query(self.romeo),
            lambda: sendIQ(self.romeo, "get", f"<metadata xmlns='{ns.MAM}'/>"),
            lambda: retractAll(self.romeo, "jid='romeo@localhost'"),
            lambda: sendOwner(self.romeo, "<destroy/>"),
        ):
            self.archive.appended.clear()
            say(self.romeo, "three")
            self.assertEqual(self.archive.appended, [])
            act()
            self.assertEqual(self.archive.appended, [1])
            while later:
                later.pop()()

    def test_off(self) -> None:
        """Without the setting nothing is kept, nothing announced, and queries are refused."""
        say(self.romeo, "one")
        configure(self.romeo, enablelogging=False)
        say(self.romeo, "two")
        sendGroupchat(self.romeo, "<active xmlns='http://jabber.org/protocol/chatstates'/>")
        self.assertIsNotNone(self.romeo.received()[-1].child("stanza-id", ns.STANZA_ID))
        self.query(self.romeo)
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.MAM}'/>", id="r")
        sendIQ(self.romeo, "get", f"<metadata xmlns='{ns.MAM}'/>", id="s")
        self.assertEqual(
            summaries(self.romeo),
            ["error r cancel feature-not-implemented", "error s cancel feature-not-implemented"],
        )
        configure(self.romeo, enablelogging=True)
        self.romeo.received()
        self.assertEqual(self.found(self.romeo), ["one"])

    def test_statuses(self) -> None:
        """Occupants are told when it is switched on and off, newcomers that it is on (XEP-0045 §7.2.12, §10.2.1)."""
        join(self.juliet, "Juliet")
        [own] = [line for line in summaries(self.juliet) if line.startswith("Juliet")]
        self.assertIn(" 170", own)
        self.romeo.received()
        for value, code in ((False, 171), (True, 170)):
            configure(self.romeo, enablelogging=value)
            self.assertEqual(summaries(self.romeo), ["result q", f"room groupchat {code}"])

    def test_newRoomOfOldName(self) -> None:
        """Whoever creates a room of the same name does not find what was said in the former one."""
        say(self.romeo, "secret")
        sendOwner(self.romeo, "<destroy/>")
        self.assertEqual(self.successResultOf(self.archive.names("", 9)), [])
        # The tombstone of the former one expires.
        self.server.clock.advance(31 * 86400)
        self.createRoom(self.juliet, enablelogging=True)
        self.assertEqual(self.found(self.juliet), [])

    def test_temporaryRoom(self) -> None:
        """The archive of a temporary room ends with it."""
        other = ROOM.replace("room", "other")
        self.createRoom(self.romeo, to=other, enablelogging=True)
        say(self.romeo, "one", to=other)
        self.assertEqual(self.successResultOf(self.archive.names("", 9)), [other])
        leave(self.romeo, "Romeo", to=other)
        self.assertEqual(self.successResultOf(self.archive.names("", 9)), [])

    def test_failure(self) -> None:
        """A message that cannot be archived is sent all the same; the log says so, at most once a minute."""
        self.archive.broken = True
        for _ in range(3):
            say(self.romeo, "one")
        self.assertEqual(len(summaries(self.romeo)), 3)
        self.assertEqual(self.logged("archived"), ["1 messages could not be archived: test"])
        self.server.clock.advance(60)
        say(self.romeo, "one")
        self.assertEqual(self.logged("archived"), ["3 messages could not be archived: test"])
        self.archive.broken = False
        say(self.romeo, "two")
        self.romeo.received()
        self.assertEqual(self.found(self.romeo), ["two"])

    def logged(self, word: str) -> list[str]:
        """What was logged since the last call."""
        from twisted.logger import formatEvent

        lines = [formatEvent(event) for event in self.events]
        self.events.clear()
        return [line for line in lines if word in line]

    def run(self, result: Any) -> Any:
        """Collect log events."""
        from twisted.logger import globalLogPublisher

        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        try:
            return super().run(result)
        finally:
            globalLogPublisher.removeObserver(self.events.append)

    def say(self, text: str, days: int) -> None:
        """Say something, and let days pass."""
        say(self.romeo, text)
        self.server.clock.advance(days * DAY)
        self.romeo.received()

    def test_retention(self) -> None:
        """Messages are deleted when they are older than the room wants, whether it is in memory or not."""
        configure(self.romeo, **{"x-muc#roomconfig_archivedays": "7"})
        self.say("one", 4)
        self.say("two", 4)
        self.assertEqual(self.found(self.romeo), ["two"])
        leave(self.romeo, "Romeo")
        self.restart()
        self.server.clock.advance(4 * DAY)
        self.assertEqual(self.successResultOf(self.archive.names("", 9)), [ROOM])
        self.assertEqual(self.found(self.romeo), ["two"])

    def test_maximumRetention(self) -> None:
        """No longer than the server allows."""
        self.startServer(archiveRetention=2 * DAY)
        [self.romeo] = self.login("romeo")
        self.createRoom(self.romeo, enablelogging=True, **{"x-muc#roomconfig_archivedays": "7"})
        self.say("one", 1)
        self.say("two", 1)
        self.server.clock.advance(EXPIRY_INTERVAL)
        self.assertEqual(self.found(self.romeo), ["two"])

    def test_orphans(self) -> None:
        """An archive whose room does not exist any more is deleted; those of others stay."""
        say(self.romeo, "one")
        for name in (f"gone@{HOST}", "juliet@localhost", f"room@other.{HOST}"):
            item = self.successResultOf(self.archive.query(ROOM, ArchiveQuery())).items[0]
            self.archive.append(name, [item])
        self.server.clock.advance(EXPIRY_INTERVAL)
        self.assertEqual(
            self.successResultOf(self.archive.names("", 9)), ["juliet@localhost", ROOM, f"room@other.{HOST}"]
        )

    def test_stopped(self) -> None:
        """After the end nothing is done any more."""
        self.successResultOf(self.server.muc.shutDown(False))
        self.assertEqual([call for call in self.server.clock.getDelayedCalls() if "archive" in repr(call).lower()], [])


class LeftTests(ArchiveTestCase):
    """An archive that cannot be deleted when its room ends."""

    def setUp(self) -> None:
        """Juliet has said something in the room."""
        super().setUp()
        self.enter(self.juliet)
        say(self.juliet, "in confidence")
        self.archive.broken = True

    def destroy(self) -> None:
        """Let the owner destroy the room, without a tombstone."""
        sendOwner(self.romeo, "<destroy/>")
        self.server.muc.rooms.store._tombstones.clear()
        self.discardReceived()

    def test_refused(self) -> None:
        """Nobody creates a room of that name before it is deleted; then it is empty."""
        self.destroy()
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertReceived(tybalt, "Tybalt presence error wait internal-server-error")
        self.archive.broken = False
        self.createRoom(tybalt, enablelogging=True)
        self.assertEqual(self.found(tybalt), [])

    def test_unknown(self) -> None:
        """If the server has forgotten that it is left, the new room stays locked."""
        self.archive.broken = False
        self.server.store.destroy(ROOM)
        self.restart()
        self.archive.broken = True
        join(self.romeo, "Romeo")
        self.discardReceived()
        for expected in ("error q wait internal-server-error", "result q"):
            configure(self.romeo, enablelogging=True)
            self.assertEqual(summaries(self.romeo)[0], expected)
            self.archive.broken = False
        self.assertEqual(self.found(self.romeo), [])

    def test_open(self) -> None:
        """Where rooms are not locked, it cannot be read."""
        self.archive.broken = False
        self.server.store.destroy(ROOM)
        self.startServer(self.server.store, archive=self.archive, lockNewRooms=False)
        self.archive.broken = True
        [romeo] = self.login("romeo")
        join(romeo, "Romeo")
        self.archive.broken = False
        configure(romeo, enablelogging=True)
        self.archive.broken = True
        self.discardReceived()
        for payload in (f"<query xmlns='{ns.MAM}'/>", f"<metadata xmlns='{ns.MAM}'/>"):
            sendIQ(romeo, "set" if "query" in payload else "get", payload)
            self.assertEqual(summaries(romeo)[-1], "error q wait internal-server-error")
        self.archive.broken = False
        self.assertEqual(self.found(romeo), [])


class HistoryTests(ArchiveTestCase):
    """The history after a restart."""

    def history(self) -> list[str]:
        """The history that a newcomer gets."""
        join(self.juliet, "Juliet")
        return [line for line in summaries(self.juliet) if "delayed" in line]

    def test_restart(self) -> None:
        """It comes from the archive: the last messages with a body, with their times, senders and ids."""
        configure(self.romeo, **{"muc#maxhistoryfetch": 2})
        for text in ("one", "two", "three"):
            say(self.romeo, text)
            setSubject(self.romeo, text)
        join(self.juliet, "Juliet")
        before = [each for each in self.juliet.received() if each.child("body") is not None]
        self.restart()
        self.server.clock.advance(77)
        join(self.juliet, "Juliet")
        after = [each for each in self.juliet.received() if each.child("body") is not None]
        self.assertEqual([each.toXml() for each in after], [each.toXml() for each in before])
        self.assertEqual(len(after), 2)

    def test_imported(self) -> None:
        """A message that has its own delay gets no second one."""
        sendGroupchat(
            self.romeo, f"<body>old</body><delay xmlns='{ns.DELAY}' from='x@y' stamp='2002-09-10T23:08:25Z'/>"
        )
        before = self.history()
        self.restart()
        join(self.juliet, "Juliet")
        [message] = [each for each in self.juliet.received() if each.child("body") is not None]
        self.assertEqual(message.toXml().count("<delay"), 1)
        self.assertEqual(before, [])

    def test_retracted(self) -> None:
        """A tombstone is no part of it."""
        say(self.romeo, "one")
        say(self.romeo, "two")
        self.romeo.received()
        first = self.ids(self.romeo)[0]
        item = self.successResultOf(self.archive.get(ROOM, first))
        self.successResultOf(self.archive.retract(ROOM, {first: item.stanza}))
        self.restart()
        self.assertEqual(self.history(), ["Romeo groupchat body:two delayed"])

    def test_failure(self) -> None:
        """A room whose archive cannot be read is there without history."""
        say(self.romeo, "one")
        self.archive.broken = True
        self.restart()
        self.assertEqual(self.history(), [])
        self.assertEqual(len(self.flushLoggedErrors(StoreUnavailable)), 1)

    def test_none(self) -> None:
        """A room without history or without archive asks for nothing."""
        for settings in ({"historyLength": 0}, {"logged": False}):
            settings = defaultRoom(persistent=True, **{"logged": True, **settings})
            self.server.store.save(f"x@{HOST}", RoomRecord(settings.toMapping(), {}, Subject("s", "", 0.0)))
            self.archive.broken = True
            self.startServer(self.server.store, archive=self.archive)
            juliet = self.client("juliet")
            join(juliet, "Juliet", to=f"x@{HOST}")
            self.assertEqual(len(summaries(juliet)), 2)


class ReadingTests(ArchiveTestCase):
    """Queries, and who may make them."""

    def setUp(self) -> None:
        super().setUp()
        self.enter(self.juliet)
        for number, client in enumerate((self.romeo, self.juliet, self.romeo, self.juliet)):
            say(client, f"message {number}")
            self.server.clock.advance(60)
        self.discardReceived()

    def test_results(self) -> None:
        """Results come from the room, in order, before the end; without C{to}, and C{from} the occupant."""
        *results, fin = self.query(self.juliet)
        self.assertEqual([each.get("from") for each in results], [ROOM] * 4)
        self.assertEqual([result(each).get("queryid") for each in results], ["q"] * 4)
        self.assertEqual([forwarded(each).get("to") for each in results], [None] * 4)
        self.assertEqual([forwarded(each).get("from") for each in results], [f"{ROOM}/Romeo", f"{ROOM}/Juliet"] * 2)
        end = fin.child("fin", ns.MAM)
        assert end is not None
        self.assertEqual(end.attributes, {"complete": "true"})
        self.assertEqual(fin.get("from"), ROOM)

    def test_filters(self) -> None:
        """By time, ids, sender and words; pages, also from the end and flipped."""
        ids = self.ids(self.juliet)
        every = [f"message {number}" for number in range(4)]
        for expected, inside, fields in (
            (every[1:], "", {"start": "2001-09-09T01:47:40Z"}),
            (every[:1], "", {"end": "2001-09-09T01:47:39Z"}),
            (every[2:], "", {"after_id": ids[1]}),
            (every[:3], "", {"before_id": ids[3]}),
            ([every[0], every[3]], "", {"ids": [ids[3], ids[0]]}),
            (every[::2], "", {"with": f"{ROOM}/Romeo"}),
            (every, "", {"with": ROOM}),
            ([], "", {"with": f"{ROOM}/Nobody"}),
            ([every[2]], "", {f"{{{ns.FULL_TEXT}}}fulltext": "MESSAGE 2"}),
            (every[:2], f"<set xmlns='{ns.RSM}'><max>2</max></set>", {}),
            (every[2:], f"<set xmlns='{ns.RSM}'><max>2</max><after>{ids[1]}</after></set>", {}),
            (every[2:], f"<set xmlns='{ns.RSM}'><max>2</max><before/></set>", {}),
            (every[:1:-1], f"<set xmlns='{ns.RSM}'><max>2</max><before/></set><flip-page/>", {}),
        ):
            self.assertEqual(self.found(self.juliet, inside, **fields), expected, (inside, fields))

    def test_notFound(self) -> None:
        """An id that is not in the archive is an error (§4.1.3, §4.3.2)."""
        for inside, fields in (
            ("", {"after_id": "x"}),
            ("", {"before_id": "x"}),
            ("", {"ids": ["x"]}),
            (f"<set xmlns='{ns.RSM}'><after>x</after></set>", {}),
        ):
            answers = self.query(self.juliet, inside, **fields)
            self.assertEqual([str(each.get("type")) for each in answers], ["error"])
            self.assertIn("item-not-found", answers[0].toXml())

    def test_tooLong(self) -> None:
        """More words than a store searches are refused."""
        fields = {f"{{{ns.FULL_TEXT}}}fulltext": " ".join(f"w{number}" for number in range(100))}
        [error] = self.query(self.juliet, **fields)
        self.assertIn("policy-violation", error.toXml())

    def test_longMessages(self) -> None:
        """A page of long messages ends early; clients that follow the pages, forwards or backwards, find all."""
        texts = [f"{number} " + "x" * 200_000 for number in range(8)]
        for text in texts:
            say(self.romeo, text)
        self.discardReceived()
        for backwards in (False, True):
            found: list[str] = []
            inside, sizes = "<before/>" if backwards else "", []
            while True:
                *results, fin = self.query(self.romeo, f"<set xmlns='{ns.RSM}'>{inside}</set>")
                page = [self.text(forwarded(each)) for each in results]
                sizes.append(sum(map(len, page)))
                found = page + found if backwards else found + page
                [end] = fin.childElements()
                if end.get("complete") == "true":
                    break
                which = "first" if backwards else "last"
                [rsm] = end.childElements()
                tag = "before" if backwards else "after"
                inside = f"<{tag}>{rsm.childText(which)}</{tag}>"
            self.assertEqual([text for text in found if "x" in text], texts)
            self.assertLess(max(sizes), archivequeries.SIZE)

    def test_realJIDs(self) -> None:
        """Those who may see real JIDs get them, and may filter by them; others are refused (§4.1.1, §6.1.2)."""
        self.assertEqual(self.found(self.romeo, **{"with": "juliet@localhost"}), ["message 1", "message 3"])
        item = forwarded(self.query(self.romeo)[0]).child("x", ns.MUC_USER)
        assert item is not None
        self.assertEqual(next(item.childElements()).attributes, {"jid": "romeo@localhost"})
        [error] = self.query(self.juliet, **{"with": "romeo@localhost"})
        self.assertIn("forbidden", error.toXml())
        self.assertIsNone(forwarded(self.query(self.juliet)[0]).child("x", ns.MUC_USER))
        configure(self.romeo, whois="anyone")
        self.discardReceived()
        self.assertIsNotNone(forwarded(self.query(self.juliet)[0]).child("x", ns.MUC_USER))
        self.assertIsNotNone(forwarded(self.query(self.client("paris"))[0]).child("x", ns.MUC_USER))

    def test_realJIDsFromOutside(self) -> None:
        """Outside the room, admins and owners may know them; a moderator who has left may not."""
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        leave(self.juliet, "Juliet")
        self.discardReceived()
        self.assertIsNone(forwarded(self.query(self.juliet)[0]).child("x", ns.MUC_USER))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.discardReceived()
        self.assertIsNotNone(forwarded(self.query(self.juliet)[0]).child("x", ns.MUC_USER))

    def test_access(self) -> None:
        """Those who may enter may read: in an open room all but outcasts, also from outside."""
        paris, nurse, tybalt = self.login("paris", "nurse", "tybalt")
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"))
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        for fields, allowed in (
            ({}, [self.juliet, paris, nurse]),
            ({"passwordprotectedroom": True, "roomsecret": "s"}, [self.juliet, nurse]),
            ({"passwordprotectedroom": False, "membersonly": True}, [nurse]),
        ):
            configure(self.romeo, **fields)
            self.discardReceived()
            for client in (self.romeo, self.juliet, paris, nurse, tybalt):
                for kind, payload in (
                    ("set", f"<query xmlns='{ns.MAM}'/>"),
                    ("get", f"<query xmlns='{ns.MAM}'/>"),
                    ("get", f"<metadata xmlns='{ns.MAM}'/>"),
                ):
                    sendIQ(client, kind, payload)
                    *results, answer = client.received()
                    expected = "result" if client is self.romeo or client in allowed else "error"
                    self.assertEqual(answer.get("type"), expected, (client.address, fields, payload))
                    self.assertEqual(len(results), 4 if expected == "result" and kind == "set" else 0)
                    if expected == "error":
                        self.assertIn("<forbidden", answer.toXml())

    def test_noRoom(self) -> None:
        """A room that does not exist, or not yet, is not found."""
        for to in (f"x@{HOST}", f"y@{HOST}"):
            [error] = self.query(self.juliet, to=to)
            self.assertIn("item-not-found", error.toXml())
            join(self.romeo, "Romeo", to=f"y@{HOST}")

    def test_bannedMeanwhile(self) -> None:
        """Who is banned while the store works gets nothing."""
        self.archive.waiting = Deferred()
        sendIQ(self.juliet, "set", f"<query xmlns='{ns.MAM}'/>")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "outcast"))
        self.juliet.received()
        self.archive.waiting.callback(None)
        self.assertEqual(summaries(self.juliet), ["error q auth forbidden"])

    def test_manyQueries(self) -> None:
        """One account has a bounded number of queries under way."""
        self.archive.waiting = Deferred()
        for _ in range(WAITING + 1):
            sendIQ(self.juliet, "set", f"<query xmlns='{ns.MAM}'/>")
        self.assertEqual(summaries(self.juliet), ["error q wait resource-constraint"])
        self.archive.waiting.callback(None)
        self.assertEqual(len(self.juliet.received()), WAITING * 5)
        self.archive.waiting = succeed(None)
        self.assertEqual(len(self.found(self.juliet)), 4)

    def test_failure(self) -> None:
        """If the store fails, the client may try again later."""
        self.archive.broken = True
        self.query(self.juliet)
        sendIQ(self.juliet, "set", f"<query xmlns='{ns.MAM}'/>")
        self.assertEqual(summaries(self.juliet), ["error q wait internal-server-error"])

    def test_form(self) -> None:
        """The fields of queries (§4.1.5)."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.MAM}'/>")
        [answer] = self.juliet.received()
        self.assertEqual(next(answer.childElements()).toXml(), archivequeries.form().toXml())

    def test_metadata(self) -> None:
        """The ends of the archive (§5)."""
        ids = self.ids(self.juliet)
        sendIQ(self.juliet, "get", f"<metadata xmlns='{ns.MAM}'/>")
        [answer] = self.juliet.received()
        [start, end] = next(answer.childElements()).childElements()
        self.assertEqual(start.attributes, {"id": ids[0], "timestamp": "2001-09-09T01:46:40Z"})
        self.assertEqual(end.attributes, {"id": ids[3], "timestamp": "2001-09-09T01:49:40Z"})

    def test_discovery(self) -> None:
        """A room with an archive says so, and the form has the fields."""
        for logged in (True, False):
            configure(self.romeo, enablelogging=logged)
            self.discardReceived()
            sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
            [answer] = self.juliet.received()
            for feature in ("urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:fulltext:0"):
                (self.assertIn if logged else self.assertNotIn)(f"'{feature}'", answer.toXml())
            sendOwner(self.romeo, type="get")
            [answer] = self.romeo.received()
            x = next(answer.childElements()).child("x", ns.DATA)
            assert x is not None
            self.assertEqual(values(x)["muc#roomconfig_enablelogging"], [str(int(logged))])
            self.assertEqual(values(x)["x-muc#roomconfig_archivedays"], ["0"])
