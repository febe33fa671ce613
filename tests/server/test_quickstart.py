# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.quickstart}."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat

from twisted.logger import LogLevel
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.load import load
from muccore.net.certificatecheck import isForDomain
from muccore.server import quickstart, website
from muccore.server.preflight import loadCertificates
from muccore.tap import Options, makeService
from muccore.testing.server import makeSettings

CONFIGURATION = """\
[server]
domain = localhost
[c2s]
listen =
    tcp:PORT1:interface=127.0.0.1
    tcp6:PORT2:interface=\\:\\:1
direct_tls_listen = tcp:PORT3:interface=127.0.0.1
[http]
listen = tcp:PORT4:interface=127.0.0.1
[tls]
certificate = ../keys/new/the.crt
private_key = ../keys/new/the.key
[auth]
backend = sqlite:../var/muccore.db
[storage]
affiliations = memory:
[muc]
domain = conference.localhost
"""


def freePorts(count: int) -> list[int]:
    """Find ports of loopback that nobody uses at the moment: the command checks those of its configuration."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class QuickstartTests(SynchronousTestCase):
    """C{twistd muccore --quickstart}."""

    def setUp(self) -> None:
        """Configure a server without any files."""
        self.folder = FilePath(self.mktemp())
        self.folder.child("etc").makedirs()
        self.file = self.folder.descendant(["etc", "server.cfg"])
        self.configuration = CONFIGURATION
        self.ports = freePorts(5)
        for number, port in enumerate(self.ports, 1):
            self.configuration = self.configuration.replace(f"PORT{number}", str(port))
        self.file.setContent(self.configuration.encode())
        keys = self.folder.descendant(["keys", "new"])
        self.certificate, self.key = keys.child("the.crt"), keys.child("the.key")

    def configure(self, old: str, new: str) -> None:
        """Change the configuration."""
        self.assertIn(old, self.configuration)
        self.file.setContent(self.configuration.replace(old, new).encode())

    def command(self, needsAccounts: bool = True) -> tuple[int, str, str]:
        """
        Make the service of C{twistd muccore --quickstart}, and announce it as if it had started.

        @return: the status, and what was written to standard output and to standard error.
        """
        status = 0
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                options = Options()  # type: ignore[no-untyped-call]
                options.parseOptions(["-c", self.file.path, "--quickstart"])
                makeService(options)
                quickstart.announce(out, options.settings, needsAccounts)
            except SystemExit as e:
                status = e.code
        return status, out.getvalue(), err.getvalue()

    def test_certificate(self) -> None:
        """
        If a certificate is configured and missing, a usable one is created with its folder; only the owner can read its
        key.
        """
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        self.assertIn("the.crt, a self-signed certificate", out.splitlines()[0])
        loadCertificates(load(self.file.path))
        self.assertEqual(stat.S_IMODE(os.stat(self.key.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.key.parent().path).st_mode), 0o700)

    def test_again(self) -> None:
        """Existing files are not changed."""
        self.command()
        before = self.certificate.getContent(), self.key.getContent()
        status, out, _ = self.command()
        self.assertEqual(status, 0)
        self.assertNotIn("self-signed", out)
        self.assertEqual((self.certificate.getContent(), self.key.getContent()), before)

    def test_hosts(self) -> None:
        """Hosts share a certificate or get their own; the description names them all, and where components connect."""
        more = (
            "[host b.example]\nmuc = x.example\n y.example\n"
            "[host c.example]\ncertificate = c.crt\nprivate_key = c.key\naccounts = memory:\n"
            f"[components]\nlisten = tcp:{self.ports[4]}:interface=127.0.0.1\n[component d.example]\nsecret = hidden\n"
        )
        self.file.setContent((self.configuration + more).encode())
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.count("a self-signed certificate"), 2)
        self.assertIn(
            "muccore serves localhost, with rooms at conference.localhost; b.example, with rooms at x.example and "
            "y.example; c.example:",
            out.splitlines(),
        )
        self.assertIn(f"  127.0.0.1:{self.ports[4]}  components", out.splitlines())
        self.assertNotIn("hidden", out)
        self.assertIn("muccore.db and memory:, rooms in memory:.", out)
        certificates = loadCertificates(load(self.file.path))
        for domain, name in (("localhost", "y.example"), ("b.example", "localhost"), ("c.example", "c.example")):
            self.assertTrue(isForDomain(certificates[domain].certificate, domain))
            self.assertTrue(isForDomain(certificates[domain].certificate, name))

    def test_halfThere(self) -> None:
        """If only one of certificate and key exists, the error names the missing one; nothing is written."""
        for half, missing, name in (
            (self.key, self.certificate, "certificate"),
            (self.certificate, self.key, "private_key"),
        ):
            self.command()
            missing.remove()
            kept = half.getContent()
            status, out, err = self.command()
            self.assertEqual((status, out), (1, ""))
            self.assertEqual(len(err.splitlines()), 1)
            self.assertIn(f"[tls] {name}: {missing.path} is missing", err)
            self.assertEqual(half.getContent(), kept)
            self.assertFalse(missing.exists())
            half.remove()

    def test_notNeeded(self) -> None:
        """Without TLS or a configured certificate, none is created."""
        directTLS = f"direct_tls_listen = tcp:{self.ports[2]}:interface=127.0.0.1"
        self.configure(directTLS, "tls = off\nallow_plaintext_auth = yes")
        status, out, _ = self.command()
        self.assertEqual(status, 0)
        self.assertIn(f"127.0.0.1:{self.ports[0]}  no TLS", out)
        self.assertFalse(self.certificate.exists())

    def test_notWritable(self) -> None:
        """If it cannot be written, the error is one line that names the file."""
        self.folder.child("keys").setContent(b"no folder")
        status, out, err = self.command()
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(len(err.splitlines()), 1)
        self.assertIn("[tls] certificate: ", err)
        self.assertIn("cannot be written", err)

    def test_description(self) -> None:
        """It names the endpoints, the stores, and the command for the first account."""
        _, out, _ = self.command()
        lines = out.splitlines()
        for line in (
            "muccore serves localhost, with rooms at conference.localhost:",
            f"  127.0.0.1:{self.ports[0]}  STARTTLS required",
            f"  [::1]:{self.ports[1]}  STARTTLS required",
            f"  127.0.0.1:{self.ports[2]}  direct TLS",
            f"  ws://127.0.0.1:{self.ports[3]}/xmpp-websocket  through a proxy with TLS",
            f"Accounts are in {os.path.relpath(self.folder.descendant(['var', 'muccore.db']).path)}, rooms in memory:.",
            "then log in as romeo@localhost and enter lobby@conference.localhost.",
        ):
            self.assertIn(line, lines)
        (command,) = (line for line in lines if "adduser romeo" in line)
        self.assertEqual(os.path.abspath(command.split()[2]), self.file.path)

    def test_archive(self) -> None:
        """The description names the archive, if there is one."""
        self.configure("affiliations = memory:\n", "affiliations = memory:\narchive = sqlite:../var/archive.db\n")
        _, out, _ = self.command()
        archive = os.path.relpath(self.folder.descendant(["var", "archive.db"]).path)
        self.assertIn(f", rooms in memory:, their messages in {archive}.\n", out)

    def test_webChat(self) -> None:
        """The description has a link into a room, if there is a web chat and a port for it."""
        tls = {"certificate": "localhost.crt", "private_key": "localhost.key"}
        settings = makeSettings(http={"tls_listen": "tcp:5281:interface=127.0.0.1"}, tls=tls)
        for fetched in True, False:
            self.patch(website, "isFetched", lambda fetched=fetched: fetched)
            for made, shown in ((settings, fetched), (makeSettings(), False)):
                lines = list(quickstart.describe(made, False))
                self.assertEqual("  https://localhost:5281/join/lobby  web chat" in lines, shown)

    def test_systemdSocket(self) -> None:
        """A socket passed by systemd is named as it is configured."""
        self.configure(f"    tcp:{self.ports[0]}:interface=127.0.0.1\n", "    systemd:domain=INET:index=0\n")
        out = "\n".join(quickstart.describe(load(self.file.path), True))
        self.assertIn("  systemd:domain=INET:index=0  STARTTLS required", out)

    def test_badConfiguration(self) -> None:
        """An invalid configuration is reported as twistd does without this option; nothing is written."""
        self.configure("domain = localhost", "domian = localhost")
        status, out, err = self.command()
        self.assertEqual((status, out), (1, ""))
        self.assertIn("domian", err)
        self.assertFalse(self.certificate.exists())

    def test_accounts(self) -> None:
        """The command for the first account is printed only while there is none."""
        self.assertIn("adduser", self.command()[1])
        self.assertNotIn("adduser", self.command(needsAccounts=False)[1])

    def test_observer(self) -> None:
        """Warnings of muccore and all errors are written to the terminal, without time stamps; nothing else is."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            observer = quickstart.terminalObserver()
            for namespace in ("muccore.server.service", "twisted.internet"):
                for level in (LogLevel.info, LogLevel.warn, LogLevel.error):
                    observer({"log_level": level, "log_namespace": namespace, "log_format": namespace})
        self.assertEqual(
            out.getvalue().splitlines(),
            ["warn: muccore.server.service", "error: muccore.server.service", "error: twisted.internet"],
        )
