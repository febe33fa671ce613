# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts and logins while the server runs."""

from __future__ import annotations

import base64
from typing import Any

from lxml import etree
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import ClientFailed
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import HEADER, RoomClient, bounded, logIn, openConnection
from tests.endtoend.serverprocess import ServerProcess, ctl
from tests.stream.clients import ScramClient


class AccountTests(TestCase):
    """C{muccorectl} beside a running server."""

    timeout = 120

    async def setUp(self) -> None:
        """Start a server with a database of accounts."""
        self.server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "sqlite:accounts.db"})
        await self.server.start()

    async def assertRefused(self, password: str) -> None:
        """Check that Romeo cannot log in with this password."""
        with self.assertRaisesRegex(ClientFailed, "refuses the log-in: not-authorized"):
            await logIn(self, self.server.port, "romeo", password)

    async def test_accountChanges(self) -> None:
        """
        An account can log in as soon as it is added, only with the new password once that is changed, and no longer
        once it is deleted.
        """
        await self.assertRefused("first")
        self.assertEqual(
            await ctl(self.server, "adduser", "romeo", password="first"), (0, "romeo@localhost: added\n", "")
        )
        romeo = await logIn(self, self.server.port, "romeo", "first")
        self.assertEqual(romeo.full, "romeo@localhost/r")
        self.assertEqual((await ctl(self.server, "passwd", "romeo", password="second"))[0], 0)
        await self.assertRefused("first")
        await logIn(self, self.server.port, "romeo", "second")
        self.assertEqual((await ctl(self.server, "deluser", "romeo"))[0], 0)
        await self.assertRefused("second")
        self.assertEqual(self.server.unexpectedLines, [])
        self.assertNotIn("second", self.server.output)


class LogInTests(TestCase):
    """Logins that slixmpp cannot do, because Python's C{ssl} lacks the exporter."""

    timeout = 120

    async def negotiate(self, client: RoomClient, answer: str, expected: str) -> etree._Element:
        """Send one step of the negotiation; return the answer, an element of the expected name."""
        client.send(answer)
        came = await bounded(client.next())
        self.assertEqual(etree.QName(came).localname, expected, etree.tostring(came))
        return came

    def mechanismsIn(self, features: etree._Element) -> set[str]:
        """Return the offered SASL mechanisms."""
        return {str(mechanism.text) for mechanism in features.iter(f"{{{ns.SASL}}}mechanism")}

    async def assertEncryptionRequired(self, client: RoomClient) -> None:
        """Check that PLAIN is refused."""
        plain = base64.b64encode(b"\0romeo\0secret").decode()
        auth = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{plain}</auth>"
        failure = await self.negotiate(client, auth, "failure")
        self.assertEqual(etree.QName(failure[0]).localname, "encryption-required")

    async def test_channelBinding(self) -> None:
        """
        Under TLS 1.3 a login can be bound to the connection by C{tls-exporter}, with direct TLS; with the data of
        another connection it is refused.
        """
        server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "sqlite:accounts.db"})
        await ctl(server, "adduser", "romeo", password="secret")
        await server.start()
        for change, expected in ((b"", "success"), (b"x", "failure")):
            for hashName, algorithm in (("SHA-512", "sha512"), ("SHA-256", "sha256"), ("SHA-1", "sha1")):
                client = await openConnection(self, server.directPort, True)
                features = await self.negotiate(client, HEADER, "features")
                mechanism = f"SCRAM-{hashName}-PLUS"
                self.assertIn(mechanism, self.mechanismsIn(features))
                transport: Any = client.transport
                exported = transport.getHandle().export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
                scram = ScramClient(algorithm, "romeo", "secret", b"p=tls-exporter,,", exported[len(change) :] + change)
                first = base64.b64encode(scram.first()).decode()
                challenge = await self.negotiate(
                    client, f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>{first}</auth>", "challenge"
                )
                final = base64.b64encode(scram.final(base64.b64decode(challenge.text or ""))).decode()
                end = await self.negotiate(client, f"<response xmlns='{ns.SASL}'>{final}</response>", expected)
                if expected == "success":
                    scram.verify(base64.b64decode(end.text or ""))
        self.assertEqual(server.unexpectedLines, [])

    async def test_noPasswordWithoutTLS(self) -> None:
        """
        With optional TLS, PLAIN is offered under TLS only, and refused with C{encryption-required} without; SCRAM is
        always offered.
        """
        server = ServerProcess(self, c2s={**ENCRYPTED, "tls": "optional"}, auth={"backend": "sqlite:accounts.db"})
        await ctl(server, "adduser", "romeo", password="secret")
        await server.start()
        client = await openConnection(self, server.port)
        features = await self.negotiate(client, HEADER, "features")
        self.assertEqual(self.mechanismsIn(features), {"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"})
        await self.assertEncryptionRequired(client)
        # Without TLS this client uses SCRAM, with it PLAIN.
        await logIn(self, server.port, "romeo")
        await logIn(self, server.port, "romeo", tls=True)
        self.assertEqual(server.unexpectedLines, [])

    async def test_nothingWithoutTLS(self) -> None:
        """Where TLS is required only STARTTLS can be used, and a login without it is refused."""
        server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "insecure:"})
        await server.start()
        client = await openConnection(self, server.port)
        features = await self.negotiate(client, HEADER, "features")
        self.assertEqual([child.tag for child in features], [f"{{{ns.TLS}}}starttls", f"{{{ns.STREAM_LIMITS}}}limits"])
        await self.assertEncryptionRequired(client)
        self.assertEqual(server.unexpectedLines, [])

    async def test_passwordsOnly(self) -> None:
        """Where there are only passwords, TLS is required although it is optional elsewhere (RFC 6120 §5.3.1)."""
        server = ServerProcess(self, c2s={**ENCRYPTED, "tls": "optional"}, auth={"backend": "program:/bin/cat"})
        await server.start()
        client = await openConnection(self, server.port)
        features = await self.negotiate(client, HEADER, "features")
        self.assertIsNotNone(features.find(f"{{{ns.TLS}}}starttls/{{{ns.TLS}}}required"))
        self.assertEqual(self.mechanismsIn(features), set())
        await self.assertEncryptionRequired(client)
