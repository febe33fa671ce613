# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.bookmarks} (XEP-0048, XEP-0402)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.model.bookmarks import isBookmark, isConference, isSame, merged, toConference, toItems
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render

ROOM = "garden@conference.localhost"


def listed(*texts: str) -> list[Element]:
    """The elements of a list."""
    return list(item(f"<storage xmlns='{ns.BOOKMARKS_STORAGE}'>{''.join(texts)}</storage>").childElements())


def item(text: str) -> Element:
    """The payload of an item."""
    return next(parseStanza(f"<iq>{text}</iq>").childElements())


def shown(element: Element) -> str:
    """An element as XML."""
    return render(element, None).decode()


class BookmarkTests(SynchronousTestCase):
    """Converting."""

    def test_both(self) -> None:
        """A bookmark says the same in both forms."""
        inside = "<nick>R</nick><password>p</password>"
        text = f"<conference jid='{ROOM}' name='Gärten' autojoin='true'>{inside}</conference>"
        [(room, found)] = toItems(listed(text)).items()
        self.assertEqual(
            (room, shown(found)),
            (
                ROOM,
                f"<conference xmlns='{ns.BOOKMARKS}' name='Gärten' autojoin='true'>{inside}</conference>",
            ),
        )
        self.assertTrue(isBookmark(found))
        again = toConference(room, found)
        self.assertTrue(isConference(again))
        self.assertEqual(shown(again), text.replace("<conference", f"<conference xmlns='{ns.BOOKMARKS_STORAGE}'"))

    def test_addresses(self) -> None:
        """Addresses are prepared; invalid ones, and further ones of a room, are left out; so are pages of the web."""
        texts = [
            "<conference jid='Garden@Conference.localhost/nick' name='1'/>", "<conference jid='@'/>", "<conference/>",
            f"<conference jid='{ROOM}' name='2'/>", f"<conference jid='{'x' * 600}@localhost'/>",
        ]  # fmt: skip
        found = toItems(listed(*texts))
        self.assertEqual({room: each.get("name") for room, each in found.items()}, {ROOM: "1"})
        self.assertEqual([isConference(each) for each in listed("<url url='http://x'/>", texts[0])], [False, True])

    def test_extensions(self) -> None:
        """What both forms do not know is kept among the extensions, and comes back."""
        mixed = "<x xmlns='urn:x'/><extensions><y xmlns='urn:y'/></extensions><z/>"
        text = f"<conference jid='{ROOM}'>{mixed}</conference>"
        [found] = toItems(listed(text)).values()
        inside = "<extensions><x xmlns='urn:x'/><y xmlns='urn:y'/></extensions>"
        self.assertEqual(shown(found), f"<conference xmlns='{ns.BOOKMARKS}'>{inside}</conference>")
        again = toConference(ROOM, found)
        self.assertEqual(
            shown(again), f"<conference xmlns='{ns.BOOKMARKS_STORAGE}' jid='{ROOM}'>{inside}</conference>"
        )
        [back] = toItems([again]).values()
        self.assertEqual(shown(back), shown(found))

    def test_merged(self) -> None:
        """Older clients, which do not keep extensions, do not remove them."""
        extensions = "<extensions><x xmlns='urn:one'/></extensions>"
        old = item(f"<conference xmlns='{ns.BOOKMARKS}' name='a'>{extensions}</conference>")
        for text, kept in (("<nick>R</nick>", "urn:one"), ("<extensions><y xmlns='urn:two'/></extensions>", "urn:two")):
            new = item(f"<conference xmlns='{ns.BOOKMARKS}'>{text}</conference>")
            self.assertIn(kept, shown(merged(new, old)))
            self.assertNotIn("urn:one" if kept == "urn:two" else "urn:two", shown(merged(new, old)))
        new = item(f"<conference xmlns='{ns.BOOKMARKS}'/>")
        self.assertIs(merged(new, None), new)

    @settings(max_examples=40)
    @given(st.tuples(*[st.sampled_from(["", "a", "b"])] * 3), st.sampled_from(["", "0", "1", "false", "true"]))
    def test_same(self, texts: tuple[str, str, str], autojoin: str) -> None:
        """Bookmarks are the same if a client would do the same with them."""
        name, nick, password = texts
        children = "".join(
            f"<{tag}>{text}</{tag}>" for tag, text in (("nick", nick), ("password", password)) if text
        )
        attributes = "".join(f" {key}='{text}'" for key, text in (("name", name), ("autojoin", autojoin)) if text)
        one = item(f"<conference xmlns='{ns.BOOKMARKS}'{attributes}>{children}</conference>")
        self.assertTrue(isSame(one, one.copy()))
        other = one.copy()
        other.attributes["autojoin"] = "1"
        self.assertEqual(isSame(one, other), autojoin in ("1", "true"))
        other = one.copy()
        other.add("nick", text="other").attributes["x"] = "y"
        self.assertEqual(isSame(one, other), bool(nick))
