# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.archivequeries} (XEP-0313)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import ArchiveItem, ArchiveMetadata, ArchivePage, ArchiveQuery
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import archivequeries, ns
from muccore.xmpp.archivequeries import LIMIT, PAGE, SIZE, ArchiveRequest
from muccore.xmpp.datetimes import parseStamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse as parseJID
from muccore.xmpp.rendering import Rendered, render, toAttribute

ROOM = "room@conference.localhost"
FULL_TEXT = "{urn:xmpp:fulltext:0}fulltext"


def query(fields: str = "", rest: str = "", attributes: str = "") -> Element:
    """A query."""
    x = f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.MAM}</value></field>{fields}</x>"
    inside = (x if fields else "") + rest
    [made] = parseStanza(f"<iq><query xmlns='{ns.MAM}'{attributes}>{inside}</query></iq>").childElements()
    return made


def field(var: str, *values: str) -> str:
    """A field of a form."""
    return f"<field var='{var}'>{''.join(f'<value>{value}</value>' for value in values)}</field>"


def rsm(inside: str) -> str:
    """A request for a page."""
    return f"<set xmlns='{ns.RSM}'>{inside}</set>"


class ParseTests(SynchronousTestCase):
    """Queries (§4)."""

    def assertQuery(self, parsed: ArchiveRequest, expected: ArchiveQuery) -> None:
        """Assert what the store is asked."""
        self.assertEqual(parsed.query, expected)

    def test_plain(self) -> None:
        """Without anything, the first page of all; an empty form is the same."""
        for made in (query(), query(field("start", ""))):
            self.assertEqual(archivequeries.parse(made), ArchiveRequest(None, False, None, ArchiveQuery(limit=PAGE)))

    def test_whole(self) -> None:
        """All fields, the id of the query, and the flipped page (§4.1, §4.4)."""
        fields = (
            field("with", f"{ROOM}/Romeo")
            + field("start", "1970-01-01T00:00:01.5Z")
            + field("end", "1970-01-01T01:00:02+01:00")
            + field("before-id", "b")
            + field("after-id", "a")
            + field("ids", "1", "2", "1")
            + field(FULL_TEXT, "wherefore art")
        )
        page = rsm("<max>7</max><after>c</after>")
        parsed = archivequeries.parse(query(fields, f"{page}<flip-page/>", " queryid='q'"))
        expected = ArchiveQuery(1_500_000, 2_000_000, None, None, "wherefore art", ("1", "2"), "a", "b", 7, "c")
        self.assertEqual(parsed, ArchiveRequest("q", True, parseJID(f"{ROOM}/Romeo"), expected))

    def test_pages(self) -> None:
        """The last page, one before another, limits; of none, the count only (XEP-0059 §2.7)."""
        for inside, expected in (
            ("<before/>", ArchiveQuery(limit=PAGE, before="")),
            ("<max>5</max><before>x</before>", ArchiveQuery(limit=5, before="x")),
            ("<max>9999</max>", ArchiveQuery(limit=LIMIT)),
            ("<max>0</max>", ArchiveQuery(limit=0, counted=True)),
        ):
            self.assertQuery(archivequeries.parse(query(rest=rsm(inside))), expected)

    def test_refused(self) -> None:
        """What is not understood, or not valid, is refused with the condition of the text."""
        for made, condition in (
            (query(field("colour", "red")), "feature-not-implemented"),
            (query(field("include-groupchat", "true")), "feature-not-implemented"),
            (query(rest=rsm("<index>3</index>")), "feature-not-implemented"),
            (query(attributes=" node='n'"), "item-not-found"),
            (query(field("start", "yesterday")), "bad-request"),
            (query(field("end", "10000-01-01T00:00:00Z")), "bad-request"),
            (query(field("with", "@@")), "not-acceptable"),
            (query(field("start", "a", "b")), "bad-request"),
            (query(field("ids", *map(str, range(1001)))), "policy-violation"),
            (query(field(FULL_TEXT, "a" * 1025)), "policy-violation"),
            (query(rest=f"<x xmlns='{ns.DATA}' type='cancel'/>"), "bad-request"),
            (query(rest=f"<x xmlns='{ns.DATA}' type='submit'>{field('FORM_TYPE', 'x')}</x>"), "bad-request"),
        ):
            error = self.assertRaises(StanzaError, archivequeries.parse, made)
            self.assertEqual(error.condition, condition, made.toXml())

    def test_groupchat(self) -> None:
        """The archive of an account knows C{include-groupchat} (§4.1.4), which must be a boolean."""
        made = archivequeries.form(ofAccount=True)
        self.assertIn("<field type='boolean' var='include-groupchat'", render(made, None).decode())
        for value in ("true", "0"):
            parsed = archivequeries.parse(query(field("include-groupchat", value) + field("with", ROOM)), True)
            self.assertEqual(parsed.sender, parseJID(ROOM))
        made = query(field("include-groupchat", "perhaps"))
        error = self.assertRaises(StanzaError, archivequeries.parse, made, True)
        self.assertEqual(error.condition, "not-acceptable")

    def test_form(self) -> None:
        """The form has the fields, none required, and C{ids} accepts any value (§4.1.5, XEP-0122)."""
        made = archivequeries.form().child("x", ns.DATA)
        assert made is not None
        fields = [child for child in made.childElements() if child.name == "field"]
        kinds = {each.get("var"): each.get("type") for each in fields}
        self.assertEqual(
            kinds,
            {
                "FORM_TYPE": "hidden", "with": "jid-single", "start": "text-single", "end": "text-single",
                "before-id": "text-single", "after-id": "text-single", "ids": "list-multi", FULL_TEXT: "text-single",
            },
        )  # fmt: skip
        [ids] = [each for each in fields if each.get("var") == "ids"]
        self.assertEqual(
            render(ids, ns.DATA).decode(),
            "<field type='list-multi' var='ids' label='These messages'>"
            f"<validate xmlns='{ns.DATA_VALIDATE}' datatype='xs:string'><open/></validate></field>",
        )
        self.assertNotIn("required", archivequeries.form().toXml())


class ResultTests(SynchronousTestCase):
    """Results (§4.2, §4.3)."""

    def item(self, id: str = "i", time: int = 1_034_553_517_000_000) -> ArchiveItem:
        """An item."""
        message = parseStanza(f"<message from='{ROOM}/Romeo' type='groupchat' id='m'><body>a &amp; b</body></message>")
        return ArchiveItem(id, time, f"{ROOM}/Romeo", "romeo@localhost", Rendered.of(message))

    def test_result(self) -> None:
        """An item is forwarded without C{to}, with the namespace of clients and its time."""
        request = archivequeries.parse(query(attributes=" queryid='q&lt;'"))
        made = archivequeries.result(ROOM, request, self.item("i'"))
        self.assertEqual(
            made.addressed(toAttribute("juliet@localhost/a")).decode(),
            f"<message to='juliet@localhost/a' from='{ROOM}'>"
            "<result xmlns='urn:xmpp:mam:2' queryid='q&lt;' id='i&apos;'>"
            "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2002-10-13T23:58:37Z'/>"
            f"<message xmlns='jabber:client' from='{ROOM}/Romeo' type='groupchat' id='m'><body>a &amp; b</body>"
            "</message></forwarded></result></message>",
        )

    def test_withoutQueryId(self) -> None:
        """Without an id of the query there is none in the result; a further child goes into the message."""
        made = archivequeries.result(ROOM, archivequeries.parse(query()), self.item(), b"<x xmlns='urn:x'/>")
        forwarded = made.element.child("result", ns.MAM)
        assert forwarded is not None
        self.assertEqual(forwarded.attributes, {"id": "i"})
        self.assertIn("<body>a &amp; b</body><x xmlns='urn:x'/></message></forwarded>", made.tail.decode())

    @given(st.integers(0, 2**52))
    @settings(max_examples=50)
    def test_time(self, time: int) -> None:
        """A time keeps its microseconds, so that a query from there finds the item."""
        made = archivequeries.result(ROOM, archivequeries.parse(query()), self.item(time=time)).tail.decode()
        stamp = made.partition("stamp='")[2].partition("'")[0]
        parsed = archivequeries.parse(query(field("start", stamp))).query
        assert parsed.start is not None
        self.assertEqual(parsed.start // 1_000_000, time // 1_000_000)
        self.assertEqual(parsed.start, time)
        self.assertEqual(parseStamp(stamp) // 1, time // 1_000_000)

    def test_fin(self) -> None:
        """The end has the ids of the page, and says whether it is complete; counts if they are known."""
        for page, expected in (
            (ArchivePage([], True), "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='{0}'/></fin>"),
            (
                ArchivePage([self.item("a"), self.item("b")], False, 3, 9),
                "<fin xmlns='urn:xmpp:mam:2'><set xmlns='{0}'><first index='3'>a</first><last>b</last><count>9</count>"
                "</set></fin>",
            ),
        ):
            self.assertEqual(render(archivequeries.fin(page)).decode(), expected.format(ns.RSM))

    def test_withinSize(self) -> None:
        """A page of long messages ends early, at least one long, where the next page continues (§4.3)."""
        stanza = Rendered(b"<message", b">" + b"x" * (SIZE // 2) + b"</message>")
        items = [ArchiveItem(id, 0, ROOM, "", stanza) for id in "abc"]
        for made, expected, index in (
            (ArchiveQuery(), ["a"], 5),
            (ArchiveQuery(before=""), ["c"], 7),
        ):
            page = archivequeries.withinSize(ArchivePage(items, True, 5, 9), made)
            self.assertEqual([item.id for item in page.items], expected)
            self.assertEqual((page.complete, page.index, page.count), (False, index, 9))
        short = ArchivePage(items[:1], True)
        self.assertIs(archivequeries.withinSize(short, ArchiveQuery()), short)

    def test_metadata(self) -> None:
        """The ends of the archive, or nothing if it is empty (§5)."""
        self.assertEqual(render(archivequeries.metadata(None)).decode(), "<metadata xmlns='urn:xmpp:mam:2'/>")
        ends = ArchiveMetadata("a", 1_000_000, "b", 2_500_000)
        self.assertEqual(
            render(archivequeries.metadata(ends)).decode(),
            "<metadata xmlns='urn:xmpp:mam:2'><start id='a' timestamp='1970-01-01T00:00:01Z'/>"
            "<end id='b' timestamp='1970-01-01T00:00:02.500000Z'/></metadata>",
        )
