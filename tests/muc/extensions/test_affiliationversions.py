# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.affiliationversions} (XEP-0463)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import RoomRecord
from muccore.muc.extensions import affiliationversions
from muccore.muc.model.privileges import Affiliation
from muccore.muc.protocol.admin import visibleLists
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    codesOf,
    configure,
    execute,
    form,
    join,
    leave,
    mucUser,
    sendAdmin,
    sendIQ,
    summaries,
)

MAV = f"<mav xmlns='{ns.MUC_AFFILIATIONS}'/>"


def since(version: str) -> str:
    """A request for what has changed since a version."""
    return MAV.replace("/>", f" since='{version}'/>")


def mavOf(stanza: Element) -> tuple[str | None, str] | None:
    """The versions in a stanza: since and until; C{None} if it has none."""
    x = stanza.child("x", ns.MUC_USER)
    mav = None if x is None else x.child("mav", ns.MUC_AFFILIATIONS)
    return None if mav is None else (mav.get("since"), mav.attributes["until"])


def itemsOf(message: Element) -> dict[str, str]:
    """The affiliations in a message."""
    items = [child for child in mucUser(message).childElements() if child.name == "item"]
    return {item.attributes["jid"]: item.attributes["affiliation"] for item in items}


class Entry:
    """
    What a client was sent when it entered.

    @ivar answers: the messages before its first presence.
    @ivar items: the affiliations in them.
    @ivar since: the first version in them, if any; C{None} for whole lists.
    @ivar until: the version in its own presence, if any.
    """

    def __init__(self, client: Client, nick: str, mav: str = MAV) -> None:
        join(client, nick, x=mav, id="j")
        received = client.received()
        first = next(index for index, stanza in enumerate(received) if stanza.name == "presence")
        self.answers, rest = received[:first], received[first:]
        self.items = {
            jid: word for each in self.answers if each.get("type") is None for jid, word in itemsOf(each).items()
        }
        own = [stanza for stanza in rest if 110 in codesOf(stanza)]
        versions = mavOf(own[0])
        self.until = None if versions is None else versions[1]
        chain = [mavOf(each) for each in self.answers if each.get("type") is None]
        self.since = chain[0][0] if chain and chain[0] is not None else None
        self.chain = chain


class UnorderedRooms(FailingRoomStore):
    """A store that returns rows in the opposite order, as it may."""

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load<muccore.interfaces.IRoomStore.load>}."""

        def reverse(record: RoomRecord | None) -> RoomRecord | None:
            if record is None:
                return None
            states = {name: dict(reversed(rows.items())) for name, rows in record.states.items()}
            return replace(record, states=states)

        return self.inner.load(room).addCallback(reverse)


class VersionTestCase(MUCTestCase):
    """A non-anonymous room of Romeo's, in which Juliet is a member and Tybalt banned."""

    fields: dict[str, object] = {"persistentroom": True, "whois": "anyone"}

    def setUp(self) -> None:
        super().setUp()
        [self.romeo] = self.login("romeo")
        self.createRoom(self.romeo, **self.fields)
        self.change(affiliation("juliet@localhost", "member"), affiliation("tybalt@localhost", "outcast"))
        self.juliet = self.client("juliet")

    def change(self, *items: str) -> None:
        """Change affiliations; discard what clients have received."""
        sendAdmin(self.romeo, *items)
        self.assertIn("result q", summaries(self.romeo))
        self.discardReceived()

    def again(self, client: Client, nick: str, mav: str = MAV) -> Entry:
        """Leave and enter again."""
        leave(client, nick)
        self.discardReceived()
        return Entry(client, nick, mav)


class ConcurrentTests(VersionTestCase):
    """Changes that are committed at the same time."""

    def setUp(self) -> None:
        super().setUp()
        self.failing = FailingRoomStore(self.server.store)
        self.store = DelayedRoomStore(self.failing)
        self.server.muc.rooms.store = self.store
        self.second = self.client("romeo/b")
        self.known = Entry(self.juliet, "Juliet").until or ""

    def changeBoth(self) -> None:
        """Let two changes be on their way to the store."""
        sendAdmin(self.romeo, affiliation("a@localhost", "member"))
        sendAdmin(self.second, affiliation("b@localhost", "member"))
        self.assertEqual(len(self.store.held), 2)

    def loadAgain(self) -> None:
        """Let the room be loaded from the store."""
        leave(self.romeo, "Romeo")
        leave(self.juliet, "Juliet")
        self.server.muc.rooms.forget(self.room())
        self.discardReceived()

    def test_both(self) -> None:
        """Each has a version of its own, in the order in which they are announced, also for who was away."""
        self.changeBoth()
        self.store.release()
        first, second = [mavOf(each) for each in self.juliet.received() if mavOf(each)]
        assert first is not None and second is not None
        self.assertEqual((first[0], first[1]), (self.known, second[0]))
        self.loadAgain()
        entry = Entry(self.juliet, "Juliet", since(self.known))
        self.assertEqual((entry.items, entry.since), ({"a@localhost": "member", "b@localhost": "member"}, self.known))
        self.assertEqual(entry.until, second[1])

    def test_locked(self) -> None:
        """What creates a room in the store while that takes time has the rows that the room has afterwards."""
        other = ROOM.replace("room", "other")
        join(self.romeo, "Romeo", to=other)
        configure(self.romeo, to=other, roomadmins=["juliet@localhost"], persistentroom=True)
        self.store.release()
        self.assertEqual(self.room(other).record(), self.storedRecord(other))

    def test_oneFails(self) -> None:
        """If the first is not stored, nobody gets a difference that lacks anything, then and later."""
        self.changeBoth()
        self.failing.failing = frozenset(("change",))
        self.store.release(1)
        self.failing.failing = frozenset()
        self.store.release()
        [second] = [mavOf(each) for each in self.juliet.received() if mavOf(each)]
        assert second is not None
        self.assertNotEqual(second[0], self.known)
        sendAdmin(self.romeo, affiliation("c@localhost", "member"))
        self.store.release()
        self.loadAgain()
        for known, wanted in ((self.known, None), (second[1], {"c@localhost": "member"})):
            entry = Entry(self.juliet, "Juliet", since(known))
            if wanted is None:
                self.assertIsNone(entry.since)
                self.assertEqual(set(entry.items), {f"{each}@localhost" for each in ("romeo", "juliet", "b", "c")})
            else:
                self.assertEqual((entry.items, entry.since), (wanted, known))
            leave(self.juliet, "Juliet")
            self.discardReceived()


class VersionTests(VersionTestCase):
    """Entering with a version."""

    def test_feature(self) -> None:
        """The room announces it (§4)."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        features = [e.get("var") for e in self.result(self.romeo).childElements() if e.name == "feature"]
        self.assertIn(ns.MUC_AFFILIATIONS, features)

    def test_bootstrap(self) -> None:
        """Without a version, whole lists come before any presence, and the version in the own presence (§5.2.1)."""
        entry = Entry(self.juliet, "Juliet")
        [message] = entry.answers
        self.assertEqual((message.name, message.get("type"), message.get("from")), ("message", None, ROOM))
        # Outcasts are for admins (XEP-0045 §9.2).
        self.assertEqual(entry.items, {"romeo@localhost": "owner", "juliet@localhost": "member"})
        self.assertEqual(entry.chain, [(None, entry.until)])
        owner = self.again(self.romeo, "Romeo")
        self.assertEqual(owner.items, {**entry.items, "tybalt@localhost": "outcast"})

    def test_notShown(self) -> None:
        """Others do not see that somebody asks (§5.1)."""
        join(self.juliet, "Juliet", x=MAV)
        for stanza in self.romeo.received():
            self.assertNotIn("mav", stanza.toXml())

    def test_notAsked(self) -> None:
        """Who does not ask gets nothing of it, now or later."""
        join(self.juliet, "Juliet")
        self.change(affiliation("juliet@localhost", "admin"))
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"), affiliation("juliet@localhost", "member"))
        for stanza in (*self.juliet.received(), *self.romeo.received()):
            self.assertNotIn("mav", stanza.toXml())

    def test_current(self) -> None:
        """With the present version there is no message."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        again = self.again(self.juliet, "Juliet", since(first.until))
        self.assertEqual((again.answers, again.until), ([], first.until))

    def test_difference(self) -> None:
        """With an earlier one, what has changed since comes, with both versions; outcasts count as none for members."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        leave(self.juliet, "Juliet")
        self.change(affiliation("nurse@localhost", "member"), affiliation("paris@localhost", "admin"))
        self.change(affiliation("paris@localhost", "none"))
        self.change(affiliation("nurse@localhost", "owner"), affiliation("mercutio@localhost", "outcast"))
        again = Entry(self.juliet, "Juliet", since(first.until))
        # Paris was not there then and is not now; that they were in between is nobody's business.
        self.assertEqual(again.items, {"nurse@localhost": "owner"})
        self.assertEqual(again.chain, [(first.until, again.until)])
        self.assertNotEqual(again.until, first.until)
        leave(self.juliet, "Juliet")
        self.change(affiliation("nurse@localhost", "outcast"))
        assert again.until is not None
        third = Entry(self.juliet, "Juliet", since(again.until))
        self.assertEqual((third.items, third.since), ({"nurse@localhost": "none"}, again.until))

    def test_nothingLeft(self) -> None:
        """A difference is never empty: if nothing is left of the changes, whole lists come."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        leave(self.juliet, "Juliet")
        self.change(affiliation("paris@localhost", "admin"))
        self.change(affiliation("paris@localhost", "none"))
        again = Entry(self.juliet, "Juliet", since(first.until))
        self.assertEqual((again.items, again.since), (first.items, None))

    def test_unknown(self) -> None:
        """With a version that was not given, whole lists come."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        self.change(affiliation("nurse@localhost", "member"))
        for version in (
            "",
            "1",
            "0-00",
            "x-y",
            "²-1",
            "-1",
            f"{10**12}-1",
            "9" * 5000,
            first.until[:-1],
            f"{first.until}.1",
        ):
            again = self.again(self.juliet, "Juliet", since(version))
            self.assertEqual((again.items["nurse@localhost"], again.since), ("member", None), version)

    def test_otherLists(self) -> None:
        """A version of who could see other lists is unknown: what is cached would not be complete."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        leave(self.juliet, "Juliet")
        self.change(affiliation("juliet@localhost", "admin"))
        again = Entry(self.juliet, "Juliet", since(first.until))
        self.assertIsNone(again.since)
        self.assertEqual(again.items["tybalt@localhost"], "outcast")

    def test_forbidden(self) -> None:
        """Who may see no list gets an error with the id of the presence, and enters (§5.2.3)."""
        configure(self.romeo, whois="moderators")
        self.discardReceived()
        entry = Entry(self.juliet, "Juliet")
        [error] = entry.answers
        self.assertEqual(error.get("id"), "j")
        self.assertEqual((error.name, error.get("from")), ("message", ROOM))
        [refusal] = [each for each in error.childElements() if each.name == "error"]
        self.assertEqual((refusal.get("type"), refusal.get("by")), ("auth", ROOM))
        self.assertEqual(next(refusal.childElements()).name, "forbidden")
        self.assertIsNone(entry.until)
        self.change(affiliation("nurse@localhost", "member"), affiliation("juliet@localhost", "none"))
        self.assertEqual([mavOf(each) for each in self.juliet.received()], [])

    def test_nicks(self) -> None:
        """A reserved nick changes no affiliation, and no version."""
        first = Entry(self.juliet, "Juliet")
        self.change(affiliation("juliet@localhost", "member", nick="Capulet"))
        self.assertEqual(self.again(self.juliet, "Juliet").until, first.until)

    def test_restart(self) -> None:
        """Versions and changes are stored."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        leave(self.juliet, "Juliet")
        for number in range(12):
            self.change(affiliation(f"m{number}@localhost", "member"))
        self.startServer(self.server.store)
        self.romeo, self.juliet = self.login("romeo", "juliet")
        again = Entry(self.juliet, "Juliet", since(first.until))
        self.assertEqual(again.items, {f"m{number}@localhost": "member" for number in range(12)})
        assert again.until is not None
        join(self.romeo, "Romeo")
        self.change(affiliation("m0@localhost", "none"))
        last = self.again(self.juliet, "Juliet", since(again.until))
        self.assertEqual((last.items, last.since), ({"m0@localhost": "none"}, again.until))

    def test_endedWhileNotLoaded(self) -> None:
        """What ends while the room is loaded is the next version, in whatever order the store has kept the rows."""
        membership = form("x-muc#timed", {"jid": "paris@localhost", "duration": "1h"})
        execute(self.romeo, "x-muc#member", membership, action="complete")
        self.change(affiliation("nurse@localhost", "member"))
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        now = self.server.clock.seconds()
        self.startServer(UnorderedRooms(self.server.store))
        self.server.clock.advance(now + 3600 - self.server.clock.seconds())
        self.juliet = self.client("juliet")
        last = Entry(self.juliet, "Juliet", since(first.until))
        self.assertEqual((last.items, last.since), ({"paris@localhost": "none"}, first.until))

    def test_otherRoom(self) -> None:
        """A room of the same name does not know the versions of an earlier one."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        sendIQ(self.romeo, "set", f"<query xmlns='{ns.MUC_OWNER}'><destroy/></query>")
        self.createRoom(self.romeo, **self.fields)
        self.change(affiliation("juliet@localhost", "member"), affiliation("tybalt@localhost", "outcast"))
        self.assertIsNone(Entry(self.juliet, "Juliet", since(first.until)).since)

    def test_bounded(self) -> None:
        """Only the last changes are kept; who is further behind gets whole lists."""
        self.patch(affiliationversions, "LOG_LIMIT", 5)
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        versions = [first.until]
        for number in range(8):
            self.change(affiliation(f"m{number}@localhost", "member"), affiliation(f"n{number}@localhost", "member"))
            again = self.again(self.juliet, "Juliet", since(versions[-1]))
            self.assertEqual((len(again.items), again.since), (2, versions[-1]))
            assert again.until is not None
            versions.append(again.until)
            self.assertLessEqual(len(self.storedRecord().states["affiliation-version"]), 3)
        for known, expected in ((versions[-3], 4), (versions[-4], 6), (versions[-5], 18), (versions[0], 18)):
            self.assertEqual(len(self.again(self.juliet, "Juliet", since(known)).items), expected)
        self.assertEqual(self.room().record(), self.storedRecord())

    def test_tooMany(self) -> None:
        """More changes at once than are kept: whole lists."""
        self.patch(affiliationversions, "LOG_LIMIT", 5)
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        self.change(*(affiliation(f"m{number}@localhost", "member") for number in range(6)))
        again = self.again(self.juliet, "Juliet", since(first.until))
        self.assertEqual((len(again.items), again.since), (8, None))
        assert again.until is not None
        self.change(affiliation("m0@localhost", "none"))
        self.assertEqual(self.again(self.juliet, "Juliet", since(again.until)).items, {"m0@localhost": "none"})
        self.assertEqual(len(self.again(self.juliet, "Juliet", since(first.until)).items), 7)

    def test_pages(self) -> None:
        """Long answers come in several messages, whose versions continue each other."""
        self.patch(affiliationversions, "ITEMS", 3)
        self.change(*(affiliation(f"m{number}@localhost", "member") for number in range(6)))
        entry = Entry(self.juliet, "Juliet")
        self.assertEqual([len(itemsOf(each)) for each in entry.answers], [3, 3, 2])
        chain = [each for each in entry.chain if each is not None]
        self.assertEqual([start for start, _ in chain], [None, *(end for _, end in chain[:-1])])
        self.assertEqual(chain[-1][1], entry.until)
        self.assertEqual(len({end for _, end in chain}), 3)
        # Whoever stops after a part has no version that is known.
        self.assertIsNone(self.again(self.juliet, "Juliet", since(chain[0][1])).since)

    def test_locked(self) -> None:
        """Changes before a room is stored count as well."""
        other = ROOM.replace("room", "other")
        join(self.romeo, "Romeo", to=other)
        configure(self.romeo, to=other, roomadmins=["juliet@localhost"], persistentroom=True)
        stored = self.storedRecord(other).states["affiliation-version"]
        self.assertEqual(list(stored.values()), [[["juliet@localhost", "none"]]])
        self.assertEqual(self.room(other).record(), self.storedRecord(other))


class BroadcastTests(VersionTestCase):
    """What announces changes (§5.2.2)."""

    def test_broadcast(self) -> None:
        """Presence and messages have the version before and after, in a chain that ends with the new one."""
        paris = self.client("paris")
        join(paris, "Paris")
        first = Entry(self.juliet, "Juliet")
        self.discardReceived()
        for items, names in (
            ([affiliation("nurse@localhost", "member")], ["message"]),
            ([affiliation("paris@localhost", "admin")], ["presence"]),
            ([affiliation("juliet@localhost", "none")], ["presence"]),
            (
                [
                    affiliation("paris@localhost", "outcast"),
                    affiliation("nurse@localhost", "none"),
                    affiliation("juliet@localhost", "member"),
                    affiliation("earthly.lit", "outcast"),
                ],
                ["message", "message", "presence", "presence"],
            ),
        ):
            sendAdmin(self.romeo, *items)
            received = self.juliet.received()
            self.assertEqual([each.name for each in received], names)
            chain = [versions for versions in map(mavOf, received) if versions is not None]
            self.assertEqual(len(chain), len(items))
            self.assertEqual([start for start, _ in chain], [first.until, *(end for _, end in chain[:-1])])
            current = chain[-1][1]
            self.discardReceived()
            again = Entry(self.juliet, "Juliet", since(current))
            self.assertEqual((again.answers, again.until), ([], current))
            first = again

    def test_domain(self) -> None:
        """A domain's entry is announced itself; the presence of its users, which follows from it, has no version."""
        Entry(self.juliet, "Juliet")
        self.enter("paris")
        sendAdmin(self.romeo, affiliation("localhost", "member"))
        received = self.juliet.received()
        self.assertEqual(
            [(each.name, mavOf(each) is not None) for each in received], [("message", True), ("presence", False)]
        )
        self.assertEqual(itemsOf(received[0]), {"localhost": "member"})

    def test_rightsChange(self) -> None:
        """Who may see other lists than when they entered gets no more versions, since they would not be complete."""
        first = Entry(self.juliet, "Juliet")
        assert first.until is not None
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertEqual([mavOf(each) for each in self.juliet.received()], [None])
        self.change(affiliation("juliet@localhost", "member"))
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"))
        self.assertEqual([mavOf(each) for each in self.juliet.received()], [None])
        again = self.again(self.juliet, "Juliet", since(first.until))
        self.assertEqual(
            (again.items, again.since), ({"nurse@localhost": "member", "juliet@localhost": "member"}, first.until)
        )

    def test_forms(self) -> None:
        """Changes by the configuration form and by registration count as well."""
        first = Entry(self.juliet, "Juliet")
        configure(self.romeo, roomadmins=["nurse@localhost"])
        [message, *_] = self.juliet.received()
        versions = mavOf(message)
        assert versions is not None
        self.assertEqual(versions[0], first.until)

    def test_domainInstead(self) -> None:
        """When an entry ends and that of the domain counts instead, the presence tells of the latter only."""
        paris = self.client("paris")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("paris@localhost", "member"))
        sendAdmin(self.romeo, affiliation("localhost", "outcast"))
        join(paris, "Paris")
        Entry(self.juliet, "Juliet")
        sendAdmin(self.romeo, affiliation("paris@localhost", "none"))
        stamped = {each.name: itemsOf(each) for each in self.juliet.received() if mavOf(each) is not None}
        self.assertEqual(stamped, {"message": {"paris@localhost": "none"}})

    def test_roles(self) -> None:
        """A role has no version."""
        Entry(self.juliet, "Juliet")
        sendAdmin(self.romeo, "<item nick='Juliet' role='moderator'/>")
        self.assertEqual([mavOf(each) for each in self.juliet.received()], [None])


class CacheTests(SynchronousTestCase):
    """Whatever happens, a client that caches what it is sent has the lists that it may see."""

    @settings(max_examples=60)
    @given(
        st.lists(
            st.one_of(
                st.lists(
                    st.tuples(
                        st.sampled_from(["juliet", "nurse", "tybalt", "paris", "earthly.lit", "localhost"]),
                        st.sampled_from(["outcast", "none", "member", "admin", "owner"]),
                    ),
                    min_size=1,
                    max_size=3,
                ),
                st.sampled_from(["leave", "enter", "paris", "whois"]),
            ),
            max_size=20,
        )
    )
    def test_cache(self, steps: list[object]) -> None:
        """Random changes while it is in the room and while it is not."""
        limit, affiliationversions.LOG_LIMIT = affiliationversions.LOG_LIMIT, 4  # type: ignore[misc]
        self.addCleanup(setattr, affiliationversions, "LOG_LIMIT", limit)
        server = InMemoryServer()
        romeo, juliet, paris = (server.client(f"{name}@localhost/a") for name in ("romeo", "juliet", "paris"))
        join(romeo, "Romeo")
        configure(romeo, whois="anyone")
        sendAdmin(romeo, affiliation("juliet@localhost", "admin"))
        cache = Cache(server, juliet)
        open = True
        for step in steps:
            if step == "leave":
                leave(juliet, "Juliet")
            elif step == "enter":
                cache.enter()
            elif step == "paris":
                join(paris, "Paris")
            elif step == "whois":
                open = not open
                configure(romeo, whois="anyone" if open else "moderators")
            elif isinstance(step, list):
                items = [
                    (name if "." in name or name == "localhost" else f"{name}@localhost", word) for name, word in step
                ]
                sendAdmin(romeo, *(affiliation(jid, word) for jid, word in items))
            cache.read()
        leave(juliet, "Juliet")
        cache.read()
        cache.enter()
        cache.read()


class Cache:
    """
    The lists, as a client caches them.

    @ivar known: affiliations by address.
    @ivar version: the version of them; C{None}: not known.
    @ivar lists: the lists that it may see; C{None} while it does not follow changes.
    """

    def __init__(self, server: InMemoryServer, client: Client) -> None:
        self.server, self.client = server, client
        self.known: dict[str, str] = {}
        self.version: str | None = None
        self.lists: frozenset[Affiliation] | None = None

    def enter(self) -> None:
        """Enter with the version that is known."""
        join(self.client, "Juliet", x=MAV if self.version is None else since(self.version))
        room = self.server.muc.rooms.live[ROOM]
        inside = self.client.address in room.sessions
        self.lists = visibleLists(room, parse(self.client.address)) if inside else None

    def read(self) -> None:
        """Follow what was received; then compare with the room, unless other lists may be seen than at entering."""
        for stanza in self.client.received():
            self._follow(stanza)
        room = self.server.muc.rooms.live[ROOM]
        inside = self.client.address in room.sessions
        if not inside or visibleLists(room, parse(self.client.address)) != self.lists:
            self.lists = None
        if self.lists:
            assert self.version is not None
            words = {each.xmlName for each in self.lists}
            entries = room.affiliations.entries().items()
            visible = {jid: each.affiliation for jid, each in entries if each.affiliation in words}
            known = {jid: word for jid, word in self.known.items() if word in words}
            assert known == visible, (known, visible)

    def _follow(self, stanza: Element) -> None:
        if stanza.get("type") == "error":
            self.known, self.version = {}, None
            return
        versions = mavOf(stanza)
        if versions is None:
            return
        start, end = versions
        if stanza.name == "presence" and start is None:
            # The client's own presence says which version it has to have.
            assert self.version == end, (self.version, end)
        elif start is None:
            self.known, self.version = itemsOf(stanza), end
        else:
            assert start == self.version, (start, self.version)
            self.known.update({parse(jid).bare: word for jid, word in itemsOf(stanza).items()})
            self.version = end
