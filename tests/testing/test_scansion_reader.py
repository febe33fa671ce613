# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.reader}."""

from __future__ import annotations

from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.scansion.reader import StreamReader
from muccore.xmpp import ns

HEADER = f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' version='1.0'>".encode()


class StreamReaderTests(SynchronousTestCase):
    """Reading streams."""

    def read(self, text: str) -> tuple[list[etree._Element | None], str | None]:
        """Return the elements behind a header, and the error."""
        reader = StreamReader()
        return reader.feed(HEADER + text.encode()), reader.error

    def test_stanzasInPieces(self) -> None:
        """Each stanza is returned whole with its last byte, however the bytes are divided."""
        reader = StreamReader()
        self.assertEqual(reader.feed(HEADER), [])
        for i in range(5):
            text = f" \n<message id='{i}'><body>\u00e4&lt;{i}<x/>tail</body></message>".encode()
            for byte in text[:-1]:
                self.assertEqual(reader.feed(bytes([byte])), [])
            (stanza,) = reader.feed(text[-1:])
            self.assertEqual((stanza.tag, stanza.get("id"), stanza.tail), (f"{{{ns.CLIENT}}}message", str(i), None))
            self.assertEqual((stanza[0].text, stanza[0][0].tail), (f"\u00e4<{i}", "tail"))
            self.assertIsNone(stanza.getparent())
        self.assertEqual(reader.feed(b"</stream:stream>"), [None])
        self.assertIsNone(reader.error)

    def test_namespaces(self) -> None:
        """Elements and attributes have the namespaces in scope."""
        (stanza,), error = self.read("<iq xml:lang='en' xmlns:p='x'><p:a p:b='1' c='2'/><d xmlns='y'><e/></d></iq>")
        self.assertIsNone(error)
        self.assertEqual([e.tag for e in stanza.iter()], [f"{{{ns.CLIENT}}}iq", "{x}a", "{y}d", "{y}e"])
        self.assertEqual(dict(stanza.attrib), {f"{{{ns.XML}}}lang": "en"})
        self.assertEqual(dict(stanza[0].attrib), {"{x}b": "1", "c": "2"})

    def test_streamElements(self) -> None:
        """Stream elements keep their prefix, for readable failures."""
        (features,), _ = self.read("<stream:features/>")
        self.assertIn(b"<stream:features", etree.tostring(features))

    def test_brokenXML(self) -> None:
        """Malformed XML is an error; elements before it are returned, those behind it are not."""
        for text in ("<b> & </b>", "<b></c>", "<x:b/>", "<b c=d/>", "<b>&foo;</b>", "\0", "<b c='1' c='2'/>"):
            found, error = self.read(f"<a/>{text}<c/>")
            self.assertEqual([element.tag for element in found], [f"{{{ns.CLIENT}}}a"], text)
            self.assertIn("is not XML", error)
        reader = StreamReader()
        reader.feed(HEADER + b"<a></b>")
        self.assertEqual(reader.feed(b"<c/>"), [])

    def test_restrictedXML(self) -> None:
        """What RFC 6120 §11.1 forbids is an error, and so is text between stanzas."""
        for text, word in (("<!-- c -->", "comment"), ("<?p i?>", "instruction"), ("text", "text outside")):
            found, error = self.read(f"<a/>{text}")
            self.assertEqual(len(found), 1)
            self.assertIn(word, error)
        reader = StreamReader()
        reader.feed(b"<!DOCTYPE a>")
        self.assertIn("document type", reader.error)

    def test_notAStream(self) -> None:
        """Another document is not a stream."""
        reader = StreamReader()
        self.assertEqual(reader.feed(b"<html><body/></html>"), [])
        self.assertIn("<html> instead of a stream", reader.error)
