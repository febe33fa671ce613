# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.dialback} (XEP-0185, XEP-0220)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import dialback, ns
from muccore.xmpp.dialback import Dialback, InvalidDialback, isKey, makeKey, parse
from muccore.xmpp.element import Element

SECRET = b"s3cr3tf0rd14lb4ck"
HEADER = (
    b"<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)


def read(xml: bytes) -> Element:
    """Parse an element of a stream between servers."""
    [_, element] = StanzaParser(content=ns.SERVER).feed(HEADER + xml)
    assert isinstance(element, Element)
    return element


class KeyTests(SynchronousTestCase):
    """Keys."""

    def test_examples(self) -> None:
        """The keys are those of the examples of XEP-0185 §3 and XEP-0220 §2.1.1."""
        for receiving, originating, key in (
            ("xmpp.example.com", "example.org", "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"),
            ("montague.example", "capulet.example", "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"),
        ):
            self.assertEqual(makeKey(SECRET, receiving, originating, "D60000229F"), key)
            self.assertTrue(isKey(key, SECRET, receiving, originating, "D60000229F"))

    def test_others(self) -> None:
        """A key is for one pair of domains, in this order, one stream and one secret."""
        key = makeKey(SECRET, "a", "b", "1")
        for secret, receiving, originating, id in (
            (b"x", "a", "b", "1"), (SECRET, "b", "a", "1"), (SECRET, "a", "b", "2"), (SECRET, "c", "b", "1")
        ):  # fmt: skip
            self.assertFalse(isKey(key, secret, receiving, originating, id))
        for wrong in ("", key.upper(), key + " ", "\N{SNOWMAN}"):
            self.assertFalse(isKey(wrong, SECRET, "a", "b", "1"))


class ElementTests(SynchronousTestCase):
    """Elements."""

    @given(
        st.sampled_from([dialback.RESULT, dialback.VERIFY]),
        st.text("<>&'\" a", min_size=1),
        st.text("ab<&", min_size=1),
    )
    def test_requests(self, name: str, id: str, key: str) -> None:
        """What is rendered is read as it was."""
        request = Dialback(name, "a.example", "b.example", id if name == dialback.VERIFY else "", None, key)
        self.assertEqual(parse(read(request.render())), request)

    def test_answers(self) -> None:
        """An answer has the addresses swapped and the same id; an error has a condition with its type."""
        request = Dialback(dialback.VERIFY, "a.example", "b.example", "1", None, "key")
        for type, condition in (("valid", ""), ("invalid", ""), ("error", "item-not-found")):
            answer = request.answer(type, condition)
            expected = Dialback(dialback.VERIFY, "b.example", "a.example", "1", type, "", condition)
            self.assertEqual(parse(read(answer.render())), expected)
        self.assertEqual(
            request.answer("error", "item-not-found").render(),
            b"<db:verify from='b.example' to='a.example' id='1' type='error'><error type='cancel'>"
            b"<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>",
        )

    def test_prepared(self) -> None:
        """Domains are prepared, and white space around a key does not count."""
        found = parse(read(b"<db:result from='A.Example' to='xn--bcher-kva.example'>\n key\n</db:result>"))
        expected = Dialback(dialback.RESULT, "a.example", "b\u00fccher.example", "", None, "key")
        self.assertEqual(found, expected)

    def test_invalid(self) -> None:
        """What cannot be answered is refused."""
        for wrong in (
            b"<db:other from='a' to='b'>key</db:other>",
            b"<db:result to='b'>key</db:result>",
            b"<db:result from='a'>key</db:result>",
            b"<db:result from='a@b' to='b'>key</db:result>",
            b"<db:result from='a' to='b'/>",
            b"<db:verify from='a' to='b'>key</db:verify>",
            b"<db:verify from='a' to='b' id=''>key</db:verify>",
            b"<db:result from='a' to='b' type='perhaps'/>",
        ):
            self.assertRaises(InvalidDialback, parse, read(wrong))

    def test_unknownCondition(self) -> None:
        """An error without a known condition is one."""
        for content in (b"", b"<error><x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"):
            found = parse(read(b"<db:result from='a' to='b' type='error'>" + content + b"</db:result>"))
            self.assertEqual(found.condition, "undefined-condition")
