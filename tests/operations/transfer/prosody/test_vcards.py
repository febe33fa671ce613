# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.vcards}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.vcards import VCARD4, vCardOf
from muccore.xmpp.rendering import render
from tests.routing.helpers import xml


class VCardTests(SynchronousTestCase):
    """vCards of XEP-0292 as those of XEP-0054."""

    def convert(self, content: str) -> str:
        """The content of a converted vCard."""
        found = vCardOf(xml(f"<vcard xmlns='{VCARD4}'>{content}</vcard>"), None, None)
        return "" if found is None else render(found).decode().partition(">")[2].removesuffix("</vCard>")

    def test_properties(self) -> None:
        """Names, addresses and the like have their counterparts."""
        for content, expected in (
            ("<fn><text>Romeo</text></fn>", "<FN>Romeo</FN>"),
            ("<bday><date>1597-01-29</date></bday>", "<BDAY>1597-01-29</BDAY>"),
            ("<url><uri>http://verona.lit</uri></url>", "<URL>http://verona.lit</URL>"),
            ("<note><text>In love</text></note>", "<DESC>In love</DESC>"),
            ("<n><surname>Montague</surname><given>Romeo</given></n>",
             "<N><FAMILY>Montague</FAMILY><GIVEN>Romeo</GIVEN></N>"),
            ("<org><text>Montagues</text></org>", "<ORG><ORGNAME>Montagues</ORGNAME></ORG>"),
            ("<impp><uri>xmpp:romeo@montague.lit</uri></impp>", "<JABBERID>romeo@montague.lit</JABBERID>"),
            ("<email><parameters><type><text>home</text></type></parameters><text>r@m.lit</text></email>",
             "<EMAIL><HOME/><USERID>r@m.lit</USERID></EMAIL>"),
            ("<tel><parameters><type><text>work</text></type></parameters><uri>tel:+39</uri></tel>",
             "<TEL><WORK/><NUMBER>+39</NUMBER></TEL>"),
            ("<tel><text>+39</text></tel>", "<TEL><NUMBER>+39</NUMBER></TEL>"),
            ("<adr><street>Via Arche Scaligere</street><country>Italy</country></adr>",
             "<ADR><STREET>Via Arche Scaligere</STREET><CTRY>Italy</CTRY></ADR>"),
        ):  # fmt: skip
            self.assertEqual(self.convert(content), expected)

    def test_nothing(self) -> None:
        """What is empty or has no counterpart is left out; without anything there is no vCard."""
        for content in (
            "<n><surname/></n>", "<fn><text/></fn>", "<impp><uri>sip:x</uri></impp>", "<lang><language-tag/></lang>",
            "<fn xmlns='urn:x'><text>a</text></fn>", "<org/>", "<tel/>",
        ):  # fmt: skip
            self.assertEqual(self.convert(content), "")
        self.assertIsNone(vCardOf(None, None, "image/png"))

    def test_avatar(self) -> None:
        """The avatar (XEP-0084) is the photo."""
        data = xml("<data xmlns='urn:xmpp:avatar:data'>\nAAAA\nBBBB\n</data>")
        found = vCardOf(None, data, "image/png")
        assert found is not None
        self.assertIn(b"<PHOTO><TYPE>image/png</TYPE><BINVAL>AAAABBBB</BINVAL></PHOTO>", render(found))
