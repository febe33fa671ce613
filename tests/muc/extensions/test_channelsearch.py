# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.channelsearch} and L{muccore.muc.extensions.roomranking} (XEP-0433)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import RoomRecord, RoomSearch
from muccore.muc.extensions import channelsearch
from muccore.muc.extensions.channelsearch import LANGUAGE
from muccore.muc.extensions.roomranking import MAX_AGE, SORT_BY_ADDRESS, SORT_BY_USERS, Found, RoomRanking
from muccore.muc.protocol import roomlist
from muccore.storage.memory import MemoryRooms
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import HOST, MUCTestCase, configure, form, join, leave, sendIQ, values

_PARAMS = ns.CHANNEL_SEARCH_PARAMS


class SearchTestCase(MUCTestCase):
    """Some public rooms, of which a garden has two occupants and a cell one, and a hidden one."""

    def setUp(self) -> None:
        self.openRooms(FailingRoomStore())

    def openRooms(self, store: Any) -> None:
        """Start the server with the rooms."""
        self.store = store
        self.startServer(store)
        self.romeo, self.juliet = self.login("romeo", "juliet")
        for local, nicks, fields in (
            ("attic", "", {"roomname": "Under the roof", "lang": "de", "membersonly": True}),
            ("cell", "R", {"roomdesc": "Of a friar & others", "whois": "anyone", "passwordprotectedroom": False}),
            ("garden", "RJ", {"roomname": "Straße", "roomdesc": "Roof of leaves", "lang": "en-GB"}),
            ("hidden", "RJ", {"publicroom": False, "roomname": "Roof"}),
            ("vault", "", {"passwordprotectedroom": True, "roomsecret": "x"}),
        ):
            address = f"{local}@{HOST}"
            join(self.romeo, "Romeo", to=address)
            configure(self.romeo, to=address, persistentroom=True, **fields)
            if "J" in nicks:
                join(self.juliet, "Juliet", to=address)
            if "R" not in nicks:
                leave(self.romeo, "Romeo", to=address)
        self.discardReceived()

    def search(self, client: Client | None = None, rsm: str = "", **fields: Any) -> None:
        """Submit a search."""
        named = {LANGUAGE if name == "language" else name: value for name, value in fields.items()}
        x = form(_PARAMS, named)
        sendIQ(client or self.juliet, "get", f"<search xmlns='{ns.CHANNEL_SEARCH}'>{rsm}{x}</search>", to=HOST)

    def page(self, inside: str | None = None, **fields: Any) -> tuple[str, Element | None]:
        """Search: the local parts of what is found, and the C{<set/>}."""
        self.search(rsm="" if inside is None else f"<set xmlns='{ns.RSM}'>{inside}</set>", **fields)
        result = self.result(self.juliet)
        self.assertEqual((result.uri, result.name), (ns.CHANNEL_SEARCH, "result"))
        items = [child for child in result.childElements() if child.name == "item"]
        return " ".join(item.attributes["address"].partition("@")[0] for item in items), result.child("set", ns.RSM)

    def assertFound(self, expected: str, **fields: Any) -> None:
        """Check what a search finds, in this order."""
        self.assertEqual(self.page(**fields), (expected, None), fields)

    def assertRefused(self, type: str, condition: str, name: str, **fields: Any) -> Element:
        """Check that a search is refused, and return the application-specific condition."""
        self.search(**fields)
        [iq] = self.juliet.received()
        error = iq.child("error")
        assert error is not None, iq.toXml()
        specific = error.child(name, ns.CHANNEL_SEARCH_ERRORS)
        assert specific is not None, error.toXml()
        self.assertIsNotNone(error.child(condition, ns.STANZA_ERRORS), error.toXml())
        self.assertIsNotNone(error.child("text", ns.STANZA_ERRORS))
        self.assertEqual(error.get("type"), type)
        return specific


class FormTests(SearchTestCase):
    """The form (§4.2.1)."""

    def test_discovered(self) -> None:
        """The service has the feature (§4.1)."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=HOST)
        self.assertIn(f"<feature var='{ns.CHANNEL_SEARCH}'/>", self.result(self.juliet).toXml())

    def test_form(self) -> None:
        """It has all fields with their defaults, which are those of a request that leaves them out."""
        sendIQ(self.juliet, "get", f"<search xmlns='{ns.CHANNEL_SEARCH}'/>", to=HOST)
        x = self.result(self.juliet).child("x", ns.DATA)
        assert x is not None
        self.assertEqual(
            values(x),
            {
                "FORM_TYPE": [_PARAMS],
                "q": [""],
                "all": ["0"],
                "sinname": ["1"],
                "sindescription": ["1"],
                "sinaddress": ["1"],
                "min_users": ["0"],
                LANGUAGE: [""],
                "types": ["xep-0045"],
                "key": [SORT_BY_USERS],
            },
        )
        filled = {var: value for var, value in values(x).items() if var != "FORM_TYPE"}
        for more in ({"all": True}, {"q": "roof"}):
            self.assertEqual(self.page(**filled | more)[0], self.page(**more)[0])


class ResultTests(SearchTestCase):
    """What is found (§4.2.2.1, §6)."""

    def test_all(self) -> None:
        """All public rooms are found, by the number of their occupants, then by address."""
        self.assertFound("garden cell attic vault", all=True)
        self.assertFound("attic cell garden vault", all=True, key=SORT_BY_ADDRESS)

    def test_terms(self) -> None:
        """A room is found if each term is part of one of the texts that are searched."""
        for q, expected in (
            ("roof", "garden attic"),
            ("ROOF leaves", "garden"),
            ("  STRASSE\tleaves ", "garden"),
            ('friar & "', "cell"),
            (HOST, "garden cell attic vault"),
            ("vault", "vault"),
            ("nothing", ""),
        ):
            self.assertFound(expected, q=q)
        self.assertFound("attic", q="roof", sindescription=False)
        self.assertFound("garden", q="roof", sinname=False)
        self.assertFound("", q="garden", sinaddress=False)

    def test_restrictions(self) -> None:
        """The number of occupants, the language and the type restrict what is found, also with C{all}."""
        for fields, expected in (
            ({"min_users": 1}, "garden cell"),
            ({"min_users": 2}, "garden"),
            ({"min_users": 3}, ""),
            ({"min_users": ""}, "garden cell attic vault"),
            ({"min_users": 1, "key": SORT_BY_ADDRESS}, "cell garden"),
            ({"language": "en"}, "garden"),
            ({"language": "DE"}, "attic"),
            ({"types": ["xep-0369"]}, ""),
            ({"types": ["xep-0369", "xep-0045"]}, "garden cell attic vault"),
        ):
            self.assertFound(expected, all=True, **fields)
        self.assertFound("garden", q="roof", min_users=1)

    def test_unknownFields(self) -> None:
        """Fields that are not ours are ignored (§5)."""
        self.assertFound("vault", q="vault", unknown="x", **{"{urn:x}y": "z"})

    def test_items(self) -> None:
        """An item tells what disco does, as its elements are defined (§6.2)."""
        self.search(all=True)
        found = {item.attributes["address"]: item for item in self.result(self.juliet).childElements()}
        expected: dict[str, dict[str, str]] = {
            "attic": {"name": "Under the roof", "language": "de", "nusers": "0"},
            "cell": {"name": "cell", "description": "Of a friar & others", "nusers": "1", "is-open": "true"},
            "garden": {"name": "Straße", "description": "Roof of leaves", "language": "en-GB", "nusers": "2"},
            "vault": {"name": "vault", "nusers": "0"},
        }
        expected["garden"]["is-open"] = "true"
        self.assertEqual(set(found), {f"{local}@{HOST}" for local in expected})
        for local, told in expected.items():
            anonymity = "{urn:xmpp:channel-search:0:anonymity}none" if local == "cell" else "muc_semianonymous"
            told |= {"service-type": "xep-0045", "anonymity-mode": anonymity}
            item = found[f"{local}@{HOST}"]
            self.assertEqual({child.name: child.text() for child in item.childElements()}, told)
            self.assertEqual({child.uri for child in item.childElements()}, {ns.CHANNEL_SEARCH})

    def test_followsChanges(self) -> None:
        """A room that becomes hidden is not found; one that fills gets ahead when a new ranking is made."""
        configure(self.romeo, to=f"garden@{HOST}", publicroom=False)
        self.discardReceived()
        self.assertFound("cell attic vault", all=True)
        nurse, paris = self.login("nurse", "paris")
        join(nurse, "Nurse", to=f"open@{HOST}")
        configure(nurse, to=f"open@{HOST}")
        join(paris, "Paris", to=f"open@{HOST}")
        self.discardReceived()
        self.assertFound("cell attic open vault", all=True)
        self.server.clock.advance(MAX_AGE)
        self.discardReceived()
        self.assertFound("open cell attic vault", all=True)

    def test_lockedRoom(self) -> None:
        """A room that is not configured yet is not found."""
        join(self.romeo, "Romeo", to=f"new@{HOST}")
        self.discardReceived()
        self.assertFound("", q="new")


class PageTests(SearchTestCase):
    """Pages (XEP-0059)."""

    def test_pages(self) -> None:
        """Each page identifies its first and last room, and says where it is; the others follow from that."""
        for key, order in ((SORT_BY_USERS, "garden cell attic vault"), (SORT_BY_ADDRESS, "attic cell garden vault")):
            rooms = order.split()
            inside, seen = "<max>1</max>", []
            for index in range(4):
                found, about = self.page(inside, all=True, key=key)
                assert about is not None
                seen.append(found)
                first, last = about.child("first"), about.child("last")
                assert first is not None
                assert last is not None
                self.assertEqual((first.get("index"), about.childText("count")), (str(index), "4"))
                self.assertEqual(first.text(), last.text())
                inside = f"<max>1</max><after>{last.text()}</after>"
            self.assertEqual(seen, rooms)
            self.assertEqual(self.page(inside, all=True, key=key)[0], "")
            back = f"<max>2</max><before>{first.text()}</before>"
            self.assertEqual(self.page(back, all=True, key=key)[0], " ".join(rooms[1:3]))
            self.assertEqual(self.page("<max>3</max><before/>", all=True, key=key)[0], " ".join(rooms[1:]))
            found, about = self.page("<max>0</max>", all=True, key=key)
            assert about is not None
            self.assertEqual((found, [child.name for child in about.childElements()]), ("", ["count"]))

    def test_partial(self) -> None:
        """A result that does not fit is marked as such, also if no page was requested."""
        self.patch(channelsearch, "PAGE", 2)
        self.patch(channelsearch, "LIMIT", 3)
        for inside, expected in ((None, "garden cell"), ("<max>99</max>", "garden cell attic")):
            found, about = self.page(inside, all=True)
            assert about is not None
            self.assertEqual((found, about.childText("count")), (expected, "4"))

    def test_empty(self) -> None:
        """A result without rooms is no error (§5)."""
        found, about = self.page("<max>9</max>", q="nothing")
        assert about is not None
        self.assertEqual((found, about.childText("count")), ("", "0"))

    def test_refused(self) -> None:
        """Invalid pages are refused; they cannot be requested by index."""
        for inside, condition in (
            ("<max>x</max>", "modify bad-request"),
            ("<max>2</max><index>1</index>", "cancel feature-not-implemented"),
            ("<after>x</after>", "cancel item-not-found"),
            ("<after>1</after>", "cancel item-not-found"),
            ("<before>-1 a@b</before>", "cancel item-not-found"),
            (f"<before>{'1' * 5000} a@b</before>", "cancel item-not-found"),
        ):
            self.search(rsm=f"<set xmlns='{ns.RSM}'>{inside}</set>", all=True)
            self.assertReceived(self.juliet, f"error q {condition}")


class RefusalTests(SearchTestCase):
    """Searches that are refused (§4.2.2.2 to §4.2.2.7)."""

    def test_key(self) -> None:
        """An unknown order."""
        for key in ("nusers", ""):
            self.assertRefused("modify", "feature-not-implemented", "invalid-sort-key", all=True, key=key)

    def test_terms(self) -> None:
        """Without a letter, digit or symbol; too many, or too long."""
        for q in (" ", "!!! -", "x" * (channelsearch.QUERY_LIMIT + 1), " ".join("abcdefghi")):
            self.assertRefused("modify", "bad-request", "invalid-search-terms", q=q)
        self.assertFound("", q="x" * channelsearch.QUERY_LIMIT)
        self.assertFound("", q="\U0001f600 !")

    def test_conflicts(self) -> None:
        """Terms and all rooms; terms that are searched nowhere."""
        specific = self.assertRefused("modify", "bad-request", "conflicting-fields", all=True, q="x")
        self.assertEqual([child.text() for child in specific.childElements()], ["all", "q"])
        nowhere = {"sinname": False, "sindescription": False, "sinaddress": False}
        specific = self.assertRefused("modify", "bad-request", "conflicting-fields", q="x", **nowhere)
        self.assertEqual([child.text() for child in specific.childElements()], ["q", *nowhere])

    def test_noConditions(self) -> None:
        """Neither terms nor all rooms."""
        for fields in ({}, {"q": ""}, {"all": False}, {"min_users": 1, "sinname": True}):
            self.assertRefused("cancel", "bad-request", "no-search-conditions", **fields)

    def test_invalidForms(self) -> None:
        """Other forms, and invalid values."""
        for x, condition in (
            (form("urn:x", {"all": True}), "modify bad-request"),
            (form(_PARAMS, {"all": True}, "cancel"), "modify bad-request"),
            (form(_PARAMS, {"all": "maybe"}), "modify not-acceptable"),
            (form(_PARAMS, {"all": True, "min_users": "-1"}), "modify not-acceptable"),
            (form(_PARAMS, {"all": True, "min_users": "²"}), "modify not-acceptable"),
            (form(_PARAMS, {"q": ["a", "b"]}), "modify bad-request"),
        ):
            sendIQ(self.juliet, "get", f"<search xmlns='{ns.CHANNEL_SEARCH}'>{x}</search>", to=HOST)
            self.assertReceived(self.juliet, f"error q {condition}")

    def test_oneByOne(self) -> None:
        """Searches are made one by one. One account cannot wait for many, and all accounts not for very many."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.openRooms(store)
        store.holding = frozenset({"searchRooms"})
        for _ in range(roomlist.WAITING):
            self.search(all=True, key=SORT_BY_ADDRESS)
        self.assertEqual(store.held, ["searchRooms"])
        specific = self.assertRefused("wait", "resource-constraint", "rate-limit", all=True)
        self.assertEqual(specific.get("retry-after"), str(channelsearch.RETRY_AFTER))
        self.search(self.romeo, all=True, key=SORT_BY_ADDRESS)
        self.patch(channelsearch, "WAITING", roomlist.WAITING)
        self.search(self.client("paris"), all=True)
        [refused] = self.clients[-1].received()
        self.assertIn("<rate-limit ", refused.toXml())
        for _ in range(roomlist.WAITING + 1):
            self.assertEqual(store.held, ["searchRooms"])
            store.release()
        answers = [*self.juliet.received(), *self.romeo.received()]
        self.assertEqual([answer.get("type") for answer in answers], ["result"] * (roomlist.WAITING + 1))
        store.holding = frozenset()
        self.assertFound("garden cell attic vault", all=True)

    def test_storeFails(self) -> None:
        """If the store fails, the search may be tried again."""
        self.store.failing = frozenset({"searchRooms"})
        for key in (SORT_BY_USERS, SORT_BY_ADDRESS):
            self.search(all=True, key=key)
            self.assertReceived(self.juliet, "error q wait internal-server-error")
        self.store.failing = frozenset()
        self.assertFound("garden cell attic vault", all=True)


class _Settings:
    def __init__(self, public: bool) -> None:
        self.public = public


class _Room:
    """What a ranking reads of a room."""

    locked = False

    def __init__(self, occupants: int, public: bool) -> None:
        self.occupants = range(occupants)
        self.settings = _Settings(public)


class _Rooms:
    """Rooms with these numbers of occupants; those with a negative one are hidden."""

    domain = "x"

    def __init__(self, numbers: list[int]) -> None:
        self.clock = Clock()
        self.store = MemoryRooms()
        self.store.open()
        named = {f"{chr(97 + place)}@x": number for place, number in enumerate(numbers)}
        self.live = {bare: _Room(abs(number), number > 0) for bare, number in named.items() if number}
        for bare, number in named.items():
            self.store.save(bare, RoomRecord({}, {}, public=number >= 0))


class RankingTests(SynchronousTestCase):
    """L{RoomRanking}"""

    @settings(max_examples=150)
    @given(
        st.lists(st.integers(-2, 3), max_size=9),
        st.integers(0, 3),
        st.sampled_from([SORT_BY_USERS, SORT_BY_ADDRESS]),
        st.integers(1, 4),
    )
    def test_everyPage(self, numbers: list[int], minUsers: int, key: str, limit: int) -> None:
        """Pages forwards and backwards are exactly the parts of the sorted result, with their index and the count."""
        rooms: Any = _Rooms(numbers)
        ranking = RoomRanking(rooms)
        users = {f"{chr(97 + place)}@x": number for place, number in enumerate(numbers)}
        result = sorted(bare for bare, number in users.items() if number >= minUsers)
        if key == SORT_BY_USERS:
            result.sort(key=lambda bare: -users[bare])

        def page(after: str | None, before: str | None, limit: int) -> Found:
            edges = ranking.parse(key, after), ranking.parse(key, before)
            return self.successResultOf(ranking.find(key, RoomSearch(), minUsers, *edges, limit))

        start, after = 0, None
        while start <= len(result):
            found = page(after, None, limit)
            expected = result[start : start + limit]
            self.assertEqual([bare for bare, _ in found.rooms], expected)
            self.assertEqual((found.index, found.count), (start if expected else 0, len(result)))
            after, start = found.last, start + limit
            if not expected:
                break
        end, before = len(result), ""
        while True:
            found = page(None, before, limit)
            expected = result[max(end - limit, 0) : end]
            self.assertEqual([bare for bare, _ in found.rooms], expected)
            self.assertEqual((found.index, found.count), (max(end - limit, 0) if expected else 0, len(result)))
            if not expected:
                break
            assert found.first is not None
            before, end = found.first, max(end - limit, 0)
        self.assertEqual(page(None, None, 0), Found(count=len(result)))

    def test_places(self) -> None:
        """A page continues at the place of a room that has another number of occupants meanwhile, or is gone."""
        ranking = RoomRanking(_Rooms([0, 1, 2, 0, 5]))  # type: ignore[arg-type]
        for after, expected in (
            ("9 z@x", "e c b a d"),
            ("3 a@x", "c b a d"),
            ("2 b@x", "c b a d"),
            ("2 z@x", "b a d"),
            ("0 b@x", "d"),
        ):
            place = ranking.parse(SORT_BY_USERS, after)
            found = self.successResultOf(ranking.find(SORT_BY_USERS, RoomSearch(), 0, place, None, 9))
            self.assertEqual(" ".join(bare[0] for bare, _ in found.rooms), expected, after)
