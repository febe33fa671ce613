# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts and log-ins while the server runs."""

from __future__ import annotations

import base64
from typing import Any

from lxml import etree
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import ClientFailed
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import HEADER, Person, arrive, bounded, call
from tests.endtoend.serverprocess import ServerProcess, ctl
from tests.stream.clients import ScramClient


class AccountTests(TestCase):
    """C{muccorectl} beside a server that runs."""

    timeout = 120

    async def setUp(self) -> None:
        """Start a server with a database of accounts."""
        self.server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "sqlite:accounts.db"})
        await self.server.start()

    async def assertRefused(self, password: str) -> None:
        """Check that Romeo cannot log in with a password."""
        with self.assertRaisesRegex(ClientFailed, "refuses the log-in: not-authorized"):
            await arrive(self, self.server.port, "romeo", password)

    async def test_life(self) -> None:
        """
        An account can log in as soon as it is added, with its new password and no other as soon as that is changed,
        and not any more once it is deleted.
        """
        await self.assertRefused("first")
        self.assertEqual(
            await ctl(self.server, "adduser", "romeo", password="first"), (0, "romeo@localhost: added\n", "")
        )
        romeo = await arrive(self, self.server.port, "romeo", "first")
        self.assertEqual(romeo.full, "romeo@localhost/r")
        self.assertEqual((await ctl(self.server, "passwd", "romeo", password="second"))[0], 0)
        await self.assertRefused("first")
        await arrive(self, self.server.port, "romeo", "second")
        self.assertEqual((await ctl(self.server, "deluser", "romeo"))[0], 0)
        await self.assertRefused("second")
        self.assertEqual(self.server.troubles, [])
        self.assertNotIn("second", self.server.output)


class LogInTests(TestCase):
    """Log-ins that slixmpp cannot do, because Python's C{ssl} does not tell it what it needs."""

    timeout = 120

    async def negotiate(self, person: Person, answer: str, expected: str) -> etree._Element:
        """
        Say something before the log-in is done.

        @return: the answer.
        """
        person.send(answer)
        came = await bounded(person.next())
        self.assertEqual(etree.QName(came).localname, expected, etree.tostring(came))
        return came

    def mechanismsIn(self, features: etree._Element) -> set[str]:
        """The SASL mechanisms that are offered."""
        return {str(mechanism.text) for mechanism in features.iter(f"{{{ns.SASL}}}mechanism")}

    async def test_channelBinding(self) -> None:
        """
        Under TLS 1.3 a log-in can be bound to the connection by C{tls-exporter}, with TLS from the first byte on.
        With what another connection has exported it is refused.
        """
        server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "sqlite:accounts.db"})
        await ctl(server, "adduser", "romeo", password="secret")
        await server.start()
        for change, expected in ((b"", "success"), (b"x", "failure")):
            for hashName, algorithm in (("SHA-256", "sha256"), ("SHA-1", "sha1")):
                person = await call(self, server.directPort, True)
                features = await self.negotiate(person, HEADER, "features")
                mechanism = f"SCRAM-{hashName}-PLUS"
                self.assertIn(mechanism, self.mechanismsIn(features))
                transport: Any = person.transport
                exported = transport.getHandle().export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
                scram = ScramClient(algorithm, "romeo", "secret", b"p=tls-exporter,,", exported[len(change) :] + change)
                first = base64.b64encode(scram.first()).decode()
                challenge = await self.negotiate(
                    person, f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>{first}</auth>", "challenge"
                )
                final = base64.b64encode(scram.final(base64.b64decode(challenge.text or ""))).decode()
                end = await self.negotiate(person, f"<response xmlns='{ns.SASL}'>{final}</response>", expected)
                if expected == "success":
                    scram.verify(base64.b64decode(end.text or ""))
        self.assertEqual(server.troubles, [])

    async def test_noPasswordWithoutTLS(self) -> None:
        """
        Where TLS is optional PLAIN is not offered without it, and refused with C{encryption-required} when it is
        tried; SCRAM is there, and under TLS so is PLAIN.
        """
        server = ServerProcess(self, c2s={**ENCRYPTED, "tls": "optional"}, auth={"backend": "sqlite:accounts.db"})
        await ctl(server, "adduser", "romeo", password="secret")
        await server.start()
        person = await call(self, server.port)
        features = await self.negotiate(person, HEADER, "features")
        self.assertEqual(self.mechanismsIn(features), {"SCRAM-SHA-256", "SCRAM-SHA-1"})
        plain = base64.b64encode(b"\0romeo\0secret").decode()
        failure = await self.negotiate(
            person, f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{plain}</auth>", "failure"
        )
        self.assertEqual(etree.QName(failure[0]).localname, "encryption-required")
        # Without TLS this client takes SCRAM, with it PLAIN.
        await arrive(self, server.port, "romeo")
        await arrive(self, server.port, "romeo", tls=True)
        self.assertEqual(server.troubles, [])

    async def test_nothingWithoutTLS(self) -> None:
        """Where TLS is demanded nothing else is offered, and a log-in without it is refused."""
        server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": "insecure:"})
        await server.start()
        person = await call(self, server.port)
        features = await self.negotiate(person, HEADER, "features")
        self.assertEqual([child.tag for child in features], [f"{{{ns.TLS}}}starttls"])
        plain = base64.b64encode(b"\0romeo\0secret").decode()
        failure = await self.negotiate(
            person, f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{plain}</auth>", "failure"
        )
        self.assertEqual(etree.QName(failure[0]).localname, "encryption-required")
        self.assertEqual(server.troubles, [])
