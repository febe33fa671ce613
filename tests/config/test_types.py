# -*- test-case-name: tests.config.test_types -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.types}."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import InvalidValue
from muccore.config.ini import Line
from muccore.config.types import (
    HTTPSURL,
    AnyType,
    Boolean,
    Choice,
    ContactAddress,
    Duration,
    HostName,
    Integer,
    ListOf,
    NetworkAddress,
    NodeAddress,
    Origin,
    Path,
    Size,
    Text,
    URLPath,
    URLTemplate,
)
from muccore.xmpp import jid

BASE = FilePath("/srv/muccore/etc")


class ParseTests(SynchronousTestCase):
    """L{Type.parse}"""

    def assertParses(self, type: AnyType, expected: dict[str, Any]) -> None:
        """Each text is parsed to its value."""
        self.assertEqual({text: type.parse(text, BASE) for text in expected}, expected)

    def assertRefused(self, type: AnyType, *texts: str) -> None:
        """Each text is refused."""
        for text in texts:
            with self.assertRaises(InvalidValue, msg=text):
                type.parse(text, BASE)

    def test_boolean(self) -> None:
        """Several words for yes and no, in any case."""
        self.assertParses(
            Boolean(), {"yes": True, "On": True, "TRUE": True, "1": True, "no": False, "off": False, "0": False}
        )
        self.assertRefused(Boolean(), "", "maybe", "2", "y")

    def test_contactAddress(self) -> None:
        """What an address is for, and a URI."""
        self.assertParses(
            ContactAddress(),
            {"admin xmpp:a@b": ("admin", "xmpp:a@b"), "status  https://x/?y=ä#z": ("status", "https://x/?y=ä#z")},
        )
        self.assertRefused(ContactAddress(), "", "admin", "admin a@b", "xmpp:a@b", "boss xmpp:a@b", "admin xmpp:a b",
                           "admin xmpp:", "admin xmpp:a\x7f", "admin 1x:a", "admin <xmpp:a>")  # fmt: skip

    def test_web(self) -> None:
        """Origins and URLs have a host, perhaps a port, and no path; origins become what browsers send."""
        self.assertParses(
            Origin(),
            {"https://Chat.example.org": "https://chat.example.org", "capacitor://localhost": "capacitor://localhost",
             "http://[::1]:8080": "http://[::1]:8080", "*": "*", "https://Bücher.example": "https://xn--bcher-kva.example",
             "https://a:443": "https://a", "http://a:80": "http://a", "https://a:80": "https://a:80",
             "http://a:443": "http://a:443"},
        )  # fmt: skip
        self.assertRefused(Origin(), "", "chat.example.org", "https://", "https://a/", "https://a b", "https://?", "**",
                           "null", "https://*.example.org", "https://a:x", "https://b@a")  # fmt: skip
        self.assertParses(HTTPSURL(), {"": "", "https://A.b:8443": "https://a.b:8443", "https://a.b/": "https://a.b"})
        self.assertParses(URLPath(), {"": "", "/http-bind": "/http-bind", "/a/b.c": "/a/b.c"})
        self.assertRefused(URLPath(), "/", "a", "/a/", "/a//b", "/../a", "/a?b", "/a b", "https://a/b")
        self.assertRefused(HTTPSURL(), "http://a.b", "https://a.b/c", "https://", "a.b", "https://a'b", "https://a.b:x")

    def test_urlTemplate(self) -> None:
        """A template is a web address with its placeholder, or nothing."""
        urls = ("", "https://chat.example.org/#/join/{x}", "http://localhost:8080/?a=b&room={x}")
        self.assertParses(URLTemplate("{x}"), {url: url for url in urls})
        self.assertRefused(
            URLTemplate("{x}"), "{x}", "https://chat.example.org/", "https://{y}", "ftp://a/{x}", "https:///{x}",
            "https://chat/a {x}", "https://a/{x}\x07",
        )  # fmt: skip

    def test_choice(self) -> None:
        """One of the words; a similar word causes a suggestion."""
        choice = Choice("required", "off")
        self.assertParses(choice, {"required": "required", "off": "off"})
        self.assertRefused(choice, "", "Off")
        self.assertEqual(
            self.assertRaises(InvalidValue, choice.parse, "requird", BASE).hint, "did you mean 'required'?"
        )
        self.assertEqual(self.assertRaises(InvalidValue, choice.parse, "zzz", BASE).hint, "")

    def test_integer(self) -> None:
        """Whole numbers within bounds, in ASCII digits."""
        self.assertParses(Integer(1, 100), {"1": 1, "100": 100, "007": 7})
        self.assertRefused(Integer(1, 100), "", "0", "101", "-1", "1.0", "1e1", "٣", "²", "9" * 5000)

    def test_size(self) -> None:
        """Bytes, with and without units."""
        self.assertParses(
            Size("1 B", "1 GiB"),
            {"1": 1, "10000": 10000, "10 B": 10, "256 KiB": 262144, "4MiB": 4 << 20, "1.5 KiB": 1536, "1 GiB": 1 << 30},
        )
        self.assertRefused(Size("1 B", "1 GiB"), "", "0", "2 GiB", "-1", "KiB", "1 2", "1.5", "0.3 KiB", "9" * 5000)
        self.assertEqual(
            self.assertRaises(InvalidValue, Size("1 B", "1 GiB").parse, "1 kib", BASE).hint, "did you mean 'KiB'?"
        )

    def test_duration(self) -> None:
        """Seconds, with and without units."""
        self.assertParses(
            Duration("0 s", "10 d"),
            {"0": 0.0, "60": 60.0, "0.5 s": 0.5, "5 min": 300.0, "24h": 86400.0, "1 d": 86400.0},
        )
        self.assertRefused(Duration("0 s", "10 d"), "", "11 d", "5 m", "-1", "s", "1 min 5 s", "nan", "inf")

    @given(st.integers(0, 2**40))
    def test_sizesReadBack(self, size: int) -> None:
        """Sizes in bytes are parsed exactly."""
        self.assertEqual(Size("0 B", "1024 GiB").parse(f"{size} B", BASE), size)

    def test_nodeAddress(self) -> None:
        """A service and a node; the node is not prepared."""
        self.assertParses(NodeAddress(), {"Rtbl.example/muc_bans": jid.parse("rtbl.example/muc_bans")})
        self.assertParses(NodeAddress(), {"lists@rtbl.example/a/b": jid.parse("lists@rtbl.example/a/b")})
        self.assertRefused(NodeAddress(), "", "rtbl.example", "rtbl.example/", "a..b/c", "rtbl.example/\u00aa")

    def test_hostName(self) -> None:
        """Host names are prepared as domainparts of addresses."""
        self.assertParses(HostName(), {"Example.ORG": "example.org", "bücher.example": "bücher.example"})
        self.assertRefused(HostName(), "", "a..b", "romeo@example.org", "exa mple", "-a.example", "x" * 2000)

    def test_text(self) -> None:
        """Text without control characters."""
        self.assertParses(Text(), {"": "", "Räume & mehr": "Räume & mehr"})
        self.assertRefused(Text(), "a\x00", "a\x1bb", "a\tb", "\x7f", "\ufffe")

    def test_path(self) -> None:
        """Relative paths start at the base and may leave it; nothing is C{None}."""
        self.assertParses(
            Path(),
            {
                "server.crt": FilePath("/srv/muccore/etc/server.crt"),
                "../var/server.crt": FilePath("/srv/muccore/var/server.crt"),
                "/etc/ssl/server.crt": FilePath("/etc/ssl/server.crt"),
                "": None,
            },
        )
        self.assertRefused(Path(), "a\x00b")

    def test_network(self) -> None:
        """IP networks and addresses."""
        self.assertParses(
            NetworkAddress(),
            {
                "10.0.0.0/8": IPv4Network("10.0.0.0/8"),
                "::1": IPv6Network("::1/128"),
                "192.0.2.1": IPv4Network("192.0.2.1"),
            },
        )
        self.assertRefused(NetworkAddress(), "", "10.0.0.1/8", "localhost", "10.0.0.0/33")

    def test_defaultOfList(self) -> None:
        """A list has one item on each line."""
        self.assertParses(ListOf(Integer(0, 9)), {"": (), "1": (1,), "1\n2": (1, 2)})


class ReadTests(SynchronousTestCase):
    """L{Type.read}"""

    def read(self, type: AnyType, *texts: str) -> Any:
        """Read a value whose key is in line 10, and record errors."""
        self.refused: list[tuple[int, str, str]] = []
        return type.read(
            [Line(number, text) for number, text in enumerate(texts, 10)],
            10,
            BASE,
            lambda line, found, refusal: self.refused.append((line, found, refusal.why)),
        )

    def test_one(self) -> None:
        """A value of one line."""
        self.assertEqual(self.read(Integer(0, 9), "7"), 7)
        self.assertEqual(self.refused, [])

    def test_nothing(self) -> None:
        """A missing value is reported at the key's line."""
        self.assertIsNone(self.read(Integer(0, 9)))
        self.assertEqual(self.refused, [(10, "", "")])

    def test_tooManyLines(self) -> None:
        """A second line is reported for a key that takes one."""
        self.assertIsNone(self.read(Integer(0, 9), "7", "8"))
        self.assertEqual([(line, found) for line, found, _ in self.refused], [(11, "8")])

    def test_list(self) -> None:
        """A list has any number of lines."""
        self.assertEqual(self.read(ListOf(Integer(0, 9)), "7", "8"), (7, 8))
        self.assertEqual(self.read(ListOf(Integer(0, 9))), ())
        self.assertEqual(self.refused, [])

    def test_listErrors(self) -> None:
        """Every bad item of a list is reported at its line."""
        self.read(ListOf(Integer(0, 9)), "a", "8", "c")
        self.assertEqual(self.refused, [(10, "a", ""), (12, "c", "")])
