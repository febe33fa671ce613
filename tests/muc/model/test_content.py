# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.content}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.content import linksAndMedia
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeText

URL = "https://files.example/a.png"
OOB = f"<x xmlns='{ns.OOB}'><url>{URL}</url></x>"
SOURCE = f"<url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/>"
SFS = (
    f"<file-sharing xmlns='{ns.FILE_SHARING}'><file xmlns='urn:xmpp:file:metadata:0'><name>a.png</name></file>"
    f"<sources>{SOURCE}</sources></file-sharing>"
)
SIMS = (
    f"<reference xmlns='{ns.REFERENCE}' type='data' begin='0' end='27'><media-sharing xmlns='{ns.SIMS}'>"
    f"<sources><reference xmlns='{ns.REFERENCE}' type='data' uri='{URL}'/></sources></media-sharing></reference>"
)
LINK, MEDIA, BOTH, NEITHER = (True, False), (False, True), (True, True), (False, False)


def inside(xml: str) -> tuple[bool, bool]:
    """What a message with these children has."""
    return linksAndMedia(parseStanza(f"<message>{xml}</message>"))


def body(text: str) -> tuple[bool, bool]:
    """What a message with this text has."""
    return inside(f"<body>{escapeText(text)}</body>")


class TextTests(SynchronousTestCase):
    """Links in texts."""

    def test_addresses(self) -> None:
        """Addresses with a scheme, or which clients make links of without one."""
        for text in (
            "https://example.org", "see HTTP://EXAMPLE.ORG/?a=b.", "(ftp://x)", "Look:gemini://x", "www.example.org",
            "WWW.example.org", "go to www.a", "xmpp:room@conference.localhost?join", "<magnet:?xt=urn:x>", "x://y",
            "file:///etc/passwd", "https://xn--mnchen-3ya.example", "http://münchen.example",
            "\N{FULLWIDTH COMMA}www.a",
        ):  # fmt: skip
            self.assertEqual(body(text), LINK, text)

    def test_plain(self) -> None:
        """What only looks like it."""
        for text in (
            "", "Hello", "What is xmpp: a protocol", "10:30", "a // b", "me@www.example", "://", "http://", "and/or",
            "swww.x", "geo:52.5,13.4", "(://x)", "xmpp:",
        ):  # fmt: skip
            self.assertEqual(body(text), NEITHER, text)

    def test_manyCandidates(self) -> None:
        """A text of many that are almost addresses counts as having one: it is not looked through."""
        self.assertEqual(body(" ://a" * 100), NEITHER)
        self.assertEqual(body(" ://a" * 101), LINK)

    def test_inPieces(self) -> None:
        """A text in pieces is one text; two texts are two."""
        message = Element((ns.CLIENT, "message"))
        message.add("body").children.extend(["http:", "//exam", "ple.org"])
        self.assertEqual(linksAndMedia(message), LINK)
        self.assertEqual(inside("<subject>http:</subject><body>//example.org</body>"), NEITHER)

    def test_everyText(self) -> None:
        """In any text: the subject, another language, a forwarded message."""
        for xml in (
            f"<subject>{URL}</subject>",
            f"<body>Hi</body><body xml:lang='de'>{URL}</body>",
            f"<body>Hi</body><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='{ns.CLIENT}'>"
            f"<body>{URL}</body></message></forwarded>",
        ):
            self.assertEqual(inside(xml), LINK)

    @settings(max_examples=100)
    @given(st.text(), st.sampled_from([URL, "www.x", "xmpp:a@b"]), st.text())
    def test_anywhere(self, before: str, address: str, after: str) -> None:
        """An address among other words is found, whatever they are; without one there is none."""
        message = Element((ns.CLIENT, "message"))
        message.add("body", text=f"{before} {address} {after}")
        self.assertEqual(linksAndMedia(message), LINK)
        message.children = []
        message.add("body", text=(before + after).replace(".", "").replace(":", ""))
        self.assertEqual(linksAndMedia(message), NEITHER)


class MarkupTests(SynchronousTestCase):
    """Links and media in other elements."""

    def test_media(self) -> None:
        """Every way to send a file, with its address as the text for other clients, is no link."""
        for xml in (OOB, SFS, SIMS):
            self.assertEqual(inside(xml), MEDIA, xml)
            self.assertEqual(inside(f"<body>{URL}</body>{xml}"), MEDIA, xml)
            self.assertEqual(inside(f"<body>A picture: {URL}</body>{xml}"), MEDIA, xml)
            self.assertEqual(inside(f"<body>{URL} www.example.org</body>{xml}"), BOTH, xml)
            self.assertEqual(inside(f"<body>{URL}/more</body>{xml}"), BOTH, xml)

    def test_otherMedia(self) -> None:
        """What has no address."""
        for xml in (
            f"<sticker xmlns='{ns.STICKERS}' pack='x'/>",
            f"<data xmlns='{ns.BITS_OF_BINARY}' cid='x'>AAAA</data>",
            f"<file-sharing xmlns='{ns.FILE_SHARING}'><sources>"
            f"<encrypted xmlns='{ns.ENCRYPTED_FILE_SHARING}'/></sources></file-sharing>",
            f"<x xmlns='{ns.DATA}'><field var='a'><media xmlns='{ns.MEDIA_ELEMENT}'/></field></x>",
            "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
            f"<body xmlns='{ns.XHTML}'><img src='cid:x' alt='x'/></body></html>",
        ):
            self.assertEqual(inside(f"<body>Hi</body>{xml}"), MEDIA, xml)

    def test_links(self) -> None:
        """What marks a link up."""
        for xml in (
            "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
            f"<body xmlns='{ns.XHTML}'><p><a href='//example.org'>here</a></p></body></html>",
            f"<reference xmlns='{ns.REFERENCE}' type='data' uri='https://example.org'/>",
            f"<rdf:Description xmlns:rdf='{ns.RDF}' rdf:about='https://example.org'/>",
        ):
            self.assertEqual(inside(f"<body>here</body>{xml}"), LINK, xml)

    def test_neither(self) -> None:
        """Mentions, replies, ids, states, and what is encrypted."""
        self.assertEqual(
            inside(
                f"<body>Juliet: no</body><reference xmlns='{ns.REFERENCE}' type='mention' uri='xmpp:juliet@localhost'/>"
                "<reply xmlns='urn:xmpp:reply:0' to='r@c/J' id='x'/><active xmlns='http://jabber.org/protocol/chatstates'/>"
                f"<origin-id xmlns='{ns.STANZA_ID}' id='www.x'/>"
                "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AAA//AAA=</payload></encrypted>"
            ),
            NEITHER,
        )

    def test_emptyAddress(self) -> None:
        """A file without an address excuses no link."""
        self.assertEqual(inside(f"<body>{URL}</body><x xmlns='{ns.OOB}'><url/></x>"), BOTH)
        self.assertEqual(inside(f"<body>{URL}</body><x xmlns='{ns.OOB}'><url>://</url></x>"), BOTH)
