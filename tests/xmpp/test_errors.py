# -*- test-case-name: tests.xmpp.test_errors -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.xmpp.errors}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber import error

from muccore.stream.parser.events import CLOSED
from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import (
    STANZA_CONDITIONS,
    STREAM_CONDITIONS,
    StanzaError,
    StreamError,
    errorElement,
    errorReply,
    errorReplyOrNone,
    mayReplyWithError,
)
from muccore.xmpp.rendering import render
from tests.routing.helpers import canonical, xml
from tests.routing.helpers import error as errorStanza


class StanzaErrorTests(SynchronousTestCase):
    """L{StanzaError}"""

    def test_isTwisted(self) -> None:
        """It extends Twisted's, which handlers may raise too."""
        self.assertTrue(issubclass(StanzaError, error.StanzaError))
        theirs = error.StanzaError("item-not-found")
        self.assertEqual(
            render(errorElement(theirs)),
            b"<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        )

    def test_types(self) -> None:
        """Every condition has its usual type (RFC 6120 §8.3.3) unless another is given."""
        for condition, type in STANZA_CONDITIONS.items():
            raised = StanzaError(condition)
            self.assertEqual((raised.condition, raised.type, raised.text), (condition, type, None))
            element = errorElement(raised)
            self.assertEqual(element["type"], type)
            self.assertEqual([(child.uri, child.name) for child in element.childElements()],
                             [(ns.STANZA_ERRORS, condition)])  # fmt: skip
        self.assertEqual(StanzaError("policy-violation", "wait").type, "wait")

    def test_unknown(self) -> None:
        """Unknown conditions are refused."""
        self.assertRaises(KeyError, StanzaError, "no-such-thing")

    def test_whole(self) -> None:
        """The element has C{by}, the text and the application-specific condition, in the order of the schema."""
        raised = StanzaError("forbidden", text="No <you>", appCondition=Element(("urn:app", "because")))
        self.assertEqual(
            render(errorElement(raised, "room@example.org")),
            b"<error by='room@example.org' type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            b"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>No &lt;you&gt;</text>"
            b"<because xmlns='urn:app'/></error>",
        )


class StreamErrorTests(SynchronousTestCase):
    """L{StreamError}"""

    def test_conditions(self) -> None:
        """Every condition of RFC 6120 §4.9.3 is rendered for a stream with a header."""
        self.assertEqual(len(STREAM_CONDITIONS), 25)
        header = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        for condition in STREAM_CONDITIONS:
            raised = StreamError(condition, "a < b")
            _, element, end = StanzaParser().feed(header + raised.render() + b"</stream:stream>")
            assert isinstance(element, Element)
            self.assertIs(end, CLOSED)
            self.assertEqual((element.uri, element.name), (ns.STREAM, "error"))
            first, text = element.childElements()
            self.assertEqual((first.uri, first.name), (ns.STREAM_ERRORS, condition))
            self.assertEqual((text.uri, text.name, text.text()), (ns.STREAM_ERRORS, "text", "a < b"))
            self.assertEqual(text.attributes, {(ns.XML, "lang"): "en"})

    def test_withoutText(self) -> None:
        """The text is optional."""
        self.assertEqual(
            StreamError("conflict").render(),
            b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        )

    def test_unknown(self) -> None:
        """Unknown conditions are refused."""
        self.assertRaises(ValueError, StreamError, "no-such-thing")


class ErrorReplyTests(SynchronousTestCase):
    """L{errorReply}, L{errorReplyOrNone} and L{mayReplyWithError}"""

    def test_reply(self) -> None:
        """The error stanza has the content of the refused one, then the error; the refused one is unchanged."""
        refused = stanza("iq", "set", to="a@b", from_="c@d/e", id="1")
        query = refused.add("query", "urn:q", "text")
        refused.addContent(" ")
        before = render(refused)
        answer = errorReply(refused, StanzaError("not-allowed"))
        self.assertEqual(answer.attributes, {"to": "c@d/e", "from": "a@b", "id": "1", "type": "error"})
        self.assertEqual([getattr(child, "name", child) for child in answer.children], ["query", " ", "error"])
        self.assertIsNot(answer.children[0], query)
        self.assertEqual(render(refused), before)

    def test_mayReply(self) -> None:
        """No errors for errors (RFC 6120 §8.3.1), results (§8.2.3), unavailable presence, or without a sender."""
        for may, opening in (
            (True, "<iq type='get' from='a@b'"),
            (True, "<iq type='set' from='a@b'"),
            (True, "<message from='a@b'"),
            (True, "<message type='chat' from='a@b'"),
            (True, "<presence from='a@b'"),
            (False, "<message type='error' from='a@b'"),
            (False, "<presence type='error' from='a@b'"),
            (False, "<iq type='error' from='a@b'"),
            (False, "<iq type='result' from='a@b'"),
            (False, "<presence type='unavailable' from='a@b'"),
            (False, "<message"),
        ):
            refused = xml(f"{opening}/>")
            self.assertIs(mayReplyWithError(refused), may, opening)
            self.assertEqual(errorReplyOrNone(refused, StanzaError("gone")) is not None, may, opening)

    def test_refusedBy(self) -> None:
        """C{by} is the address that refuses, if it is not the addressee (RFC 6120 §8.3.2)."""
        answer = errorReplyOrNone(xml("<message from='a@b' to='c@d'/>"), StanzaError("gone"), "e")
        assert answer is not None
        self.assertEqual(
            canonical(answer), errorStanza("<message from='c@d' to='a@b' type='error'/>", "gone", "cancel", "e")
        )
