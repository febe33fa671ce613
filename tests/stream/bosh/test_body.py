# -*- test-case-name: tests.stream.bosh.test_body -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.body} and L{muccore.stream.bosh.errors}."""

from __future__ import annotations

import contextlib
import gc

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.bosh.body import (
    LAST_RID,
    WRAPPER_SIZE,
    Body,
    Limits,
    renderBody,
    renderRedirection,
    renderTermination,
)
from muccore.stream.bosh.errors import CODES, BindingError
from muccore.stream.parser.events import StreamOpened
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from tests.stream.bosh import MESSAGE, bodyLimits, request

BIND = ns.HTTPBIND.encode()


def read(data: bytes, by: Limits | None = None) -> list[Element]:
    """The elements in a request."""
    events = list(Body(data).events(by or bodyLimits()))
    assert all(isinstance(event, Element) for event in events)
    return events  # type: ignore[return-value]


class WrapperTests(SynchronousTestCase):
    """The start tag."""

    def test_attributes(self) -> None:
        """Attributes are those of the start tag, with their namespaces."""
        body = Body(request(7, MESSAGE, sid="s", xml__lang="de", xmpp__version="1.0", to="a&b"))
        self.assertEqual((body.rid, body.empty), (7, False))
        self.assertEqual(body.attributes, {
            "rid": "7", "sid": "s", "to": "a&b", (ns.XML, "lang"): "de", (ns.XBOSH, "version"): "1.0",
        })  # fmt: skip
        self.assertEqual((body.text("sid"), body.text("key")), ("s", None))

    def test_forms(self) -> None:
        """The wrapper may be an empty tag, follow a declaration, have a prefix, and white space around it."""
        for data in (
            b"<body xmlns='%b' rid='7'/>", b"<body rid='7' xmlns='%b' ></body>",
            b"\n<body xmlns='%b' rid='7'></body >\r\n", b"\xef\xbb\xbf<body xmlns='%b' rid='7'/>",
            b"<?xml version='1.0' encoding='utf-8'?>\n<body xmlns='%b' rid='7'/>",
            b"<b:body xmlns:b='%b' rid='7'/>", b"<b:body xmlns:b='%b' xmlns='jabber:client' rid='7'> </b:body>",
            b"<body xmlns='%b' rid='7' route='a>b/'/>",
            b"<body xmlns='%b' rid='7' xmlns:stream='http://etherx.jabber.org/streams'/>",
        ):  # fmt: skip
            body = Body(data % BIND)
            self.assertEqual((body.rid, body.empty, read(data % BIND)), (7, True, []), data)

    def test_refused(self) -> None:
        """Anything else is a bad request."""
        for data in (
            b"", b" ", b"junk", b"<", b"<body", b"<body>", b"<body/>", b"</body>", b"<x xmlns='%b' rid='7'/>",
            b"<body xmlns='jabber:client' rid='7'/>", b"<body xmlns='%b' rid='7'>", b"<body xmlns='%b' rid='7'></bod>",
            b"<body xmlns='%b' rid='7'/><a/>", b"<body xmlns='%b' rid='7'/></body>", b"<body xmlns='%b' rid='&x;'/>",
            b"<body xmlns='%b' rid='7' rid='8'/>", b"<body xmlns='%b' rid=7/>", b"<body xmlns='%b' x:rid='7'/>",
            b"<!DOCTYPE x><body xmlns='%b' rid='7'/>", b"<!-- --><body xmlns='%b' rid='7'/>",
            b"<?x?><body xmlns='%b' rid='7'/>",
            b"<b:body xmlns:b='urn:x' rid='7'/>", b"<b:body xmlns='%b' rid='7'/>", b"<a:b:body xmlns:a='%b' rid='7'/>",
            b"<body xmlns='%b' rid='7' xmlns:stream='urn:x'/>", b"<body xmlns='%b' rid='\xff'/>", b"\xfe\xff\0<\0b",
            b"<body xmlns='%b' rid='7' to='xmlns:stream'><stream:error/></body>",
            b"<body xmlns='%b' rid='7'" + b" " * WRAPPER_SIZE + b"/>",
            b"<body xmlns='%b' " + b"".join(b"a%d='' " % n for n in range(70)) + b"/>",
        ):  # fmt: skip
            with self.assertRaises(BindingError, msg=data) as caught:
                Body(data.replace(b"%b", BIND))
            self.assertEqual(caught.exception.binding, "bad-request")

    def test_rid(self) -> None:
        """A request ID is a number that has a limit."""
        for text, rid in (("1", 1), (str(LAST_RID), LAST_RID), (str(LAST_RID + 1), 0), ("0", 0), ("-1", 0), ("1.0", 0),
                          ("", 0), ("x", 0), ("\u0661", 0), ("9" * 5000, 0)):  # fmt: skip
            if len(text) < WRAPPER_SIZE:
                self.assertEqual(Body(request(text)).rid, rid, text)
        self.assertEqual(Body(b"<body xmlns='%b'/>" % BIND).rid, 0)

    def test_numbers(self) -> None:
        """An attribute that should be a number, and is none, is a bad request."""
        body = Body(request(1, wait="60", hold="-1", ack="x", pause="9" * 17))
        self.assertEqual((body.number("wait", 0, 60, 9), body.number("none", 0, 60, 9)), (60, 9))
        for name in ("hold", "ack", "pause"):
            self.assertRaises(BindingError, body.number, name, 0, LAST_RID, 0)
        self.assertRaises(BindingError, body.number, "wait", 0, 59, 0)

    def test_header(self) -> None:
        """As the header of a stream it has what that needs, and defaults."""
        header = Body(request(1, xmpp__restart="true")).header("example.org")
        self.assertEqual(((header.uri, header.name), header.attributes),
                         ((ns.STREAM, "stream"), {"to": "example.org", "version": "1.0"}))  # fmt: skip
        attributes = {"to": "example.com", "from": "a@b", "xml__lang": "de", "xmpp__version": "2.1"}
        header = Body(request(1, **attributes)).header("example.org")
        expected = {"to": "example.com", "from": "a@b", "version": "2.1", (ns.XML, "lang"): "de"}
        self.assertEqual(header.attributes, expected)

    def test_kinds(self) -> None:
        """Requests that restart the stream or end the session say so."""
        for attributes, kinds in (
            ({}, (False, False)), ({"type": "terminate"}, (True, False)), ({"type": "error"}, (False, False)),
            ({"xmpp__restart": "true"}, (False, True)), ({"xmpp__restart": "1"}, (False, True)),
            ({"xmpp__restart": "false"}, (False, False)), ({"restart": "true"}, (False, False)),
        ):  # fmt: skip
            body = Body(request(1, **attributes))
            self.assertEqual((body.terminates, body.restarts), kinds, attributes)


class PayloadTests(SynchronousTestCase):
    """What is inside."""

    def test_namespaces(self) -> None:
        """The namespace of the wrapper becomes that of stanzas; declarations of the wrapper hold."""
        stanzas = "<message><body>hi</body><x xmlns='urn:x'><y/></x></message><iq xmlns='jabber:client'/><xmpp:z/>"
        message, iq, other = read(request(1, stanzas))
        body, x = message.childElements()
        self.assertEqual([(each.uri, each.name) for each in (message, body, x, *x.childElements(), iq, other)], [
            (ns.CLIENT, "message"), (ns.CLIENT, "body"), ("urn:x", "x"), ("urn:x", "y"), (ns.CLIENT, "iq"),
            (ns.XBOSH, "z"),
        ])  # fmt: skip
        [message] = read(b"<b:body xmlns:b='%b' xmlns='jabber:client' rid='1'><message/></b:body>" % BIND)
        self.assertEqual((message.uri, message.name), (ns.CLIENT, "message"))

    def test_refused(self) -> None:
        """What must not be in a body, and what is not well-formed, is a bad request; what is before it is passed on."""
        for payload in (
            "text", "<a/>text", "text<a/>", "<a>", "</a>", "<a></b>", "<!-- -->", "<?x?>", "<![CDATA[x]]>", "&amp;",
            "<a>&x;</a>", "<!DOCTYPE x>", "<x:a/>", "</stream:stream>", "</stream:stream><a/>", "</body><body>",
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", "<a", "<a b='", "<a/></body>",
        ):  # fmt: skip
            found = []
            with self.assertRaises(BindingError, msg=payload) as caught:
                for event in Body(request(1, "<first/>" + payload)).events(bodyLimits()):
                    found.append(event)
            self.assertEqual(caught.exception.binding, "bad-request")
            self.assertEqual(len(found), 2 if payload.startswith("<a/>") else 1, payload)

    def test_limits(self) -> None:
        """The limits are those of streams, for each element, and are no bad requests."""
        element = "<a>" + "x" * 900 + "</a>"
        self.assertEqual(len(read(request(1, element * 10))), 10)
        attributes = "".join(f" a{n}=''" for n in range(11))
        for payload in (
            "<a>" + "x" * 1000 + "</a>", "<a>" * 6 + "</a>" * 6, f"<a{attributes}/>", "<a>" + "<b/>" * 20 + "</a>",
        ):  # fmt: skip
            with self.assertRaises(StreamError) as caught:
                read(request(1, payload))
            self.assertNotIsInstance(caught.exception, BindingError)
            self.assertEqual(caught.exception.condition, "policy-violation")

    def test_stepwise(self) -> None:
        """The iteration may be abandoned after each element; limits that change meanwhile apply."""
        by = bodyLimits(50)
        by.stepwise = True
        body = Body(request(1, "<a/><b/><c>" + "x" * 60 + "</c>"))
        names = []
        for _ in range(3):
            event = next(body.events(by))
            assert isinstance(event, Element)
            names.append(event.name)
            by.stanzaSize = 1000
        self.assertEqual((names, list(body.events(by))), (["a", "b", "c"], []))

    def test_freed(self) -> None:
        """Parsers are freed without the garbage collector, whatever becomes of a body."""

        def parsers() -> int:
            return sum(type(each).__name__ == "xmlparser" for each in gc.get_objects())

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = parsers()
        for payload in ("", "<a/><b/>", "<a/>junk", "<a>", "<a>" * 9):
            body = Body(request(1, payload))
            self.assertEqual(parsers(), before)
            with contextlib.suppress(StreamError):
                list(body.events(bodyLimits()))
            self.assertEqual(parsers(), before)
        by = bodyLimits()
        by.stepwise = True
        for count in (1, 2):
            body = Body(request(1, "<a/><b/>"))
            for _ in range(count):
                next(body.events(by))
            body.stop()
            self.assertEqual(parsers(), before)
        for data in (b"<body xmlns='urn:x'/>", b"<b:body xmlns:b='urn:x'/>"):
            self.assertRaises(BindingError, Body, data)
        self.assertEqual(parsers(), before)

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """Nothing but errors of streams comes out of anything."""
        for whole in (data, request(1, "%s").replace(b"%s", data)):
            try:
                read(whole)
            except StreamError:
                continue

    @given(st.lists(st.sampled_from(["<a/>", "<a>t</a>", "<b c='d'/>", " ", MESSAGE]), max_size=8), st.booleans())
    def test_elements(self, parts: list[str], stepwise: bool) -> None:
        """All elements come out, in order."""
        by = bodyLimits()
        by.stepwise = stepwise
        expected = [etree.QName(each).localname for each in etree.fromstring(f"<x>{''.join(parts)}</x>")]
        self.assertEqual([each.name for each in read(request(1, "".join(parts)), by)], expected)


class RenderingTests(SynchronousTestCase):
    """Responses."""

    def test_bodies(self) -> None:
        """Bodies declare their namespace, and that of streams with an error of one."""
        self.assertEqual(renderBody(""), b"<body xmlns='http://jabber.org/protocol/httpbind'/>")
        body = etree.fromstring(renderBody(" ack='1'", b"<a xmlns='urn:x'/>"))
        self.assertEqual((dict(body.attrib), body[0].tag), ({"ack": "1"}, "{urn:x}a"))
        body = etree.fromstring(renderTermination("remote-stream-error", StreamError("reset").render()))
        self.assertEqual(dict(body.attrib), {"type": "terminate", "condition": "remote-stream-error"})
        self.assertEqual(body[0].tag, f"{{{ns.STREAM}}}error")
        self.assertEqual(dict(etree.fromstring(renderTermination(None)).attrib), {"type": "terminate"})
        body = etree.fromstring(renderRedirection("https://a/b?c&d"))
        self.assertEqual((body.get("condition"), body[0].text), ("see-other-uri", "https://a/b?c&d"))

    def test_errors(self) -> None:
        """Binding errors can be logged as stream errors, and send none."""
        for binding in (*CODES, "host-unknown", "improper-addressing", "system-shutdown"):
            error = BindingError(binding, "text")
            self.assertEqual((error.binding, error.render()), (binding, b""))

    def test_event(self) -> None:
        """A header is an event of its own kind."""
        self.assertIsInstance(Body(request(1)).header("a"), StreamOpened)
