# -*- test-case-name: tests.xmpp.test_jid -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.xmpp.jid}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.xmpp_stringprep import nodeprep, resourceprep

from muccore.xmpp import jid
from muccore.xmpp.jid import JID, PART_LIMIT, InvalidJID

ANY = st.text(max_size=8)
SPECIAL = st.text(
    st.sampled_from("abAB09-._ @/:'\"<>&[]%\u00e4\u00c4\u00df\uff0f\uff20\u3002\u00ad\u0301\u05d0\u0663"), max_size=8
)


class ParseTests(SynchronousTestCase):
    """L{jid.parse}"""

    def test_parts(self) -> None:
        """An address has a domain, and optionally a localpart and a resource."""
        for text, parts in (
            ("a@b/c", ("a", "b", "c")),
            ("b/c", ("", "b", "c")),
            ("a@b", ("a", "b", "")),
            ("b", ("", "b", "")),
            ("a@b/c@d/e", ("a", "b", "c@d/e")),
            ("b/@", ("", "b", "@")),
            ("b//", ("", "b", "/")),
            ("a@127.0.0.1", ("a", "127.0.0.1", "")),
            ("a@[::1]/x", ("a", "[::1]", "x")),
            ("a@[2001:0DB8::0001]", ("a", "[2001:db8::1]", "")),
            ("a@b.", ("a", "b", "")),
            ("a\\20b@c", ("a\\20b", "c", "")),
            ("a%b@c", ("a%b", "c", "")),
        ):
            address = jid.parse(text)
            self.assertEqual((address.local, address.domain, address.resource), parts, text)

    def test_prepared(self) -> None:
        """Localpart and domain are in lower case, the resource keeps its case; compatible characters are unified."""
        for text, full in (
            ("ROMEO@Example.ORG/Orchard", "romeo@example.org/Orchard"),
            ("J\u00dcRGEN@M\u00dcNCHEN.DE/\u00c4", "j\u00fcrgen@m\u00fcnchen.de/\u00c4"),
            ("stra\u00dfe@b", "strasse@b"),
            ("\uff41@b", "a@b"),
            ("a@b\u3002c", "a@b.c"),
            ("a@b/\u2168", "a@b/IX"),
            ("a@XN--Mnchen-3ya.xn--p1ai", "a@m\u00fcnchen.\u0440\u0444"),
            ("a@xn--mnchen-3ya.\u0440\u0444", "a@m\u00fcnchen.\u0440\u0444"),
            ("a\u00ad\u00e4@b", "a\u00e4@b"),
            ("a@b/\U0001f980", "a@b/\U0001f980"),
        ):
            self.assertEqual(jid.parse(text).full, full)

    def test_noALabels(self) -> None:
        """Labels that encode no prepared label stay as they are: and so do those of overlong names."""
        for label in ("xn--strae-oqa", "xn--a", "xn--abc", "xn--" + "a" * 60, "xn--0-ugn", "a-xn--p1ai"):
            self.assertEqual(jid.prepareDomain(f"{label}.example"), f"{label}.example")
        self.assertEqual(jid.prepareDomain(".".join(["xn--p1ai"] * 30)), ".".join(["xn--p1ai"] * 30))

    def test_invisible(self) -> None:
        """Invisible characters of all Unicode versions are removed, and alone are not a name."""
        for code in (0xAD, 0x200D, 0xFE0F, 0x61C, 0x115F, 0x180F, 0x2064, 0x2066, 0x3164, 0xFFA0, 0xE0100, 0xE01EF):
            text = chr(code)
            self.assertEqual(jid.parse(f"ro{text}meo@b/Ro{text}meo{text}").full, "romeo@b/Romeo", hex(code))
            self.assertRaises(InvalidJID, jid.prepareResource, text * 2)
            self.assertRaises(InvalidJID, jid.prepareLocal, text)

    def test_expanding(self) -> None:
        """Text that is too long when normalised is refused early, since preparing it takes milliseconds."""

        class Untouched:
            """A profile that must not be used."""

            def prepare(self, text: str) -> str:
                """Fail."""
                raise AssertionError(len(text))

        self.patch(jid, "_RESOURCEPREP", Untouched())
        self.patch(jid, "_NODEPREP", Untouched())
        for prepare in (jid.prepareLocal, jid.prepareResource):
            self.assertRaises(InvalidJID, prepare, "\ufdfa" * 341)

    def test_invalid(self) -> None:
        """Malformed addresses raise C{InvalidJID}."""
        for text in (
            "", "@b", "a@", "a@/c", "/c", "b/", "a@b/", "@", "/", "a b@c", "a\"@c", "a&@c", "a'@c", "a:@c",
            "a<@c", "a>@c", "a@b@c", "a\x7f@c", "a\n@c", "a@b c", "a@b..c", "a@.b", "a@b..", "a@-b", "a@b-",
            "a@b_c", "a@b:5222", "a@b\n", "a@[::1", "a@[::1]x", "a@[1.2.3.4]", "a@[]", "a@[::1%eth0]",
            "a@[::1%'<]", "a@b/c\x00", "a@b/\x1f", "a@b/\x7f", "a\uff20b@c", "\uff20@c", "a@\u00e4\uff0fc",
            "a@\u00e4 b", "a@\u00e4_b", "a@b/\u00e4\x00", "a@b/\u2028", "\u00ad@b", "a@\u00ad", "a@b/\u00ad",
            "\u05d0a@b", "a@b/\u05d0a", "a@b/\ud800", "\u00a0@b", "a@\u00e4\u2024c",
        ):  # fmt: skip
            with self.assertRaises(InvalidJID, msg=repr(text)):
                jid.parse(text)

    def test_length(self) -> None:
        """A part has at most 1023 bytes, before and after preparation."""
        for part in (jid.prepareLocal, jid.prepareResource):
            self.assertEqual(len(part("a" * PART_LIMIT)), PART_LIMIT)
            self.assertRaises(InvalidJID, part, "a" * (PART_LIMIT + 1))
            self.assertRaises(InvalidJID, part, "\u00e4" * (PART_LIMIT // 2 + 1))
            self.assertRaises(InvalidJID, part, "")
        labels = ".".join(["a" * 60] * 16)
        self.assertEqual(jid.prepareDomain(labels), labels)
        self.assertRaises(InvalidJID, jid.prepareDomain, ".".join(["a" * 60] * 17))
        # One character that becomes eighteen.
        self.assertRaises(InvalidJID, jid.prepareResource, "\ufdfa" * 300)

    @settings(max_examples=300)
    @given(st.one_of(ANY, SPECIAL, st.builds("{}@{}/{}".format, SPECIAL, SPECIAL, SPECIAL)))
    def test_stable(self, text: str) -> None:
        """Any text is refused or prepared; preparation is idempotent, and the parts have no separators."""
        try:
            address = jid.parse(text)
        except InvalidJID:
            return
        self.assertEqual(jid.parse(address.full), address)
        self.assertEqual(jid.parse(address.bare), address.bareJID())
        self.assertFalse(set(address.local) & set("@/ <>\"'&:"))
        self.assertFalse(set(address.domain) & set("@/ <>\"'&%"))
        self.assertEqual(jid.make(address.local, address.domain, address.resource), address)

    @given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=12))
    def test_ascii(self, text: str) -> None:
        """The result for ASCII is that of stringprep."""
        for ours, theirs in ((jid.prepareLocal, nodeprep), (jid.prepareResource, resourceprep)):
            try:
                expected = theirs.prepare(text)
            except UnicodeError:
                self.assertRaises(InvalidJID, ours, text)
            else:
                self.assertEqual(ours(text), expected)


class JIDTests(SynchronousTestCase):
    """L{JID}"""

    def test_texts(self) -> None:
        """An address has its bare and its full form."""
        address = JID("a", "b", "c")
        self.assertEqual((address.bare, address.full, str(address)), ("a@b", "a@b/c", "a@b/c"))
        self.assertEqual((JID("", "b", "c").bare, JID("", "b", "c").full), ("b", "b/c"))
        self.assertEqual(repr(address), "<JID 'a@b/c'>")

    def test_equality(self) -> None:
        """Prepared addresses with the same text are equal, and so are their hashes."""
        self.assertEqual(JID("a", "b", "c"), jid.parse("A@B/c"))
        self.assertEqual(hash(JID("a", "b", "c")), hash(jid.parse("A@B/c")))
        self.assertNotEqual(JID("a", "b", "c"), JID("a", "b", "C"))
        self.assertNotEqual(JID("a", "b", "c"), "a@b/c")

    def test_others(self) -> None:
        """Addresses of the same account with other resources."""
        address = JID("a", "b", "c")
        self.assertEqual(address.bareJID().full, "a@b")
        self.assertEqual(address.withResource("d").full, "a@b/d")
        self.assertEqual(address.withResource("").full, "a@b")
        bare = JID("a", "b", "")
        self.assertIs(bare.bareJID(), bare)

    def test_slots(self) -> None:
        """An address has no dictionary of attributes."""
        self.assertRaises(AttributeError, setattr, JID("a", "b", "c"), "other", 1)


class CacheTests(SynchronousTestCase):
    """The cache of L{jid.parse}"""

    def test_cached(self) -> None:
        """The same text has the same object."""
        self.assertIs(jid.parse("romeo@example.org/orchard"), jid.parse("romeo@example.org/orchard"))

    def test_long(self) -> None:
        """Long addresses are not cached."""
        text = "a@b/" + "c" * 600
        self.assertEqual(jid.parse(text), jid.parse(text))
        self.assertIsNot(jid.parse(text), jid.parse(text))

    def test_bounded(self) -> None:
        """The number of cached addresses is limited."""
        self.addCleanup(jid._cached.cache_clear)
        size = jid._cached.cache_info().maxsize
        assert size is not None
        for n in range(size + 100):
            jid.parse(f"u{n}@b")
        self.assertEqual(jid._cached.cache_info().currsize, size)
