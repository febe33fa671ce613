# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.foreignelements}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.foreignelements import checkText, foreignElement, shown, withoutChildren
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp.rendering import render


class ForeignElementTests(SynchronousTestCase):
    """Making elements."""

    def test_attributes(self) -> None:
        """Attributes in namespaces are kept as such."""
        made = foreignElement("jabber:client", "message", {"xml:lang": "en", "to": "a'b", ("urn:x", "y"): "z"})
        self.assertEqual(render(made), b"<message xml:lang='en' to='a&apos;b' xmlns:a3='urn:x' a3:y='z'/>")

    def test_refused(self) -> None:
        """What is no XML is refused: names, attributes and texts."""
        for name, attributes in (
            ("a b", {}), ("", {}), ("a:b", {}), ("1", {}), ("a/><b", {}), ("x", {"a b": ""}), ("x", {"a='": ""}),
            ("x", {"a": "\x00"}), ("x", {"a": "\ud800"}), ("x", {("u\x01", "a"): ""}), ("x", {"xml:": ""}),
        ):  # fmt: skip
            with self.assertRaises(DataError):
                foreignElement("urn:x", name, attributes)  # type: ignore[arg-type]
        for text in ("\x1f", "\ufffe", "a\udcff"):
            with self.assertRaises(DataError):
                checkText(text)
        self.assertEqual(checkText("\t\n\r é\U0001f319"), "\t\n\r é\U0001f319")

    def test_names(self) -> None:
        """Names of any script are allowed."""
        for name in ("vCard", "storage", "_x", "été", "a-b.c1"):
            self.assertEqual(foreignElement("urn:x", name, {}).name, name)

    def test_withoutChildren(self) -> None:
        """Only the very elements are removed."""
        made = foreignElement("urn:x", "x", {})
        first, second = made.add("a"), made.add("a")
        made.children.append("text")
        withoutChildren(made, [first])
        self.assertEqual(made.children, [second, "text"])

    def test_shown(self) -> None:
        """What a terminal would obey, or is no text, is not shown, nor anything long."""
        self.assertEqual(shown("é\x1b[31m\n\udcff\u202e"), "é?[31m???")
        self.assertEqual(len(shown("x" * 1000)), 100)
