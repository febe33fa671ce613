# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.stream.parser.parser}, L{muccore.stream.parser.namespaces} and L{muccore.stream.parser.xmlsyntax}.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, product
from typing import Any, cast
from unittest.mock import Mock, call

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.parser import headers, xmlsyntax
from muccore.stream.parser import parser as parserModule
from muccore.stream.parser.events import CLOSED, StreamOpened
from muccore.stream.parser.parser import RECYCLE, StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError, errorReply
from muccore.xmpp.rendering import render

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xml:lang='de' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
ROOT = HEADER[21:]
STANZAS = (
    b"<message to='a@b' type='chat'><body>one &amp; \xc3\xa4 \xf0\x9f\x98\x80</body>"
    b"<x xmlns='urn:x'><y/></x></message>",
    b" \n",
    b"<presence/>",
    b"<p:iq xmlns:p='jabber:client' id='7' type='get'><p:q xmlns:q='urn:q' q:a='1' a=\"2>\"><q:z/></p:q></p:iq>",
    b"<message><body><![CDATA[<b>]]> ]] </body></message>",
)
FRAGMENTS = (b"<a", b">", b"/>", b"</a>", b"<![CDATA[", b"]]>", b" b='", b"'", b"&amp;", b"<!--", b"&#x", b";", b"<p:a")


def form(node: Any) -> Any:
    """The content of an element in a comparable form."""
    if isinstance(node, str) or node is CLOSED:
        return node
    return (type(node), node.uri, node.name, dict(node.attributes), [form(child) for child in node.children])


def collect(parser: StanzaParser, pieces: Iterable[bytes]) -> tuple[list[Any], str | None]:
    """Feed a parser; return its events and the condition of its error."""
    events: list[Any] = []
    try:
        for piece in pieces:
            events.extend(form(event) for event in parser.feed(piece))
    except StreamError as e:
        return events, e.condition
    return events, None


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut data into pieces."""
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(at)]


def single(data: bytes) -> list[bytes]:
    """Cut data into single bytes."""
    return [b"%c" % byte for byte in data]


class CountingExpat:
    """An expat parser that records the sizes of the pieces it parses."""

    def __init__(self, expat: Any) -> None:
        self.__dict__.update(_expat=expat, sizes=[])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._expat, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._expat, name, value)

    def Parse(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self._expat.Parse(data)


class Case(SynchronousTestCase):
    """Helpers."""

    def setUp(self) -> None:
        """Forget the headers of other tests."""
        self.patch(headers, "known", {})

    def countExpat(self) -> list[CountingExpat]:
        """Record all expat parsers that are created from now on."""
        created: list[CountingExpat] = []

        def create() -> CountingExpat:
            created.append(CountingExpat(xmlsyntax.createExpat()))
            return created[-1]

        self.patch(parserModule, "createExpat", create)
        return created

    def opened(self, header: bytes = HEADER, **options: Any) -> StanzaParser:
        """A parser after the header."""
        parser = StanzaParser(**options)
        (event,) = parser.feed(header)
        self.assertIs(type(event), StreamOpened)
        return parser

    def parse(self, data: bytes, **options: Any) -> Element:
        """Parse data, which is one element."""
        (element,) = self.opened(**options).feed(data)
        self.assertIs(type(element), Element)
        return element

    def assertRefused(self, condition: str, data: bytes, header: bytes = HEADER, **options: Any) -> None:
        """Check that data, in one piece or in single bytes, is an error that stops the parser."""
        for pieces in ([header + data], [header, data], single(header + data)):
            parser = StanzaParser(**options)
            self.assertEqual(collect(parser, pieces)[1], condition)
            self.assertEqual(list(parser.feed(b"<presence/>")), [])
            parser.buffer(b"<presence/>")
            self.assertEqual(list(parser.feed(b"")), [])


class StreamTests(Case):
    """Headers, stanzas and the end of streams."""

    def test_header(self) -> None:
        """The header has its attributes and the prefixes it declares, and no children."""
        (opened,) = StanzaParser().feed(HEADER)
        self.assertEqual((opened.uri, opened.name, opened.defaultUri), (ns.STREAM, "stream", ns.CLIENT))
        self.assertEqual(opened.attributes, {"to": "example.org", "version": "1.0", (ns.XML, "lang"): "de"})
        self.assertEqual(opened.localPrefixes, {"stream": ns.STREAM})
        self.assertEqual(opened.children, [])

    def test_stanza(self) -> None:
        """A stanza is an element like one that was built: namespaces, attributes, text, children."""
        message = self.parse(STANZAS[0])
        self.assertEqual((message.uri, message.name), (ns.CLIENT, "message"))
        self.assertEqual(message.attributes, {"to": "a@b", "type": "chat"})
        self.assertIsNone(message.parent)
        self.assertFalse(message.handled)
        body, x = message.children
        self.assertEqual((body.uri, body.children), (ns.CLIENT, ["one & ä \U0001f600"]))
        self.assertIsNone(body.parent)
        self.assertEqual((x.uri, x.name, x.children[0].uri), ("urn:x", "x", "urn:x"))
        self.assertEqual(x.addElement("z").uri, "urn:x")

    def test_cutAnywhere(self) -> None:
        """
        The header, and a stanza in two or three pieces, is yielded with its last byte, wherever it is cut, by the first
        expat parser and by later ones.
        """

        def check(parser: StanzaParser, data: bytes, places: Sequence[int]) -> None:
            pieces = cut(data, places)
            self.assertEqual([len(list(parser.feed(piece))) for piece in pieces], [0] * len(places) + [1], pieces)

        for place in range(1, len(HEADER)):
            check(StanzaParser(), HEADER, [place])
        stanza = b"<message to='lobby@chat.example' type='groupchat' id='a1'><body>Good evening!</body></message>"
        for stepwise, idle in product((False, True), repeat=2):
            parser = self.opened(stepwise=stepwise)
            for count in (1, 2):
                for places in combinations(range(1, len(stanza)), count):
                    if idle:
                        parser.idle()
                    check(parser, stanza, places)

    def test_end(self) -> None:
        """What follows the end tag is ignored."""
        parser = self.opened()
        events = list(parser.feed(b"<presence/></stream:stream><<<&"))
        self.assertEqual(form(events[0])[2], "presence")
        self.assertIs(events[1], CLOSED)
        self.assertEqual(len(events), 2)
        self.assertEqual(list(parser.feed(b"<presence/>")), [])

    def test_eventsBeforeAnError(self) -> None:
        """The elements before an error in the same piece are yielded first."""
        events, condition = collect(StanzaParser(), [HEADER + b"<presence/><iq/><!-- -->"])
        self.assertEqual([event[2] for event in events], ["stream", "presence", "iq"])
        self.assertEqual(condition, "restricted-xml")

    def test_whiteSpace(self) -> None:
        """White space between stanzas is ignored, and does not count towards the size of the next one."""
        parser = self.opened(stanzaSize=200)
        for _ in range(500):
            self.assertEqual(list(parser.feed(b" \r\n\t")), [])
        self.assertEqual(len(list(parser.feed(b"<a b='%s'/>" % (b"x" * 191)))), 1)

    def test_text(self) -> None:
        """Other text between stanzas is bad-format."""
        for data in (b"x", b"<presence/>x<presence/>", b" \xc2\xa0 ", b"x</stream:stream>", b"&#65; "):
            self.assertRefused("bad-format", data)

    def test_stop(self) -> None:
        """A stopped parser yields nothing more, not even what it has parsed already."""
        parser = self.opened()
        events = []
        for event in parser.feed(b"<presence/><iq/><iq/>"):
            events.append(event.name)
            if event.name == "iq":
                parser.stop()
        self.assertEqual(events, ["presence", "iq"])
        self.assertEqual(list(parser.feed(b"<iq/>")), [])

    def test_noReferenceCycles(self) -> None:
        """
        Neither a stanza nor a stopped parser leaves reference cycles: a few thousand of the largest stanzas are a
        gigabyte, but too few objects to trigger a garbage collection.
        """
        parser = self.opened()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        message = b"<message><x xmlns='urn:x'><p:y xmlns:p='urn:p' p:z=''/></x><body>1</body></message>"
        for event in parser.feed(message):
            answer = errorReply(cast(Element, event), StanzaError("bad-request"))
            answer.add("x").add("y")
        del event, answer
        self.assertEqual(gc.collect(), 0)
        parser.stop()
        del parser
        self.assertEqual(gc.collect(), 0)

    def test_predefinedEntities(self) -> None:
        """Predefined entities, character references and CDATA are text; line ends are normalised."""
        body = self.parse(b"<body>&lt;&gt;&amp;&apos;&quot;&#x41;&#0066;<![CDATA[<&>]]>\r\n\r.</body>")
        self.assertEqual(body.children, ["<>&'\"AB<&>\n\n."])


class KnownHeaderTests(Case):
    """Headers that another client has sent already."""

    def both(self, header: bytes, *more: bytes, **options: Any) -> tuple[list[Any], str | None]:
        """Send a header, and what follows in further pieces, to two parsers; check that both do the same."""
        first, second = (collect(StanzaParser(**options), (header, *more)) for _ in range(2))
        self.assertEqual(second, first)
        return second

    def test_notParsedAgain(self) -> None:
        """A header in one piece is parsed once; expat is needed for the first stanza only."""
        self.opened()
        created = self.countExpat()
        parser = self.opened()
        self.assertEqual(created, [])
        (element,) = parser.feed(b"<presence/>")
        self.assertEqual(form(element), (Element, ns.CLIENT, "presence", {}, []))
        self.assertEqual(len(created), 1)

    def test_same(self) -> None:
        """What follows is parsed in the same way: prefixes, stanzas, the end, and errors."""
        stanzas = b"".join(STANZAS)
        self.assertEqual(len(self.both(HEADER, *single(stanzas))[0]), 5)
        self.assertEqual(self.both(HEADER, b"<stream:error/>", b"</stream:stream>")[0][-1], CLOSED)
        self.assertEqual(self.both(HEADER, b" ", b"</x>")[1], "not-well-formed")
        self.assertEqual(self.both(HEADER, b"text<presence/>")[1], "bad-format")
        self.assertEqual(self.both(HEADER, b"<!-- -->")[1], "restricted-xml")
        self.assertEqual(self.both(HEADER, b"<p:a/>")[1], "bad-namespace-prefix")

    def test_otherHeaders(self) -> None:
        """Other prefixes, other namespaces, and what comes with the header are not forgotten."""
        prefixed = HEADER.replace(b"xmlns:stream", b"xmlns:p='urn:p' xmlns:stream")
        self.assertEqual(self.both(prefixed, b"<p:a/>")[0][1][1], "urn:p")
        other = b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='' version='1.0'>"
        self.assertEqual(self.both(other, b"<s:a/><b/></s:stream>")[0][1][1], ns.STREAM)
        self.assertEqual(len(self.both(HEADER + b"<presence/>", b"<iq/>")[0]), 3)
        self.assertEqual(len(self.both(HEADER + b" \n", b"<iq/>")[0]), 2)
        self.assertEqual(self.both(HEADER + b"text", b"<iq/>")[1], "bad-format")
        self.assertEqual(self.both(HEADER[:-1] + b"/>")[0][-1], CLOSED)
        self.assertEqual(self.both(HEADER[:30], HEADER[30:])[0], self.both(HEADER)[0])

    def test_content(self) -> None:
        """A stream of another content namespace is another stream."""
        header = HEADER.replace(b"jabber:client", b"jabber:component:accept")
        self.assertIsNone(self.both(header, b"<iq/>", content="jabber:component:accept")[1])
        self.assertEqual(self.both(header)[1], "invalid-namespace")

    def test_limits(self) -> None:
        """The limits of the parser apply, not those of the one that parsed the header first."""
        self.opened()
        self.assertEqual(collect(StanzaParser(stanzaSize=len(HEADER) - 1), [HEADER])[1], "policy-violation")
        self.assertEqual(collect(StanzaParser(attributes=4), [HEADER])[1], "policy-violation")
        self.assertIsNone(collect(StanzaParser(stanzaSize=len(HEADER), attributes=5), [HEADER])[1])

    def test_ownCopy(self) -> None:
        """A change of the header's element concerns one stream only."""
        parsed = []
        for _ in range(3):
            (root,) = StanzaParser().feed(HEADER)
            parsed.append(form(root))
            cast(Element, root).attributes["to"] = "changed"
            cast(Element, root).children.append("changed")
        self.assertEqual(parsed, [parsed[0]] * 3)

    def test_secondStream(self) -> None:
        """After a restart the header of the new stream is one of these, too; buffered bytes before it are not lost."""
        parser = self.opened(stepwise=True)
        list(parser.feed(b"<auth/>"))
        parser.restart()
        self.assertEqual(len(list(parser.feed(HEADER))), 1)
        parser.restart()
        parser.buffer(HEADER[:10])
        self.assertEqual(len(list(parser.feed(HEADER[10:]))), 1)
        parser.restart()
        parser.buffer(HEADER)
        self.assertEqual([type(event) for event in parser.feed(b"<iq/>")], [StreamOpened, Element])

    def test_bounded(self) -> None:
        """The headers that are remembered are limited in number and size."""
        for n in range(1000):
            self.opened(HEADER.replace(b"example.org", b"%d.example.org" % n))
            self.opened(HEADER.replace(b"example.org", b"%d.example.org" % n + b"x" * 1000))
        self.assertLessEqual(sum(len(data) for _, data in headers.known), 128 * 512)


class NamespaceTests(Case):
    """Namespaces in XML 1.0."""

    def test_prefixes(self) -> None:
        """The prefixes of elements and attributes are resolved, also where one is redeclared."""
        a = self.parse(
            b"<p:a xmlns:p='urn:1' p:x='1' x='2'><p:b xmlns:p='urn:2' p:x='3'><p:c/></p:b><p:d/><e/><stream:f/></p:a>"
        )
        self.assertEqual((a.uri, a.name, a.attributes), ("urn:1", "a", {("urn:1", "x"): "1", "x": "2"}))
        b, d, e, f = a.children
        self.assertEqual((b.uri, b.attributes, b.children[0].uri), ("urn:2", {("urn:2", "x"): "3"}, "urn:2"))
        self.assertEqual((d.uri, e.uri, f.uri), ("urn:1", ns.CLIENT, ns.STREAM))
        self.assertEqual(b.localPrefixes, {"p": "urn:2"})
        self.assertEqual(d.localPrefixes, {})

    def test_undeclared(self) -> None:
        """A prefix that is not declared, or only by an element that has ended, is bad-namespace-prefix."""
        ended = b"<a><p:b xmlns:p='urn:1'/><p:c/></a>"
        for data in (b"<p:a/>", b"<a p:b=''/>", b"<a><b p:c=''/></a>", b"<xmlns:a/>", ended):
            self.assertRefused("bad-namespace-prefix", data)
        self.assertRefused("bad-namespace-prefix", b"", b"<stream:stream xmlns='jabber:client'>")

    def test_notWellFormed(self) -> None:
        """What the recommendation forbids is not-well-formed."""
        for data in (
            b"<a:b:c xmlns:a='u'/>", b"<:a/>", b"<a: xmlns:a='u'/>", b"<a :b=''/>", b"<a xmlns:='u'/>",
            b"<a xmlns:p=''/>", b"<a xmlns:xmlns='u'/>", b"<a xmlns:xml='u'/>",
            b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", b"<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            b"<a xmlns='http://www.w3.org/2000/xmlns/'/>", b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
            b"<p:1 xmlns:p='u'/>", b"<a xmlns:p='u' p:-b=''/>", b"<p:\xcc\x80 xmlns:p='u'/>", b"<a xmlns:1='u'/>",
            b"<a xmlns='a b'/>", b"<a xmlns='urn:x&quot;'/>", b"<a xmlns:p='urn:\xc3\xa4'/>", b"<a xmlns='urn:%zz'/>",
            b"<a xmlns='urn:x&#10;'/>",
        ):  # fmt: skip
            self.assertRefused("not-well-formed", data)

    def test_xmlPrefix(self) -> None:
        """The prefix xml is always bound, and may be declared."""
        a = self.parse(b"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='fr' xml:id='i'/>")
        self.assertEqual(a.attributes, {(ns.XML, "lang"): "fr", (ns.XML, "id"): "i"})

    def test_noNamespace(self) -> None:
        """The default namespace can be removed."""
        a = self.parse(b"<a xmlns=''><b/></a>")
        self.assertEqual((a.uri, a.children[0].uri), ("", ""))

    def test_content(self) -> None:
        """Another content namespace becomes jabber:client, however it is declared."""
        header = HEADER.replace(b"jabber:client", b"jabber:server")
        parser = self.opened(header, content=ns.SERVER)
        a, b = parser.feed(b"<message><body/></message><p:iq xmlns:p='jabber:server'><q xmlns='jabber:server'/></p:iq>")
        self.assertEqual([a.uri, a.children[0].uri, b.uri, b.children[0].uri], [ns.CLIENT] * 4)

    def test_root(self) -> None:
        """The root must be a stream with a known content namespace, with any prefix."""
        self.assertRefused("invalid-namespace", b"", HEADER.replace(b"etherx", b"ether"))
        self.assertRefused("invalid-namespace", b"", b"<stream>")
        self.assertRefused("invalid-namespace", b"", HEADER.replace(b"jabber:client", b"jabber:server"))
        self.assertRefused("invalid-namespace", b"", HEADER.replace(b"jabber:client", b"urn:x"))
        self.assertRefused("bad-format", b"", HEADER.replace(b"stream:stream", b"stream:streams"))
        self.opened(b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>")

    def test_explicitContent(self) -> None:
        """The content namespace may be declared by each stanza instead of the header (RFC 6120 §4.8.3)."""
        parser = self.opened(b"<stream xmlns='http://etherx.jabber.org/streams'>")
        a, b = parser.feed(b"<presence xmlns='jabber:client'><show/></presence><presence/>")
        self.assertEqual((a.uri, a.children[0].uri, b.uri), (ns.CLIENT, ns.CLIENT, ns.STREAM))

    def test_longNamespace(self) -> None:
        """A long namespace of many names is kept once."""
        uri = b"u" * 100_000
        data = b"<p:a xmlns:p='%s'>%s</p:a>" % (uri, b"<p:b/>" * 5000)
        parser = self.opened()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        (a,) = parser.feed(data)
        peak = tracemalloc.get_traced_memory()[1]
        self.assertEqual(len(a.children), 5000)
        self.assertIs(a.children[0].uri, a.children[1].uri)
        self.assertLess(peak, 16 * 1024 * 1024)


class RestrictedTests(Case):
    """RFC 6120 §11, with the conditions of §4.9.3."""

    def test_restricted(self) -> None:
        """Comments, processing instructions, doctypes and entities are restricted-xml, before their end."""
        for data in (b"<!--c-->", b"<?php x?>", b"<a><!----></a>", b"<a><?x?></a>", b"<a>&nbsp;</a>", b"<a b='&c;'/>",
                     b"<!--" + b"x" * 5000, b"<?x " + b"x" * 5000):  # fmt: skip
            self.assertRefused("restricted-xml", data)
        entities = b"".join(b"<!ENTITY e%d '%s'>" % (n + 1, b"&e%d;" % n * 10) for n in range(9))
        billionLaughs = b"<!DOCTYPE stream [<!ENTITY e0 'ha'>" + entities + b"]>"
        for prolog in (b"<!DOCTYPE stream>", b"<!-- -->", b"<?x?>", billionLaughs):
            self.assertRefused("restricted-xml", b"", b"<?xml version='1.0'?>" + prolog + ROOT)

    def test_notWellFormed(self) -> None:
        """Invalid XML is not-well-formed."""
        for data in (b"<a></b>", b"<a b=1/>", b"<a b='' b=''/>", b"< a/>", b"<a b='<'/>", b"&#0;", b"\0", b"<a>]]></a>",
                     b"<a>\x01</a>", b"<a>\xef\xbf\xbe</a>", b"</a>", b"<?xml version='1.0'?>", b"&;"):  # fmt: skip
            self.assertRefused("not-well-formed", data)

    def test_version(self) -> None:
        """A stream is XML 1.0: in the XML declaration, any other version is not-well-formed."""
        for version in (b"1.1", b"2.0", b"1", b"1.0.0"):
            self.assertRefused("not-well-formed", b"", b"<?xml version='" + version + b"'?>" + ROOT)
        self.opened(b'<?xml version="1.0"?>' + ROOT)

    def test_encoding(self) -> None:
        """In the XML declaration, any encoding but UTF-8 is unsupported-encoding."""
        declaration = b"<?xml version='1.0' encoding='%s'?>"
        for encoding in (b"ISO-8859-1", b"UTF-16", b"us-ascii", b"x-unknown"):
            self.assertRefused("unsupported-encoding", b"", declaration % encoding + ROOT)
        for encoding in (b"UTF-8", b"utf-8"):
            self.opened(declaration % encoding + ROOT)

    def test_notUTF8(self) -> None:
        """Bytes that are not UTF-8 are unsupported-encoding (RFC 6120 §4.9.3.22), in text and attributes."""
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe4 ", b"\x80", b"\xf5\x80\x80\x80"):
            self.assertRefused("unsupported-encoding", b"<a>" + bad + b"</a>")
            self.assertRefused("unsupported-encoding", b"<a b='" + bad + b"'/>")
            self.assertRefused("unsupported-encoding", b"<a b='" + b"x" * 3000 + bad + b"'/>")

    def test_utf16(self) -> None:
        """UTF-16 and UTF-32, with and without a byte order mark, are unsupported-encoding."""
        for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
            self.assertRefused("unsupported-encoding", b"", HEADER.decode().encode(codec))

    def test_byteOrderMark(self) -> None:
        """A byte order mark in UTF-8 is a character (RFC 6120 §11.6), so a stream must not begin with it."""
        self.assertRefused("not-well-formed", b"", b"\xef\xbb\xbf" + HEADER)
        self.assertEqual(self.parse(b"<a>\xef\xbb\xbf</a>").text(), "\ufeff")


class ReparseDeferralTests(SynchronousTestCase):
    """Deferral of incomplete tokens by expat."""

    def test_switchedOff(self) -> None:
        """It is switched off where Python can do so."""
        for methods in (["SetReparseDeferralEnabled"], []):
            expat = Mock(spec=methods)
            self.patch(xmlsyntax.expat, "ParserCreate", lambda *_, made=expat, **__: made)
            self.assertIs(xmlsyntax.createExpat(), expat)
            self.assertEqual(expat.mock_calls, [call.SetReparseDeferralEnabled(False)] * len(methods))

    def test_detected(self) -> None:
        """A parser that does not report a token with its last byte is detected; this Python's does."""
        self.assertFalse(xmlsyntax.hasReparseDeferral())
        self.patch(xmlsyntax, "createExpat", Mock)
        self.assertTrue(xmlsyntax.hasReparseDeferral())


class LimitTests(Case):
    """Limits of stanzas."""

    def test_stanzaSize(self) -> None:
        """A stanza may have as many bytes as the limit, and not one more, however it is cut."""
        for length, condition in ((500, None), (501, "policy-violation")):
            for template in (b"<a>%s</a>", b"<a b='%s'/>", b"<a><b/>%s</a>"):
                stanza = template % (b"x" * (length - len(template) + 2))
                for data in (stanza * 3, b"\n" + stanza, stanza + b" "):
                    for pieces in ([data], cut(data, [1, 7, 100, 499, 500, 501, 502, 999]), single(data)):
                        parser = self.opened(HEADER)
                        parser.stanzaSize = 500
                        events, found = collect(parser, pieces)
                        self.assertEqual(found, condition)
                        self.assertEqual(len(events), 0 if condition else data.count(b"<a"))

    def test_notShownToExpat(self) -> None:
        """Expat never parses more of a stanza than the limit."""
        for length, condition in ((996, "not-well-formed"), (997, "policy-violation")):
            parser = self.opened(stanzaSize=1000)
            self.assertEqual(collect(parser, [b"<a>" + b"x" * length + b"\0"])[1], condition)

    def test_headerSize(self) -> None:
        """The header, including the XML declaration, is limited like a stanza."""
        self.opened(HEADER, stanzaSize=len(HEADER))
        self.assertRefused("policy-violation", b"", HEADER, stanzaSize=len(HEADER) - 1)
        self.assertRefused("policy-violation", b"", b"<?xml version='1.0'?>" + b" " * 2000, stanzaSize=1000)

    def test_changedStanzaSize(self) -> None:
        """The limit can be changed at any time."""
        parser = self.opened(stanzaSize=1000)
        parser.stanzaSize = 2000
        self.assertEqual(len(list(parser.feed(b"<a>" + b"x" * 1500 + b"</a>"))), 1)
        parser.stanzaSize = 1000
        self.assertEqual(collect(parser, [b"<a>" + b"x" * 1500 + b"</a>"])[1], "policy-violation")

    def test_depth(self) -> None:
        """A stanza may be as deep as the limit."""
        self.assertEqual(self.parse(b"<a>" * 64 + b"</a>" * 64).name, "a")
        self.assertRefused("policy-violation", b"<a>" * 65)
        self.assertEqual(len(list(self.opened(depth=2).feed(b"<a><b/><b/></a><a/>" * 20))), 40)
        self.assertRefused("policy-violation", b"<a><b><c/></b></a>", depth=2)

    def test_attributes(self) -> None:
        """An element may have as many attributes as the limit, namespace declarations included."""
        attributes = [b"a%d=''" % n for n in range(62)] + [b"xmlns='u'", b"xmlns:p='u'"]
        self.assertEqual(len(self.parse(b"<a %s/>" % b" ".join(attributes)).attributes), 62)
        self.assertRefused("policy-violation", b"<a z='' %s/>" % b" ".join(attributes))
        self.assertRefused("policy-violation", b"<a id='' to='' type=''/>", attributes=2, header=HEADER.replace(
            b"to='example.org' version='1.0' xml:lang='de' ", b""))  # fmt: skip
        self.assertRefused("policy-violation", b"", HEADER, attributes=4)

    def test_elements(self) -> None:
        """Each stanza may have as many elements as the limit."""
        data = b"<a><b/><b><c/></b></a>"
        self.assertEqual(len(list(self.opened(elements=4).feed(data * 3))), 3)
        self.assertRefused("policy-violation", data, elements=3)

    def test_namespaces(self) -> None:
        """
        The namespace declarations needed to render a stanza are limited like its size: of elements and attributes with
        prefixes, and of inherited default namespaces. An element in its parent's namespace needs none.
        """
        uri = b"u" * 100
        for start, child, end in (
            (b"<a xmlns:p='%s'>" % uri, b"<p:b/>", b"</a>"),
            (b"<a xmlns:p='%s'>" % uri, b"<b p:c=''/>", b"</a>"),
            (b"<p:a xmlns:p='urn:p' xmlns='%s'>" % uri, b"<b/>", b"</p:a>"),
            (b"<p:a xmlns:p='urn:p' xmlns='%s'>" % uri, b"<b c=''/>", b"</p:a>"),
        ):
            for count in (20, 21):
                parser = self.opened(stanzaSize=2050)
                events, condition = collect(parser, [start + child * count + end])
                if count == 20:
                    self.assertEqual((len(events), condition), (1, None), child)
                    # The next stanza is counted anew.
                    self.assertEqual(collect(parser, [start + child * count + end]), (events, None), child)
                else:
                    self.assertEqual((events, condition), ([], "policy-violation"), child)
        inside = b"<p:a xmlns:p='%s'>%s</p:a>" % (uri, b"<p:b/>" * 50)
        self.assertEqual(collect(self.opened(stanzaSize=2050), [inside])[1], None)

    def test_longTokens(self) -> None:
        """A long token in small pieces goes to expat in one, and is complete with its last byte."""
        for stanza in (
            b"<a b='%s' c=\"'>\" d='\">'/>" % (b">x" * 5000),
            b"<%s ></%s   >" % (b"n" * 5000, b"n" * 5000),
            b"<a>&#%s65;</a>" % (b"0" * 5000),
            b"<a>%s</a>" % (b"]\r\n" * 5000),
        ):
            created = self.countExpat()
            parser = self.opened()
            (expected,) = self.opened().feed(stanza)
            self.assertEqual([event for byte in single(stanza[:-1]) for event in parser.feed(byte)], [])
            (event,) = parser.feed(stanza[-1:])
            self.assertEqual(form(event), form(expected))
            if b"]" not in stanza:
                self.assertLess(len(created[0].sizes), 2 * parserModule.LONG_TOKEN + 200)

    def test_largestStanzaInSmallPieces(self) -> None:
        """The largest stanza is parsed, also in small pieces."""
        for template in (b"<a b='%s'/>", b"<a>%s</a>"):
            stanza = template % (b"\xc3\xa4" * ((parserModule.STANZA_SIZE - len(template) + 2) // 2))
            parser = self.opened()
            events = [event for at in range(0, len(stanza), 7) for event in parser.feed(stanza[at : at + 7])]
            self.assertEqual(len(events), 1)


class MemoryTests(Case):
    """Memory of parsers."""

    def test_manyNames(self) -> None:
        """Half a million different names on one stream do not make the process larger."""
        program = (
            "import resource, sys\n"
            "from muccore.stream.parser.parser import StanzaParser\n"
            "p = StanzaParser()\n"
            "assert len(list(p.feed(sys.argv[1].encode()))) == 1\n"
            "size = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
            "def names(begin, end):\n"
            "    for i in range(begin, end, 50):\n"
            "        children = ''.join(f'<n{n} a{n}=\"\"/>' for n in range(i, i + 50))\n"
            "        data = f'<m{i}>{children}</m{i}><half'.encode()\n"
            "        [None for _ in p.feed(data)]\n"
            "        [None for _ in p.feed(b'/>')]\n"
            "names(0, 20000)\n"
            "before = size()\n"
            "names(20000, 520000)\n"
            "print(size() - before)\n"
        )
        command = [sys.executable, "-c", program, HEADER.decode()]
        done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
        self.assertLess(int(done.stdout), 4 * 1024 * 1024)

    def test_pieceNeverEndsBetweenStanzas(self) -> None:
        """Expat is replaced even if no piece ends between stanzas."""
        created = self.countExpat()
        parser = self.opened()
        list(parser.feed(b"<m"))
        count = sum(len(list(parser.feed(b"%d/><m" % n))) for n in range(RECYCLE // 4))
        self.assertEqual(count, RECYCLE // 4)
        self.assertGreater(len(created), 1)
        self.assertLess(max(sum(expat.sizes) for expat in created), RECYCLE + 1000)

    def test_idle(self) -> None:
        """An idle parser has no expat, and goes on where it was, with the namespaces of the header."""
        created = self.countExpat()
        header = HEADER.replace(b"stream:stream", b"s:stream").replace(b"xmlns:stream", b"xmlns:p='urn:p' xmlns:s")
        parser = self.opened(header)
        list(parser.feed(b"<presence/>"))
        parser.idle()
        self.assertEqual(list(parser.feed(b" \n")), [])
        self.assertEqual(len(created), 1)
        (event,) = parser.feed(b" <p:a p:b=''><c/></p:a>")
        self.assertEqual((event.uri, event.attributes), ("urn:p", {("urn:p", "b"): ""}))
        self.assertEqual(event.children[0].uri, ns.CLIENT)
        self.assertEqual(len(created), 2)
        for end, expected in ((b"</s:stream>", ([CLOSED], None)), (b"</stream>", ([], "not-well-formed"))):
            parser = self.opened(header)
            parser.idle()
            self.assertEqual(collect(parser, [end]), expected)

    def test_idleInsideStanza(self) -> None:
        """C{idle} is safe at any point."""
        data = HEADER + b"<a b='c'>d</a>" + b"<e>" + b"x" * 3000 + b"</e>" + b"<f g='" + b"y" * 3000 + b"'/>"
        expected = collect(StanzaParser(), [data])
        parser = StanzaParser()
        events = []
        for byte in single(data):
            events += [form(event) for event in parser.feed(byte)]
            parser.idle()
        self.assertEqual((events, None), expected)

    def test_size(self) -> None:
        """An idle parser takes less than 2 KiB."""
        parsers = [self.opened() for _ in range(10)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            parser = StanzaParser()
            for _ in parser.feed(HEADER):
                pass
            parser.idle()
            parsers.append(parser)
        self.assertLess((tracemalloc.get_traced_memory()[0] - before) / 100, 2 * 1024)


class SteppingTests(Case):
    """L{StanzaParser.stepwise}"""

    data = b"<auth a='/>'/><b>x</b> \n<c><d/></c ><e f='g' /><h></h>"

    def test_oneByOne(self) -> None:
        """Elements are yielded one by one, however the data is cut."""
        for pieces in ([HEADER + self.data], single(HEADER + self.data), [HEADER, self.data]):
            parser = StanzaParser(stepwise=True)
            names = [event[2] for event in collect(parser, pieces)[0]]
            self.assertEqual(names, ["stream", "auth", "b", "c", "e", "h"])

    def test_errorAfterElement(self) -> None:
        """An error after an element is raised when the iteration goes on."""
        parser = self.opened(stepwise=True)
        iteration = parser.feed(b"<auth/><<<")
        self.assertEqual(next(iteration).name, "auth")
        self.assertRaises(StreamError, next, iteration)

    def test_abandonedIteration(self) -> None:
        """An abandoned iteration is continued by the next call, in order with data buffered meanwhile."""
        parser = self.opened(stepwise=True)
        for event in parser.feed(b"<a/><b></b><c>"):
            self.assertEqual(event.name, "a")
            break
        parser.buffer(b"x")
        for event in parser.feed(b"</c>"):
            self.assertEqual(event.name, "b")
            break
        (c,) = parser.feed(b"")
        self.assertEqual((c.name, c.children), ("c", ["x"]))

    def test_newStream(self) -> None:
        """After a restart the bytes after the element belong to the new stream."""
        whole = HEADER + b"<auth></auth>\n" + HEADER + b"<iq/>"
        for pieces in ([whole], single(whole), cut(whole, range(0, len(whole), 50))):
            parser = StanzaParser(stepwise=True)
            found = []
            for piece in pieces:
                for event in parser.feed(piece):
                    found.append((type(event), event.name))
                    if event.name == "auth":
                        parser.restart()
            self.assertEqual(
                found, [(StreamOpened, "stream"), (Element, "auth"), (StreamOpened, "stream"), (Element, "iq")]
            )

    def test_newStreamHasNoPrefixes(self) -> None:
        """A new stream does not have the prefixes of the former one."""
        parser = self.opened(HEADER.replace(b"xmlns:s", b"xmlns:p='urn:p' xmlns:s"), stepwise=True)
        parser.restart()
        events, condition = collect(parser, [HEADER + b"<p:a/>"])
        self.assertEqual((len(events), condition), (1, "bad-namespace-prefix"))

    def test_discard(self) -> None:
        """A restart can drop buffered data."""
        parser = self.opened(stepwise=True)
        for event in parser.feed(b"<starttls/><auth/>" + HEADER):
            self.assertEqual(event.name, "starttls")
            parser.restart(discard=True)
        self.assertEqual([event.name for event in parser.feed(HEADER + b"<b/>")], ["stream", "b"])

    def test_switchedOff(self) -> None:
        """Stepping can be switched off during an iteration."""
        parser = self.opened(stepwise=True)
        names = []
        for event in parser.feed(self.data * 3):
            names.append(event.name)
            parser.stepwise = False
        self.assertEqual(names, ["auth", "b", "c", "e", "h"] * 3)


attributes = st.dictionaries(
    st.sampled_from(["to", "b", (ns.XML, "lang"), ("urn:y", "c")]), st.text("<>&'\"ä \n", max_size=9)
)
markup = st.recursive(
    st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn")), max_size=20),
    lambda children: st.builds(
        lambda name, uri, attributes, inner: (name, uri, attributes, inner),
        st.sampled_from(["a", "body", "x"]),
        st.sampled_from([ns.CLIENT, "urn:x", ""]),
        attributes,
        st.lists(children, max_size=4),
    ),
    max_leaves=12,
)


def build(tree: Any) -> Any:
    """Build an element from a value of C{markup}."""
    if isinstance(tree, str):
        return tree
    name, uri, attributes, inner = tree
    element = Element((uri, name), None, dict(attributes))
    for child in inner:
        child = build(child)
        if isinstance(child, str):
            if child:
                element.addContent(child)
        else:
            element.addChild(child)
    return element


class FuzzTests(Case):
    """Arbitrary input."""

    @settings(max_examples=60)
    @given(st.lists(st.integers(min_value=0), max_size=12), st.booleans(), st.permutations(STANZAS))
    def test_chunks(self, places: list[int], stepwise: bool, stanzas: list[bytes]) -> None:
        """The events do not depend on how the bytes are cut."""
        data = HEADER + b"".join(stanzas) + b"</stream:stream>"
        expected = collect(StanzaParser(), [data])
        self.assertEqual(len(expected[0]), 6)
        self.assertEqual(collect(StanzaParser(stepwise=stepwise), cut(data, places)), expected)

    @settings(max_examples=80)
    @given(
        st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([*STANZAS, *FRAGMENTS]))),
        st.lists(st.integers(min_value=0), max_size=6),
        st.booleans(),
    )
    def test_anything(self, pieces: list[bytes], places: list[int], stepwise: bool) -> None:
        """
        Any input yields events or a stream error. How it is cut changes at most which one of several errors in a row is
        found first.
        """
        data = b"".join(pieces)
        events, condition = collect(StanzaParser(), [HEADER + data])
        found = collect(StanzaParser(stepwise=stepwise), [HEADER, *cut(data, places)])
        self.assertEqual((found[0], found[1] is None), (events, condition is None))
        collect(StanzaParser(stepwise=stepwise), cut(data, places))

    @settings(max_examples=60)
    @given(markup.filter(lambda tree: not isinstance(tree, str)))
    def test_roundTrip(self, tree: Any) -> None:
        """Parsing a rendered element yields an equal one."""
        element = build(tree)
        (parsed,) = self.opened().feed(render(element))
        self.assertEqual(form(parsed), form(element))
