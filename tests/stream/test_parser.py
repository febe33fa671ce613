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

from muccore.stream.parser import parser as parserModule
from muccore.stream.parser import xmlsyntax
from muccore.stream.parser.parser import CLOSED, RECYCLE, StanzaParser, StreamOpened
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError, errorReply
from muccore.xmpp.rendering import render

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xml:lang='de' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
STANZAS = (
    b"<message to='a@b' type='chat'><body>one &amp; \xc3\xa4 \xf0\x9f\x98\x80</body>"
    b"<x xmlns='urn:x'><y/></x></message>",
    b" \n",
    b"<presence/>",
    b"<p:iq xmlns:p='jabber:client' id='7' type='get'><p:q xmlns:q='urn:q' q:a='1' a=\"2>\"><q:z/></p:q></p:iq>",
    b"<message><body><![CDATA[<b>]]> ]] </body></message>",
)
SCRAPS = (b"<a", b">", b"/>", b"</a>", b"<![CDATA[", b"]]>", b" b='", b"'", b"&amp;", b"<!--", b"&#x", b";", b"<p:a")


def form(node: Any) -> Any:
    """What an element is, as something that can be compared."""
    if isinstance(node, str) or node is CLOSED:
        return node
    return (type(node), node.uri, node.name, dict(node.attributes), [form(child) for child in node.children])


def collect(parser: StanzaParser, pieces: Iterable[bytes]) -> tuple[list[Any], str | None]:
    """Feed a parser: what it gave, and the condition of the error that ended it."""
    events: list[Any] = []
    try:
        for piece in pieces:
            events.extend(form(event) for event in parser.feed(piece))
    except StreamError as e:
        return events, e.condition
    return events, None


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Data in pieces."""
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(at)]


class Case(SynchronousTestCase):
    """Helpers."""

    def opened(self, header: bytes = HEADER, **options: Any) -> StanzaParser:
        """A parser that has seen the header."""
        parser = StanzaParser(**options)
        (event,) = parser.feed(header)
        self.assertIs(type(event), StreamOpened)
        return parser

    def parse(self, data: bytes, **options: Any) -> Element:
        """The one element that data holds."""
        (element,) = self.opened(**options).feed(data)
        self.assertIs(type(element), Element)
        return element

    def refused(self, condition: str, data: bytes, header: bytes = HEADER, **options: Any) -> None:
        """Check that data is refused, whether it comes at once or in single bytes, and that the parser is dead then."""
        for pieces in ([header + data], [header, data], [b"%c" % byte for byte in header + data]):
            parser = StanzaParser(**options)
            self.assertEqual(collect(parser, pieces)[1], condition)
            self.assertEqual(list(parser.feed(b"<presence/>")), [])
            parser.buffer(b"<presence/>")
            self.assertEqual(list(parser.feed(b"")), [])


class StreamTests(Case):
    """The header, stanzas and the end."""

    def test_header(self) -> None:
        """The header comes out with its attributes, the prefixes it declares and no children."""
        (opened,) = StanzaParser().feed(HEADER)
        self.assertEqual((opened.uri, opened.name, opened.defaultUri), (ns.STREAM, "stream", ns.CLIENT))
        self.assertEqual(opened.attributes, {"to": "example.org", "version": "1.0", (ns.XML, "lang"): "de"})
        self.assertEqual(opened.localPrefixes, {"stream": ns.STREAM})
        self.assertEqual(opened.children, [])

    def test_stanza(self) -> None:
        """A stanza comes out as an element like those that are built: namespaces, attributes, text, children."""
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
        The header and a stanza in two or three pieces are given with their last byte, wherever they are cut, and by
        every expat parser: the first one, and those that take over from it.
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
        """The end tag ends everything: what stands behind it is not looked at."""
        parser = self.opened()
        events = list(parser.feed(b"<presence/></stream:stream><<<&"))
        self.assertEqual(form(events[0])[2], "presence")
        self.assertIs(events[1], CLOSED)
        self.assertEqual(len(events), 2)
        self.assertEqual(list(parser.feed(b"<presence/>")), [])

    def test_everythingBeforeTheError(self) -> None:
        """What stands before an error in the same piece is given first."""
        events, condition = collect(StanzaParser(), [HEADER + b"<presence/><iq/><!-- -->"])
        self.assertEqual([event[2] for event in events], ["stream", "presence", "iq"])
        self.assertEqual(condition, "restricted-xml")

    def test_whiteSpace(self) -> None:
        """White space between stanzas is nothing, and none of it is kept."""
        parser = self.opened(stanzaSize=200)
        for _ in range(500):
            self.assertEqual(list(parser.feed(b" \r\n\t")), [])
        self.assertEqual(parser._text, [])
        self.assertEqual(parser._used, 0)
        self.assertEqual(form(next(parser.feed(b"<presence/>")))[2], "presence")

    def test_text(self) -> None:
        """Any other text between stanzas is bad-format."""
        for data in (b"x", b"<presence/>x<presence/>", b" \xc2\xa0 ", b"x</stream:stream>", b"&#65; "):
            self.refused("bad-format", data)

    def test_kill(self) -> None:
        """A killed parser gives nothing more, not even what it has parsed."""
        parser = self.opened()
        events = []
        for event in parser.feed(b"<presence/><iq/><iq/>"):
            events.append(event.name)
            if event.name == "iq":
                parser.stop()
        self.assertEqual(events, ["presence", "iq"])
        self.assertEqual(list(parser.feed(b"<iq/>")), [])

    def test_noCycle(self) -> None:
        """A killed parser leaves nothing for the garbage collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        parser = self.opened()
        parser.stop()
        del parser
        self.assertEqual(gc.collect(), 0)

    def test_gone(self) -> None:
        """
        A stanza leaves nothing for the garbage collector either: at what a stanza may be, a few thousand of them are a
        gigabyte, and so few objects that it would not come.
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

    def test_entitiesOfXML(self) -> None:
        """Predefined entities, character references and CDATA are text; line ends are normalised."""
        body = self.parse(b"<body>&lt;&gt;&amp;&apos;&quot;&#x41;&#0066;<![CDATA[<&>]]>\r\n\r.</body>")
        self.assertEqual(body.children, ["<>&'\"AB<&>\n\n."])


class NamespaceTests(Case):
    """Namespaces in XML 1.0."""

    def test_prefixes(self) -> None:
        """Prefixes are resolved for elements and attributes, shadowed and unshadowed."""
        a = self.parse(
            b"<p:a xmlns:p='urn:1' p:x='1' x='2'><p:b xmlns:p='urn:2' p:x='3'><p:c/></p:b><p:d/><e/><stream:f/></p:a>"
        )
        self.assertEqual((a.uri, a.name, a.attributes), ("urn:1", "a", {("urn:1", "x"): "1", "x": "2"}))
        b, d, e, f = a.children
        self.assertEqual((b.uri, b.attributes, b.children[0].uri), ("urn:2", {("urn:2", "x"): "3"}, "urn:2"))
        self.assertEqual((d.uri, e.uri, f.uri), ("urn:1", ns.CLIENT, ns.STREAM))
        self.assertEqual(b.localPrefixes, {"p": "urn:2"})
        self.assertEqual(d.localPrefixes, {})

    def test_prefixEnds(self) -> None:
        """A prefix ends with the element that declared it."""
        self.refused("bad-namespace-prefix", b"<a><p:b xmlns:p='urn:1'/><p:c/></a>")

    def test_undeclared(self) -> None:
        """A prefix that nobody declared is bad-namespace-prefix."""
        for data in (b"<p:a/>", b"<a p:b=''/>", b"<a><b p:c=''/></a>", b"<xmlns:a/>"):
            self.refused("bad-namespace-prefix", data)
        self.refused("bad-namespace-prefix", b"", b"<stream:stream xmlns='jabber:client'>")

    def test_illFormed(self) -> None:
        """What the recommendation forbids is not-well-formed."""
        for data in (
            b"<a:b:c xmlns:a='u'/>",
            b"<:a/>",
            b"<a: xmlns:a='u'/>",
            b"<a :b=''/>",
            b"<a xmlns:='u'/>",
            b"<a xmlns:p=''/>",
            b"<a xmlns:xmlns='u'/>",
            b"<a xmlns:xml='u'/>",
            b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            b"<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            b"<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
            b"<p:1 xmlns:p='u'/>",
            b"<a xmlns:p='u' p:-b=''/>",
            b"<p:\xcc\x80 xmlns:p='u'/>",
            b"<a xmlns:1='u'/>",
            b"<a xmlns='a b'/>",
            b"<a xmlns='urn:x&quot;'/>",
            b"<a xmlns:p='urn:\xc3\xa4'/>",
            b"<a xmlns='urn:%zz'/>",
            b"<a xmlns='urn:x&#10;'/>",
        ):
            self.refused("not-well-formed", data)

    def test_xmlPrefix(self) -> None:
        """The prefix xml is always bound and may be declared as what it is."""
        a = self.parse(b"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='fr' xml:id='i'/>")
        self.assertEqual(a.attributes, {(ns.XML, "lang"): "fr", (ns.XML, "id"): "i"})

    def test_noNamespace(self) -> None:
        """An empty default namespace is none."""
        a = self.parse(b"<a xmlns=''><b/></a>")
        self.assertEqual((a.uri, a.children[0].uri), ("", ""))

    def test_content(self) -> None:
        """Another content namespace comes out as jabber:client, however it is declared."""
        header = HEADER.replace(b"jabber:client", b"jabber:server")
        parser = self.opened(header, content=ns.SERVER)
        a, b = parser.feed(b"<message><body/></message><p:iq xmlns:p='jabber:server'><q xmlns='jabber:server'/></p:iq>")
        self.assertEqual([a.uri, a.children[0].uri, b.uri, b.children[0].uri], [ns.CLIENT] * 4)

    def test_root(self) -> None:
        """The root must be a stream with a content namespace that is known, under whatever prefix."""
        self.refused("invalid-namespace", b"", HEADER.replace(b"etherx", b"ether"))
        self.refused("invalid-namespace", b"", b"<stream>")
        self.refused("invalid-namespace", b"", HEADER.replace(b"jabber:client", b"jabber:server"))
        self.refused("invalid-namespace", b"", HEADER.replace(b"jabber:client", b"urn:x"))
        self.refused("bad-format", b"", HEADER.replace(b"stream:stream", b"stream:streams"))
        self.opened(b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>")

    def test_explicitContent(self) -> None:
        """The content namespace may be declared on each stanza instead of the header (RFC 6120 §4.8.3)."""
        parser = self.opened(b"<stream xmlns='http://etherx.jabber.org/streams'>")
        a, b = parser.feed(b"<presence xmlns='jabber:client'><show/></presence><presence/>")
        self.assertEqual((a.uri, a.children[0].uri, b.uri), (ns.CLIENT, ns.CLIENT, ns.STREAM))

    def test_longNamespace(self) -> None:
        """A long namespace on many names costs no more than one copy of it."""
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
    """RFC 6120 §11 and the conditions of §4.9.3 that belong to it."""

    def test_restricted(self) -> None:
        """Comments, processing instructions, doctypes and entities are restricted-xml."""
        for data in (b"<!--c-->", b"<?php x?>", b"<a><!----></a>", b"<a><?x?></a>", b"<a>&nbsp;</a>", b"<a b='&c;'/>"):
            self.refused("restricted-xml", data)
        for prolog in (b"<!DOCTYPE stream>", b"<!-- -->", b"<?x?>"):
            self.refused("restricted-xml", b"", b"<?xml version='1.0'?>" + prolog + HEADER[21:])

    def test_billionLaughs(self) -> None:
        """A doctype with entities is refused before any of them is expanded."""
        entities = b"".join(b"<!ENTITY e%d '%s'>" % (n + 1, b"&e%d;" % n * 10) for n in range(9))
        self.refused("restricted-xml", b"", b"<!DOCTYPE x [<!ENTITY e0 'ha'>" + entities + b"]><x>&e9;</x>")

    def test_notWellFormed(self) -> None:
        """What is no XML is not-well-formed."""
        for data in (b"<a></b>", b"<a b=1/>", b"<a b='' b=''/>", b"< a/>", b"<a b='<'/>", b"&#0;", b"\0", b"<a>]]></a>",
                     b"<a>\x01</a>", b"<a>\xef\xbf\xbe</a>", b"</a>", b"<?xml version='1.0'?>", b"&;"):  # fmt: skip
            self.refused("not-well-formed", data)

    def test_encoding(self) -> None:
        """Another encoding in the XML declaration is unsupported-encoding, UTF-8 in any case is not."""
        for encoding in (b"ISO-8859-1", b"UTF-16", b"us-ascii", b"x-unknown"):
            self.refused("unsupported-encoding", b"", b"<?xml version='1.0' encoding='%s'?>" % encoding + HEADER[21:])
        for encoding in (b"UTF-8", b"utf-8"):
            self.opened(b"<?xml version='1.0' encoding='%s'?>" % encoding + HEADER[21:])

    def test_notUTF8(self) -> None:
        """Bytes that are not UTF-8 are unsupported-encoding (RFC 6120 §4.9.3.22), wherever they stand."""
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe4 ", b"\x80", b"\xf5\x80\x80\x80"):
            self.refused("unsupported-encoding", b"<a>" + bad + b"</a>")
            self.refused("unsupported-encoding", b"<a b='" + bad + b"'/>")
            self.refused("unsupported-encoding", b"<a b='" + b"x" * 3000 + bad + b"'/>")

    def test_utf16(self) -> None:
        """UTF-16 and UTF-32, with a byte order mark or without, are unsupported-encoding."""
        for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
            self.refused("unsupported-encoding", b"", HEADER.decode().encode(codec))

    def test_byteOrderMark(self) -> None:
        """A byte order mark in UTF-8 is a character like others (RFC 6120 §11.6), so nothing may begin with it."""
        self.refused("not-well-formed", b"", b"\xef\xbb\xbf" + HEADER)
        self.assertEqual(self.parse(b"<a>\xef\xbb\xbf</a>").text(), "\ufeff")


class ReparseDeferralTests(SynchronousTestCase):
    """Expat libraries that put tokens off."""

    def test_switchedOff(self) -> None:
        """An expat parser is told not to where Python can tell it, and used as it is where Python cannot."""
        for methods in (["SetReparseDeferralEnabled"], []):
            expat = Mock(spec=methods)
            self.patch(xmlsyntax.expat, "ParserCreate", lambda *_, made=expat, **__: made)
            self.assertIs(xmlsyntax.createExpat(), expat)
            self.assertEqual(expat.mock_calls, [call.SetReparseDeferralEnabled(False)] * len(methods))

    def test_noticed(self) -> None:
        """A parser that reports nothing with the last byte of a token is noticed; this Python's is none."""
        self.assertFalse(xmlsyntax.hasReparseDeferral())
        self.patch(xmlsyntax, "createExpat", Mock)
        self.assertTrue(xmlsyntax.hasReparseDeferral())


class LimitTests(Case):
    """Everything is bounded."""

    def test_stanzaSize(self) -> None:
        """A stanza may have as many bytes as the limit says and not one more, however it comes."""
        for length, condition in ((500, None), (501, "policy-violation")):
            for template in (b"<a>%s</a>", b"<a b='%s'/>", b"<a><b/>%s</a>"):
                stanza = template % (b"x" * (length - len(template) + 2))
                for data in (stanza * 3, b"\n" + stanza, stanza + b" "):
                    for pieces in ([data], cut(data, [1, 7, 100, 499, 500, 501, 502, 999]), [b"%c" % c for c in data]):
                        parser = self.opened(HEADER)
                        parser.stanzaSize = 500
                        events, found = collect(parser, pieces)
                        self.assertEqual(found, condition)
                        self.assertEqual(len(events), 0 if condition else data.count(b"<a"))

    def test_notShownToExpat(self) -> None:
        """Expat never sees more of a stanza than the limit."""
        parser = self.opened()
        parser.stanzaSize = 1000
        self.assertEqual(collect(parser, [b"<a>" + b"x" * 996 + b"\0"])[1], "not-well-formed")
        parser = self.opened()
        parser.stanzaSize = 1000
        self.assertEqual(collect(parser, [b"<a>" + b"x" * 997 + b"\0"])[1], "policy-violation")

    def test_headerSize(self) -> None:
        """The header is bounded like a stanza, the XML declaration included."""
        self.opened(HEADER, stanzaSize=len(HEADER))
        self.refused("policy-violation", b"", HEADER, stanzaSize=len(HEADER) - 1)
        self.refused("policy-violation", b"", b"<?xml version='1.0'?>" + b" " * 2000, stanzaSize=1000)

    def test_changeOfSize(self) -> None:
        """The limit can be changed on the fly."""
        parser = self.opened(stanzaSize=1000)
        parser.stanzaSize = 2000
        self.assertEqual(len(list(parser.feed(b"<a>" + b"x" * 1500 + b"</a>"))), 1)
        parser.stanzaSize = 1000
        self.assertEqual(collect(parser, [b"<a>" + b"x" * 1500 + b"</a>"])[1], "policy-violation")

    def test_depth(self) -> None:
        """A stanza may be as deep as the limit says and no deeper."""
        self.assertEqual(self.parse(b"<a>" * 64 + b"</a>" * 64).name, "a")
        self.refused("policy-violation", b"<a>" * 65)
        self.assertEqual(len(list(self.opened(depth=2).feed(b"<a><b/><b/></a><a/>" * 20))), 40)
        self.refused("policy-violation", b"<a><b><c/></b></a>", depth=2)

    def test_attributes(self) -> None:
        """An element may have as many attributes as the limit says, namespace declarations among them."""
        attributes = [b"a%d=''" % n for n in range(62)] + [b"xmlns='u'", b"xmlns:p='u'"]
        self.assertEqual(len(self.parse(b"<a %s/>" % b" ".join(attributes)).attributes), 62)
        self.refused("policy-violation", b"<a z='' %s/>" % b" ".join(attributes))
        self.refused("policy-violation", b"<a id='' to='' type=''/>", attributes=2, header=HEADER.replace(
            b"to='example.org' version='1.0' xml:lang='de' ", b""))  # fmt: skip
        self.refused("policy-violation", b"", HEADER, attributes=4)

    def test_elements(self) -> None:
        """A stanza may have as many elements as the limit says; the next one may have as many again."""
        data = b"<a><b/><b><c/></b></a>"
        self.assertEqual(len(list(self.opened(elements=4).feed(data * 3))), 3)
        self.refused("policy-violation", data, elements=3)

    def test_namespaces(self) -> None:
        """
        All the namespaces that have to be written to pass a stanza on are no longer than a stanza may be, whether they
        come with prefixes, with attributes or from further out; an element that is in its parent's is free of charge.
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
                else:
                    self.assertEqual((events, condition), ([], "policy-violation"), child)
                    continue
                # Another stanza begins at nothing.
                self.assertEqual(collect(parser, [start + child * count + end]), (events, None), child)
        inside = b"<p:a xmlns:p='%s'>%s</p:a>" % (uri, b"<p:b/>" * 50)
        self.assertEqual(collect(self.opened(stanzaSize=2050), [inside])[1], None)

    def test_longTokens(self) -> None:
        """What is long and comes in small pieces is given to expat in one piece, and found complete at once."""
        for stanza in (
            b"<a b='%s' c=\"'>\" d='\">'/>" % (b">x" * 5000),
            b"<%s ></%s   >" % (b"n" * 5000, b"n" * 5000),
            b"<a>&#%s65;</a>" % (b"0" * 5000),
            b"<a>%s</a>" % (b"]\r\n" * 5000),
        ):
            parser = self.opened()
            parses = 0

            class Counting:
                """An expat parser whose calls are counted."""

                def __init__(self, expat: Any) -> None:
                    self.__dict__["_expat"] = expat

                def __getattr__(self, name: str) -> Any:
                    return getattr(self._expat, name)

                def Parse(self, data: bytes) -> None:
                    nonlocal parses
                    parses += 1
                    self._expat.Parse(data)

            list(parser.feed(b" "))
            parser._expat = Counting(parser._expat)
            (expected,) = self.opened().feed(stanza)
            events = [event for byte in stanza[:-1] for event in parser.feed(b"%c" % byte)]
            self.assertEqual(events, [])
            (event,) = parser.feed(stanza[-1:])
            self.assertEqual(form(event), form(expected))
            if b"]" not in stanza:
                self.assertLess(parses, 2 * parserModule.LONG_TOKEN + 200)

    def test_longComment(self) -> None:
        """A comment without end is refused before it is complete."""
        self.refused("restricted-xml", b"<!--" + b"x" * 5000)
        self.refused("restricted-xml", b"<?x " + b"x" * 5000)

    def test_dribble(self) -> None:
        """The largest stanza in small pieces is read to its end."""
        for template in (b"<a b='%s'/>", b"<a>%s</a>"):
            stanza = template % (b"\xc3\xa4" * ((parserModule.STANZA_SIZE - len(template) + 2) // 2))
            parser = self.opened()
            events = [event for at in range(0, len(stanza), 7) for event in parser.feed(stanza[at : at + 7])]
            self.assertEqual(len(events), 1)


class MemoryTests(Case):
    """Nobody grows the server from outside."""

    def test_madeUpNames(self) -> None:
        """Half a million made-up names on one stream leave the process as large as it was."""
        program = (
            "import resource, sys\n"
            "from muccore.stream.parser.parser import StanzaParser\n"
            "p = StanzaParser()\n"
            "assert len(list(p.feed(sys.argv[1].encode()))) == 1\n"
            "size = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
            "def names(begin, end):\n"
            "    for i in range(begin, end, 50):\n"
            "        made = ''.join(f'<n{n} a{n}=\"\"/>' for n in range(i, i + 50))\n"
            "        data = f'<m{i}>{made}</m{i}><half'.encode()\n"
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

    def test_neverBetweenStanzas(self) -> None:
        """Expat is replaced even if no piece ever ends between stanzas."""
        parser = self.opened()
        list(parser.feed(b"<m"))
        first = parser._expat
        count = 0
        for n in range(RECYCLE // 4):
            count += len(list(parser.feed(b"%d/><m" % n)))
        self.assertEqual(count, RECYCLE // 4)
        self.assertIsNot(parser._expat, first)
        self.assertLess(parser._fed, RECYCLE + 1000)

    def test_idle(self) -> None:
        """An idle parser has no expat, and goes on where it was, with the namespaces of the header."""
        header = HEADER.replace(b"stream:stream", b"s:stream").replace(b"xmlns:stream", b"xmlns:p='urn:p' xmlns:s")
        parser = self.opened(header)
        list(parser.feed(b"<presence/>"))
        parser.idle()
        self.assertIsNone(parser._expat)
        self.assertEqual(list(parser.feed(b" \n")), [])
        self.assertIsNone(parser._expat)
        (event,) = parser.feed(b" <p:a p:b=''><c/></p:a>")
        self.assertEqual((event.uri, event.attributes), ("urn:p", {("urn:p", "b"): ""}))
        self.assertEqual(event.children[0].uri, ns.CLIENT)
        parser.idle()
        self.assertEqual(list(parser.feed(b"</s:stream>")), [CLOSED])

    def test_idleWrongEnd(self) -> None:
        """After having been idle, another end tag than the root's is as wrong as before."""
        parser = self.opened()
        parser.idle()
        self.assertEqual(collect(parser, [b"</stream>"]), ([], "not-well-formed"))

    def test_notIdle(self) -> None:
        """In the middle of anything idling changes nothing."""
        data = HEADER + b"<a b='c'>d</a>" + b"<e>" + b"x" * 3000 + b"</e>" + b"<f g='" + b"y" * 3000 + b"'/>"
        expected = collect(StanzaParser(), [data])
        parser = StanzaParser()
        events = []
        for byte in data:
            events += [form(event) for event in parser.feed(b"%c" % byte)]
            parser.idle()
        self.assertEqual((events, None), expected)

    def test_size(self) -> None:
        """A parser that is idle costs less than 2 KiB."""
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
    """Stopping behind an element, and what comes then."""

    data = b"<auth a='/>'/><b>x</b> \n<c><d/></c ><e f='g' /><h></h>"

    def test_oneByOne(self) -> None:
        """Elements come one by one; what is behind one is not looked at before it is asked for."""
        for pieces in ([HEADER + self.data], [b"%c" % byte for byte in HEADER + self.data], [HEADER, self.data]):
            parser = StanzaParser(stepwise=True)
            names = [event[2] for event in collect(parser, pieces)[0]]
            self.assertEqual(names, ["stream", "auth", "b", "c", "e", "h"])

    def test_errorBehind(self) -> None:
        """An error behind an element does not show as long as it is not asked for."""
        parser = self.opened(stepwise=True)
        iteration = parser.feed(b"<auth/><<<")
        self.assertEqual(next(iteration).name, "auth")
        self.assertRaises(StreamError, next, iteration)

    def test_leftAndResumed(self) -> None:
        """An iteration that is left goes on with the next call, in order, whatever came meanwhile."""
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
        """After a restart the bytes behind the element belong to the new stream."""
        whole = HEADER + b"<auth></auth>\n" + HEADER + b"<iq/>"
        for pieces in ([whole], [b"%c" % byte for byte in whole], cut(whole, range(0, len(whole), 50))):
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

    def test_newStreamForgets(self) -> None:
        """A restarted stream knows nothing of the prefixes of the former one."""
        parser = self.opened(HEADER.replace(b"xmlns:s", b"xmlns:p='urn:p' xmlns:s"), stepwise=True)
        parser.restart()
        events, condition = collect(parser, [HEADER + b"<p:a/>"])
        self.assertEqual((len(events), condition), (1, "bad-namespace-prefix"))

    def test_discard(self) -> None:
        """A restart can throw away what is here already."""
        parser = self.opened(stepwise=True)
        for event in parser.feed(b"<starttls/><auth/>" + HEADER):
            self.assertEqual(event.name, "starttls")
            parser.restart(discard=True)
        self.assertEqual([event.name for event in parser.feed(HEADER + b"<b/>")], ["stream", "b"])

    def test_unstep(self) -> None:
        """Stepping can be given up while the iteration goes on."""
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
    """An element of what C{markup} draws."""
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

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(min_value=0), max_size=12), st.booleans(), st.permutations(STANZAS))
    def test_chunks(self, places: list[int], stepwise: bool, stanzas: list[bytes]) -> None:
        """The same bytes give the same events, however they are cut."""
        data = HEADER + b"".join(stanzas) + b"</stream:stream>"
        expected = collect(StanzaParser(), [data])
        self.assertEqual(len(expected[0]), 6)
        self.assertEqual(collect(StanzaParser(stepwise=stepwise), cut(data, places)), expected)

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([*STANZAS, *SCRAPS]))),
        st.lists(st.integers(min_value=0), max_size=6),
        st.booleans(),
    )
    def test_anything(self, pieces: list[bytes], places: list[int], stepwise: bool) -> None:
        """
        Anything at all gives events or a stream error, the same events however it is cut, and an error or none. (Which
        one of several in a row is found first may depend on it.)
        """
        data = b"".join(pieces)
        events, condition = collect(StanzaParser(), [HEADER + data])
        found = collect(StanzaParser(stepwise=stepwise), [HEADER, *cut(data, places)])
        self.assertEqual((found[0], found[1] is None), (events, condition is None))
        collect(StanzaParser(stepwise=stepwise), cut(data, places))

    @settings(max_examples=60, deadline=None)
    @given(markup.filter(lambda tree: not isinstance(tree, str)))
    def test_roundTrip(self, tree: Any) -> None:
        """What is rendered parses to what it was."""
        element = build(tree)
        (parsed,) = self.opened().feed(render(element))
        self.assertEqual(form(parsed), form(element))
