# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.bookmarks} and L{muccore.pubsub.updating} (XEP-0402 §4.3, XEP-0411)."""

from __future__ import annotations

from typing import Any

from muccore.im.privatestorage import PrivateStorageHandler
from muccore.interfaces.bookmarks import BOOKMARKS_DOCUMENT
from muccore.pubsub.bookmarks import Bookmarks
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, PEPTestCase, form, refused

ITEMS, LIST = ns.BOOKMARKS, ns.BOOKMARKS_STORAGE
GARDEN, HALL, CELL = (f"{name}@conference.localhost" for name in ("garden", "hall", "cell"))
URL = "<url name='Page' url='http://example.org/'/>"


def conference(room: str, name: str = "A", inside: str = "") -> str:
    """A bookmark in a list."""
    return f"<conference jid='{room}' name='{name}'>{inside}</conference>"


class BookmarkTestCase(PEPTestCase):
    """Juliet's bookmarks."""

    def setUp(self) -> None:
        """One client hears of items, one of the list."""
        super().setUp()
        self.documents: Any = MemoryUserData()
        self.documents.open()
        self.private = PrivateStorageHandler(self.documents, 5000, 10000)
        self.bookmarks = Bookmarks(self.pep, self.documents)
        self.private.bookmarks = self.bookmarks
        self.pep.joinBookmarks(self.bookmarks)
        self.server.addHandler(self.private)
        self.juliet, self.new, self.old = self.login("juliet", "juliet/new", "juliet/old")
        self.present(self.new, ITEMS)
        self.present(self.old, LIST)

    def setPrivate(self, *texts: str) -> str:
        """Set the list in private XML storage; return the outcome."""
        storage = f"<storage xmlns='{LIST}'>{''.join(texts)}</storage>"
        return refused(self.request(self.juliet, "set", f"<query xmlns='{ns.PRIVATE}'>{storage}</query>", ""))

    def getPrivate(self) -> list[str]:
        """The list in private XML storage: addresses, with names."""
        query = f"<query xmlns='{ns.PRIVATE}'><storage xmlns='{LIST}'/></query>"
        [storage] = next(self.request(self.juliet, "get", query, "").childElements()).childElements()
        return [f"{each.get('jid') or each.get('url')} {each.get('name')}" for each in storage.childElements()]

    def getList(self) -> list[str]:
        """The list in the node."""
        answer = self.ask(self.juliet, "get", f"<items node='{LIST}'/>")
        if answer["type"] == "error":
            return [refused(answer)]
        [items] = next(answer.childElements()).childElements()
        [item] = items.childElements()
        [storage] = item.childElements()
        return [f"{each.get('jid') or each.get('url')} {each.get('name')}" for each in storage.childElements()]

    def publishItem(self, room: str, name: str = "A", inside: str = "") -> str:
        """Publish a bookmark as an item; return the outcome."""
        payload = f"<conference xmlns='{ITEMS}' name='{name}'>{inside}</conference>"
        return self.publish(self.juliet, ITEMS, room, payload)

    def publishList(self, *texts: str) -> str:
        """Publish the list in the node; return the outcome."""
        return self.publish(self.juliet, LIST, "current", f"<storage xmlns='{LIST}'>{''.join(texts)}</storage>")


class ConversionTests(BookmarkTestCase):
    """Bookmarks are the same everywhere."""

    def test_items(self) -> None:
        """What is published as items is in both lists, whose followers are told."""
        self.publishItem(GARDEN)
        self.publishItem(HALL, "B")
        both = [f"{GARDEN} A", f"{HALL} B"]
        self.assertEqual((self.getPrivate(), self.getList()), (both, both))
        self.assertEqual(self.heard(self.old), [f"items {LIST} item current storage"] * 2)
        self.ask(self.juliet, "set", f"<retract node='{ITEMS}'><item id='{GARDEN}'/></retract>")
        self.assertEqual((self.getPrivate(), self.getList()), (both[1:], both[1:]))
        self.own(self.juliet, "set", f"<delete node='{ITEMS}'/>")
        self.assertEqual((self.getPrivate(), self.getList()), ([], []))

    def test_private(self) -> None:
        """What is set in private XML storage is published; what has not changed is not."""
        self.assertEqual(self.setPrivate(conference(GARDEN), URL, conference(HALL)), "result")
        self.assertEqual(self.items(self.juliet, ITEMS), f"{GARDEN} {HALL}")
        self.assertEqual(self.heard(self.new), [f"items {ITEMS} item {room} conference" for room in (GARDEN, HALL)])
        self.assertEqual(self.heard(self.old), [f"items {LIST} item current storage"])
        self.assertEqual(self.getPrivate(), ["http://example.org/ Page", f"{GARDEN} A", f"{HALL} A"])
        self.assertEqual(self.getList(), [f"{GARDEN} A", f"{HALL} A"])
        self.setPrivate(conference(GARDEN), conference(HALL, "B"), conference(CELL))
        self.assertEqual(self.heard(self.new), [f"items {ITEMS} item {room} conference" for room in (HALL, CELL)])
        self.setPrivate(conference(CELL))
        self.assertEqual(self.heard(self.new), [f"items {ITEMS} retract {room}" for room in (GARDEN, HALL)])
        self.assertEqual((self.getPrivate(), self.getList()), ([f"{CELL} A"], [f"{CELL} A"]))
        self.setPrivate()
        self.assertEqual((self.items(self.juliet, ITEMS), self.getPrivate(), self.getList()), ("", [], []))

    def test_list(self) -> None:
        """So it is with what is published as a list."""
        self.publishItem(GARDEN)
        self.publishList(conference(GARDEN), conference(HALL), URL)
        self.assertEqual(self.items(self.juliet, ITEMS), f"{GARDEN} {HALL}")
        self.assertEqual(self.heard(self.new), [f"items {ITEMS} item {room} conference" for room in (GARDEN, HALL)])
        self.assertEqual(self.getPrivate(), [f"{GARDEN} A", f"{HALL} A"])
        # Pages of the web stay in the list.
        self.publishItem(CELL)
        self.assertEqual(self.getList(), [f"{GARDEN} A", f"{HALL} A", f"{CELL} A", "http://example.org/ Page"])
        # The list that is removed is made anew by the next change.
        self.own(self.juliet, "set", f"<delete node='{LIST}'/>")
        self.assertEqual(self.items(self.juliet, ITEMS), f"{GARDEN} {HALL} {CELL}")
        self.publishItem(CELL, "B")
        self.assertEqual(self.getList()[-1], f"{CELL} B")

    def test_extensions(self) -> None:
        """What older clients do not know stays (XEP-0402 §3.4)."""
        self.publishItem(GARDEN, inside="<extensions><x xmlns='urn:x'/></extensions>")
        self.setPrivate(conference(GARDEN, "B", "<nick>R</nick>"))
        text = render(self.ask(self.juliet, "get", f"<items node='{ITEMS}'/>")).decode()
        self.assertIn("name='B'><nick>R</nick><extensions><x xmlns='urn:x'/></extensions></conference>", text)

    def test_before(self) -> None:
        """Bookmarks that were in private XML storage are taken when they are first read, and not again."""
        stored = f"<storage xmlns='{LIST}'>{conference(GARDEN)}{URL}</storage>".encode()
        self.documents.change(JULIET, {BOOKMARKS_DOCUMENT: stored})
        self.assertEqual(self.items(self.juliet, ITEMS), GARDEN)
        self.assertEqual(self.heard(self.new), [f"items {ITEMS} item {GARDEN} conference"])
        self.assertEqual(self.getPrivate(), ["http://example.org/ Page", f"{GARDEN} A"])
        self.own(self.juliet, "set", f"<delete node='{ITEMS}'/>")
        self.assertEqual(self.getPrivate(), ["http://example.org/ Page"])
        self.documents.change(JULIET, {BOOKMARKS_DOCUMENT: stored})
        self.assertEqual(self.getPrivate(), ["http://example.org/ Page", f"{GARDEN} A"])
        self.own(self.juliet, "set", f"<delete node='{ITEMS}'/>")
        self.documents.change(JULIET, {BOOKMARKS_DOCUMENT: stored})
        self.assertEqual(self.getList(), [f"{GARDEN} A"])

    def test_notPrivate(self) -> None:
        """Bookmarks are not brought where others could read them (XEP-0411 §6), nor taken from there."""
        for node in (ITEMS, LIST):
            text = form("pubsub#node_config", {"access_model": "open"})
            self.ask(self.juliet, "set", f"<create node='{node}'/><configure>{text}</configure>")
        self.setPrivate(conference(GARDEN))
        self.assertEqual((self.items(self.juliet, ITEMS), self.items(self.juliet, LIST)), ("", ""))
        self.assertEqual(self.getPrivate(), [f"{GARDEN} A"])
        self.publishList(conference(HALL))
        self.publishItem(CELL)
        self.assertEqual((self.items(self.juliet, ITEMS), self.getList()), (CELL, [f"{HALL} A"]))
        self.assertEqual(self.getPrivate(), [f"{GARDEN} A"])

    def test_tooMany(self) -> None:
        """More than there may be are refused, and nothing changes."""
        self.setPrivate(conference(GARDEN))
        rooms = [conference(f"room{number}@conference.localhost") for number in range(11)]
        self.assertEqual(self.setPrivate(*rooms), "wait resource-constraint")
        self.assertEqual(self.getPrivate(), [f"{GARDEN} A"])

    def test_storeFails(self) -> None:
        """If the store fails, nothing is set."""
        self.setPrivate(conference(GARDEN))
        self.store.close()
        self.assertEqual(self.setPrivate(conference(HALL)), "wait internal-server-error")
        self.store.open()
        self.assertEqual(self.getPrivate(), [f"{GARDEN} A"])

    def test_features(self) -> None:
        """The account tells of it."""
        text = render(self.request(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", "")).decode()
        for feature in (f"{ITEMS}#compat", f"{ITEMS}#compat-pep", "urn:xmpp:bookmarks-conversion:0"):
            self.assertIn(f"<feature var='{feature}'/>", text)
