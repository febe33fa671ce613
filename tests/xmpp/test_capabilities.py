# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.capabilities}: the examples of XEP-0115 §5.2 and §5.3, and what the text says besides."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import ns
from muccore.xmpp.capabilities import isWellFormed, versionOf
from muccore.xmpp.element import Element
from tests.routing.helpers import xml

SIMPLE = [
    "<identity category='client' type='pc' name='Exodus 0.9.1'/>",
    "<feature var='http://jabber.org/protocol/disco#info'/>",
    "<feature var='http://jabber.org/protocol/disco#items'/>",
    "<feature var='http://jabber.org/protocol/muc'/>",
    "<feature var='http://jabber.org/protocol/caps'/>",
]

SOFTWARE = """
<x xmlns='jabber:x:data' type='result'>
  <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
  <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>
  <field var='os'><value>Mac</value></field>
  <field var='os_version'><value>10.5.1</value></field>
  <field var='software'><value>Psi</value></field>
  <field var='software_version'><value>0.11</value></field>
</x>
"""

COMPLEX = [
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>",
    "<identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>",
    *SIMPLE[1:],
    SOFTWARE,
]


def query(*children: str) -> Element:
    """The result of C{disco#info}."""
    return xml(f"<query xmlns='{ns.DISCO_INFO}'>{''.join(children)}</query>")


class VersionTests(SynchronousTestCase):
    """L{versionOf}"""

    def test_simple(self) -> None:
        """§5.2"""
        self.assertEqual(versionOf(query(*SIMPLE)), "QgayPKawpkPSDYmwT/WM94uAlu0=")

    def test_complex(self) -> None:
        """§5.3"""
        self.assertEqual(versionOf(query(*COMPLEX)), "q07IKJEyjvHSyhy//CH0CxmKi8w=")

    def test_order(self) -> None:
        """The order in the result does not matter."""
        other = SOFTWARE.replace("softwareinfo", "another")
        values = SOFTWARE.replace("<value>ipv4</value><value>ipv6</value>", "<value>ipv6</value><value>ipv4</value>")
        self.assertEqual(versionOf(query(*COMPLEX, other)), versionOf(query(other, values, *reversed(COMPLEX[:-1]))))
        self.assertNotEqual(versionOf(query(*COMPLEX, other)), versionOf(query(*COMPLEX)))

    def test_ignored(self) -> None:
        """A form without a type, or with one that is not hidden, does not count (§5.4)."""
        plain = "<x xmlns='jabber:x:data'><field var='os'><value>Mac</value></field></x>"
        for form in (plain, SOFTWARE.replace("hidden", "text-single"), "<other xmlns='urn:x'/>"):
            self.assertEqual(versionOf(query(*COMPLEX, form)), versionOf(query(*COMPLEX)))

    def test_otherHashes(self) -> None:
        """Other hash functions than SHA-1 may be used."""
        self.assertEqual(versionOf(query(*SIMPLE), "sha-256"), "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc=")
        self.assertEqual(len(versionOf(query(*SIMPLE), "sha-512")), 88)


class FormTests(SynchronousTestCase):
    """L{isWellFormed} (§5.4)"""

    def test_wellFormed(self) -> None:
        """The examples are; what does not count may be there twice."""
        unknown = "<x xmlns='jabber:x:data'><field var='a'/></x><x xmlns='urn:x'/>"
        for children in (SIMPLE, COMPLEX, [*COMPLEX, unknown, unknown]):
            self.assertTrue(isWellFormed(query(*children)))

    def test_illFormed(self) -> None:
        """Nothing that counts may be there twice, and a form has one type."""
        types = SOFTWARE.replace("</value></field>", "</value><value>other</value></field>", 1)
        for more in (COMPLEX[0], SIMPLE[1], SOFTWARE, types.replace("urn:xmpp", "urn:x")):
            self.assertFalse(isWellFormed(query(*COMPLEX, more)), more)
