# -*- test-case-name: tests.config.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.hosts}, and of the sections that it reads."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from muccore.config import plugins
from muccore.config.hosts import Host
from tests.config import problemsOf, settings, text

NET = {
    "certificate": "net.crt",
    "private_key": "net.key",
    "accounts": "sqlite:net.db",
    "muc": "rooms.example.net\n teams.example.net",
}


class HostTests(SynchronousTestCase):
    """Hosts of valid configurations."""

    def test_one(self) -> None:
        """Without further sections there is one host."""
        found = settings()
        self.assertEqual(
            found.hosts,
            (
                Host(
                    "example.org", found.tls.certificate, found.tls.privateKey, ("tls", "certificate"),
                    "memory:", ("auth", "backend"), ("rooms.example.org",), ("muc", "domain"),
                    (), ("server", "extra_handlers"), (), ("muc", "extra_handlers"),
                ),
            ),
        )  # fmt: skip

    def test_several(self) -> None:
        """A section adds a host, with what it has of its own; the rest is that of the first host."""
        muc = {"domain": "a.example.org\n b.example.org"}
        sections = {"host EXAMPLE.net.": NET, "host  example.com": {}, "muc": muc}
        found = settings(**sections)
        org, net, com = found.hosts
        self.assertEqual(org.roomServices, ("a.example.org", "b.example.org"))
        base = found.base
        self.assertEqual(
            net,
            Host(
                "example.net", base.child("net.crt"), base.child("net.key"), ("host example.net", "certificate"),
                "sqlite:net.db", ("host example.net", "accounts"),
                ("rooms.example.net", "teams.example.net"), ("host example.net", "muc"),
                (), ("server", "extra_handlers"), (), ("muc", "extra_handlers"),
            ),
        )  # fmt: skip
        self.assertEqual(
            com,
            Host(
                "example.com", org.certificate, org.privateKey, org.certificateAt, org.accounts, org.accountsAt,
                (), ("host example.com", "muc"), (), ("server", "extra_handlers"), (), ("muc", "extra_handlers"),
            ),
        )  # fmt: skip
        line = text(**sections).decode().split("\n").index("certificate = net.crt") + 1
        self.assertEqual(found.problem("host example.net", "certificate", "x").line, line)


    def test_handlers(self) -> None:
        """A host has the handlers of the first one unless it has a list of its own, which may be empty."""
        self.patch(plugins, "getPlugins", lambda _: [SimpleNamespace(name=name) for name in "abc"])
        for own, expected in (
            ({}, [("a", "server", "extra_handlers"), ("b", "muc", "extra_handlers")]),
            ({"extra_handlers": "b\n c"}, [("bc", "host x.example", "extra_handlers"), ("b", "muc", "extra_handlers")]),
            (
                {"extra_handlers": "", "muc_extra_handlers": "c"},
                [("", "host x.example", "extra_handlers"), ("c", "host x.example", "muc_extra_handlers")],
            ),
        ):
            sections = {"server": {"extra_handlers": "a"}, "muc": {"extra_handlers": "b"}, "host x.example": own}
            names = {"a", "b"}.union(*(value.split() for value in own.values()))
            options: dict[str, dict[str, str | None]] = {f"handler:{name}": {} for name in names}
            host = settings(**sections, **options).hosts[1]
            found = ((host.extraHandlers, host.extraHandlersAt), (host.mucExtraHandlers, host.mucExtraHandlersAt))
            self.assertEqual([("".join(each.name for each in handlers), *place) for handlers, place in found], expected)

    def test_contactAddresses(self) -> None:
        """A host has the addresses of the first one unless it has a list of its own, which may be empty."""
        shared, own = (("admin", "xmpp:a@example.org"), ("abuse", "mailto:b@example.org")), (("status", "https://x/"),)
        sections: dict[str, dict[str, str | None]] = {
            "server": {"contact_addresses": "admin xmpp:a@example.org\n abuse mailto:b@example.org"},
            "host a.example": {}, "host b.example": {"contact_addresses": ""},
            "host c.example": {"contact_addresses": "status  https://x/"},
        }  # fmt: skip
        found = settings(**sections).hosts
        self.assertEqual([host.contactAddresses for host in found], [shared, shared, (), own])


class ProblemTests(SynchronousTestCase):
    """Problems of hosts, with their section."""

    def test_problems(self) -> None:
        """Each is one line."""
        for sections, expected in (
            ({"host": {}}, "[host]: no such section; allowed: server, .*, component NAME (did you mean 'host NAME'?)"),
            ({"host a b": {}}, "[host a b]: found 'a b' (.*); allowed: host and a host name such as example.org"),
            ({"host x.example": {"mucs": "a"}}, "[host x.example] mucs: no such key; allowed: certificate, "
             "private_key, accounts, anonymous, muc, registration, contact_addresses, extra_handlers, "
             "muc_extra_handlers (did you mean 'muc'?)"),
            ({"host x.example": {"accounts": "sqlit:x"}}, "[host x.example] accounts: found 'sqlit:x' (unknown .*"),
            ({"host x.example": {"certificate": "x"}}, "[host x.example] private_key: found nothing; allowed: the path "
             "of a file, needed with certificate"),
            ({"host x.example": {"private_key": "x"}}, "[host x.example] certificate: found nothing; allowed: the path "
             "of a file, needed with private_key"),
            ({"host x.example": {}, "host X.example": {}}, "[host X.example]: found the section again; allowed: once"),
            ({"host example.org": {}}, "[host example.org]: found the domain of [server] domain; allowed: another "
             "domain"),
            ({"host x.example": {"muc": "rooms.example.org"}}, "[host x.example] muc: found 'rooms.example.org'; "
             "allowed: a domain other than that of [muc] domain, such as conference.x.example"),
            ({"host rooms.example.org": {}}, "[muc] domain: found 'rooms.example.org'; allowed: a domain other than "
             "that of [host rooms.example.org], such as conference.example.org"),
            ({"muc": {"domain": "a.example\n a.example"}}, "[muc] domain: found 'a.example'; allowed: a domain other "
             "than that of [muc] domain, such as conference.example.org"),
            ({"muc": {"domain": ""}}, "[muc] domain: found nothing; allowed: one on each line: a host name such as "
             "example.org"),
            ({"c2s": {"listen": "tcp:5222"}, "host x.example": {"accounts": "insecure:"}},
             "[host x.example] accounts: found 'insecure:', which accepts any password, .*"),
        ):  # fmt: skip
            with self.subTest(sections=sections):
                (problem,) = problemsOf(text(**sections))
                start, _, end = expected.partition(".*")
                self.assertIn(start, problem)
                self.assertTrue(problem.endswith(end), problem)
