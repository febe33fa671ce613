# -*- test-case-name: tests.config.test_validation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.validation}, through L{muccore.config.load}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.config import validation
from tests.config import problemsOf, text

NO_CERTIFICATE: dict[str, str | None] = {"certificate": None, "private_key": None}


class CheckTests(SynchronousTestCase):
    """Checks of options against each other."""

    def assertProblem(self, place: str, *words: str, **changes: dict[str, str | None]) -> None:
        """The configuration has this problem only, at this key and with these words."""
        problems = problemsOf(text(**changes))
        self.assertEqual(len(problems), 1, problems)
        self.assertRegex(problems[0], rf"\A(:\d+)?: {place}: ".replace("[", r"\["))
        for word in words:
            self.assertIn(word, problems[0])

    def assertFine(self, **changes: dict[str, str | None]) -> None:
        """The configuration has no problem."""
        self.assertEqual(problemsOf(text(**changes)), [])

    def test_loadTests(self) -> None:
        """The minimum is valid; so are, on loopback, no TLS, clear passwords, any user and no certificate."""
        self.assertFine()
        self.assertFine(
            c2s={"tls": "off", "allow_plaintext_auth": "yes"}, auth={"backend": "insecure:"}, tls=NO_CERTIFICATE
        )

    def test_public(self) -> None:
        """Public listeners are valid with encryption."""
        self.assertFine(c2s={"listen": "tcp:5222", "direct_tls_listen": "tcp:5223", "allow_plaintext_auth": "yes"})
        self.assertFine(c2s={"listen": "tcp:5222", "tls": "optional"})

    def test_noListener(self) -> None:
        """At least one endpoint is required."""
        self.assertProblem("[c2s] listen", "at least one", c2s={"listen": ""})
        self.assertFine(c2s={"listen": "", "direct_tls_listen": "tcp:5223"})
        self.assertFine(c2s={"listen": ""}, http={"listen": "tcp:5280"})

    def test_twice(self) -> None:
        """An endpoint must not be given twice, except port 0."""
        self.assertProblem("[c2s] listen", "'tcp:5222' more than once", c2s={"listen": "tcp:5222\n tcp:5222"})
        problems = problemsOf(text(c2s={"listen": "tcp:5222", "direct_tls_listen": "tcp:5222"}))
        self.assertEqual(len(problems), 2)
        problems = problemsOf(text(c2s={"listen": "tcp:5222"}, http={"tls_listen": "tcp:5222"}))
        self.assertEqual([problem.split(": ")[1] for problem in problems], ["[c2s] listen", "[http] tls_listen"])
        self.assertFine(c2s={"listen": "tcp:0\n tcp:0", "direct_tls_listen": "tcp:0"})

    def test_offInPublic(self) -> None:
        """Without TLS, listeners must be on loopback addresses."""
        for endpoint in ("tcp:5222", "tcp:5222:interface=192.0.2.1", "systemd:domain=INET:index=0"):
            self.assertProblem(
                "[c2s] tls", repr(endpoint), "required, optional", c2s={"tls": "off", "listen": endpoint}
            )
        self.assertFine(c2s={"tls": "off", "listen": r"tcp6:5222:interface=\:\:1"})
        self.assertProblem("[c2s] tls", "where [http] listen", c2s={"tls": "off"}, http={"listen": "tcp:5280"})

    def test_plaintextAuth(self) -> None:
        """Clear passwords are refused on public listeners with optional TLS."""
        self.assertProblem(
            "[c2s] allow_plaintext_auth",
            "tls = required",
            c2s={"tls": "optional", "allow_plaintext_auth": "yes", "listen": "tcp:5222"},
        )
        self.assertFine(c2s={"tls": "optional", "allow_plaintext_auth": "yes"})

    def test_everyEndpointCounts(self) -> None:
        """One endpoint on loopback is not enough."""
        self.assertProblem(
            "[c2s] tls",
            "'tcp:5269'",
            c2s={"tls": "off", "listen": "tcp:5222:interface=127.0.0.1\n tcp:5269"},
        )

    def test_certificateNeeded(self) -> None:
        """TLS of either kind requires a certificate and its key."""
        off: dict[str, str | None] = {"tls": "off"}
        for sections in (
            {"c2s": {"tls": "required"}},
            {"c2s": {"tls": "optional"}},
            {"c2s": {**off, "direct_tls_listen": "tcp:5223:interface=127.0.0.1"}},
            {"c2s": off, "http": {"tls_listen": "tcp:5281"}},
        ):
            problems = problemsOf(text(**sections, tls=NO_CERTIFICATE))
            self.assertEqual(len(problems), 2, problems)
            self.assertIn("[tls] certificate: found nothing; allowed: the path of a file, needed for", problems[0])
            self.assertIn("[tls] private_key: found nothing", problems[1])

    def test_certificateAndKey(self) -> None:
        """A certificate and its key require each other, even without TLS."""
        off: dict[str, str | None] = {"tls": "off"}
        self.assertProblem("[tls] private_key", "needed with certificate", c2s=off, tls={"private_key": None})
        self.assertProblem("[tls] certificate", "needed with private_key", c2s=off, tls={"certificate": ""})

    def test_insecureInPublic(self) -> None:
        """Authentication that accepts any password is refused on public listeners."""
        options = (("c2s", "listen"), ("c2s", "direct_tls_listen"), ("http", "listen"), ("http", "tls_listen"))
        for section, option in options:
            self.assertProblem(
                "[auth] backend",
                "'insecure:', which accepts any password",
                "interface=127.0.0.1",
                auth={"backend": "insecure:"},
                **{section: {option: "tcp:5222"}},
            )

    def test_passwordsOnly(self) -> None:
        """Where there are only passwords, no TLS, and passwords may not go without, nobody could log in."""
        keys: dict[str, str | None] = {"listen": "tcp:5222:interface=127.0.0.1", "tls": "off", "direct_tls_listen": ""}
        accounts = {"backend": "program:/bin/true\n    timeout = 5"}
        self.assertProblem(
            "[auth] backend", "found 'program:/bin/true', which needs the password itself", c2s=keys, auth=accounts
        )
        for changes in ({"tls": "required"}, {"allow_plaintext_auth": "yes"}):
            self.assertEqual(problemsOf(text(c2s={**keys, **changes}, auth=accounts)), [])
        self.assertEqual(problemsOf(text(c2s=keys, auth={"backend": "memory:"})), [])

    def test_sizes(self) -> None:
        """A stanza fits the outbox, and is larger after log-in than before."""
        self.assertProblem(
            "[limits] stanza_size_unauthenticated",
            "found 20000 bytes; allowed: at most stanza_size, 10000 bytes",
            limits={"stanza_size": "10000", "stanza_size_unauthenticated": "20000"},
        )
        self.assertProblem("[transport] outbox_limit", "found 16384 bytes", transport={"outbox_limit": "16 KiB"})

    def test_domains(self) -> None:
        """Rooms and accounts have different domains, compared after preparation."""
        self.assertProblem("[muc] domain", "such as conference.example.org", muc={"domain": "EXAMPLE.org."})

    def test_uploads(self) -> None:
        """Files are reached over HTTPS: by TLS here, or by a proxy with a URL."""
        listen = {"listen": "tcp:5280:interface=127.0.0.1"}
        url = {"public_url": "https://chat.example"}
        store = {"store": "memory:"}
        for http, upload, fine in (
            ({}, store, False), (listen, store, False), (url, store, False), ({**listen, **url}, store, True),
            (listen, {**store, **url}, True), ({}, {**store, **url}, False), ({}, url, True),
            ({"tls_listen": "tcp:5281"}, store, True),
        ):  # fmt: skip
            changes: dict[str, dict[str, str | None]] = {"http": {**http}, "upload": {**upload}}
            if fine:
                self.assertFine(**changes)
            else:
                self.assertProblem("[upload] store", "no way to it over HTTPS", **changes)

    def test_pubSub(self) -> None:
        """Publish-subscribe services have domains of their own, and a store."""
        self.assertProblem("[pubsub] domain", "such as pubsub.example.org", pubsub={"domain": "EXAMPLE.org."})
        self.patch(validation, "hasScheme", lambda kind, description: False)
        self.assertProblem("[pubsub] domain", "set [storage] pubsub", pubsub={"domain": "pubsub.example.org"})

    def test_history(self) -> None:
        """The history of new rooms is within the limit for owners."""
        self.assertProblem(
            "[muc] history",
            "found 30; allowed: at most history_limit, 20",
            muc={"history": "30", "history_limit": "20"},
        )

    def test_unreadableValue(self) -> None:
        """A check with an unreadable value is skipped, the others are not."""
        problems = sorted(problemsOf(text(c2s={"tls": "of", "listen": "tcp:5222"}, auth={"backend": "insecure:"})))
        self.assertEqual(len(problems), 2, problems)
        self.assertIn("[c2s] tls: found 'of'", problems[0])
        self.assertIn("[auth] backend: found 'insecure:', which accepts any password", problems[1])
