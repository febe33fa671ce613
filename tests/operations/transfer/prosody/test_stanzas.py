# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.stanzas}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.luadata import parseDocument
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.xmpp.rendering import render
from tests.operations.transfer.prosody.datafolder import element


class StanzaTests(SynchronousTestCase):
    """Elements in tables."""

    def rendered(self, text: str) -> bytes:
        """An element as XML."""
        return render(elementOf(parseDocument(f"return {text}".encode())))

    def test_element(self) -> None:
        """Text and elements keep their order; a namespace is that of the parent unless it is given."""
        inner = element("item", element("b"), xmlns="urn:x", to="a<b")
        text = element("message", '"one & "', inner, element("body", '"two"'), '"three"', xml_lang="en")
        self.assertEqual(
            self.rendered(text),
            b"<message xml:lang='en'>one &amp; <item xmlns='urn:x' to='a&lt;b'><b/></item>"
            b"<body>two</body>three</message>",
        )

    def test_attributes(self) -> None:
        """Attributes in a namespace, as new and as old versions write them; what is no text is left out."""
        for separator in ("\\1", "|"):
            text = f'{{["name"] = "x", ["attr"] = {{["urn:y{separator}z"] = "1", ["n"] = 2}}}}'
            self.assertEqual(self.rendered(text), b"<x xmlns:a1='urn:y' a1:z='1'/>")

    def test_refused(self) -> None:
        """What is no element is refused."""
        deep = element("x")
        for _ in range(100):
            deep = element("x", deep)
        for text in (
            "{}", "1", '{["name"] = "x"}', '{["attr"] = {}}', element("a b"), element("x", "1"), element("x", "{}"),
            element("x", '"\\0"'), element("x", '"\\255"'), deep,
        ):  # fmt: skip
            with self.assertRaises(DataError):
                self.rendered(text)
