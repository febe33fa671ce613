# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.client} and L{muccore.testing.scansion.scram}."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.testing.scansion.client import STREAM_ERROR, Client, ClientFailed, connect
from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.scansion.scram import ScramClient, ScramRefused
from muccore.xmpp import ns
from tests.certificates import makeCertificate
from tests.testing.fakeserver import PASSWORD, PLAIN, FakeServer, mechanisms


def definition(resource: str | None = None, password: str = PASSWORD) -> ClientDefinition:
    """Return a client definition that can log in."""
    return ClientDefinition("Romeo", "romeo@localhost", password, resource)


class ClientTests(TestCase):
    """Logging in, sending and receiving, on real sockets."""

    timeout = 20

    def setUp(self) -> None:
        """Start a server."""
        self.server = FakeServer()
        self.port = self.server.start()
        self.addCleanup(self.server.stop)

    async def client(self, tls: bool = False, **properties: Any) -> Client:
        """Return a client that has logged in; it is dropped at the end of the test."""
        client = await connect(reactor, "127.0.0.1", self.port, 5)

        def drop() -> Deferred[None]:
            client.abort()
            return client.closed()

        self.addCleanup(drop)
        await client.login(definition(**properties), tls)
        return client

    async def refused(self, tls: bool = False, **properties: Any) -> str:
        """Return the error of a login that fails."""
        with self.assertRaises(ClientFailed) as raised:
            await self.client(tls, **properties)
        return str(raised.exception)

    async def test_plain(self) -> None:
        """PLAIN is used where it is offered, the requested resource is bound, and nothing else is sent."""
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism>" + PLAIN)
        client = await self.client(resource="orchard & co")
        (stream,) = self.server.streams.values()
        self.assertEqual(stream.mechanism, "PLAIN")
        self.assertEqual(client.full, "romeo@localhost/orchard & co")
        client.send("<message/>")
        self.assertEqual((await client.next()).tag, f"{{{ns.CLIENT}}}message")
        self.assertEqual((client.count, self.server.pings), (1, []))

    async def test_generatedResource(self) -> None:
        """Without a requested resource the server generates one."""
        self.assertEqual((await self.client()).full, "romeo@localhost/made1")

    async def test_scram(self) -> None:
        """Without PLAIN the best offered SCRAM mechanism is used."""
        for offered, used in (("SCRAM-SHA-1", "SCRAM-SHA-1"), ("SCRAM-SHA-256", "SCRAM-SHA-256")):
            self.server.features = mechanisms(f"<mechanism>X</mechanism><mechanism>{offered}</mechanism>")
            client = await self.client()
            self.assertEqual(self.server.streams[client.full].mechanism, used)
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism><mechanism>SCRAM-SHA-256</mechanism>")
        client = await self.client()
        self.assertEqual(self.server.streams[client.full].mechanism, "SCRAM-SHA-256")

    async def test_refusedPassword(self) -> None:
        """A wrong password is reported with the server's condition, without the password."""
        for offered in ("PLAIN", "SCRAM-SHA-256"):
            self.server.features = mechanisms(f"<mechanism>{offered}</mechanism>")
            why = await self.refused(password="hush hush")
            self.assertEqual(why, "the server refuses the log-in: not-authorized")

    async def test_scramServerMustKnow(self) -> None:
        """SCRAM detects a server that does not know the password."""
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism>")
        self.server.signature = b"whatever"
        self.assertEqual(await self.refused(), "SCRAM-SHA-1 failed: the server's signature is wrong")
        self.server.challenge = b"r=other,s=AAAA,i=1"
        self.assertIn("does not continue", await self.refused())

    async def test_noMechanism(self) -> None:
        """Unknown mechanisms only are an error."""
        self.server.features = mechanisms("<mechanism>X</mechanism>")
        self.assertIn("none of PLAIN", await self.refused())

    async def test_bindRefused(self) -> None:
        """A refused resource is reported with the server's condition."""
        self.assertEqual(await self.refused(resource="taken"), "the server refuses to bind: conflict")

    async def test_tls(self) -> None:
        """STARTTLS is used where the server requires it, with any certificate."""
        folder = Path(self.mktemp())
        folder.mkdir()
        # Self-signed, for another host.
        pem = "".join(Path(path).read_text() for path in makeCertificate(folder, ["elsewhere"]))
        self.server.certificate = ssl.PrivateCertificate.loadPEM(pem)
        for tls in (False, True):
            client = await self.client(tls)
            self.assertTrue(self.server.streams[client.full].secure)
            client.send("<message/>")
            await client.next()

    async def test_dataBehindSuccess(self) -> None:
        """Data behind the element that restarts the stream is ignored."""
        self.server.behind = "<message/>"
        client = await self.client()
        self.assertEqual((client.full, client.count), ("romeo@localhost/made1", 0))

    async def test_noTLS(self) -> None:
        """The login fails if STARTTLS is requested and not offered."""
        self.assertIn("STARTTLS", await self.refused(tls=True))

    async def test_streamErrorAtLogin(self) -> None:
        """A stream error instead of features is reported with its condition."""

        def start(stream: Any, root: Any) -> None:
            stream.write(
                f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' version='1.0'>"
                f"<stream:error><host-unknown xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>"
            )

        self.patch(self.server.protocol, "onStart", start)
        self.assertEqual(await self.refused(), "stream error host-unknown")

    async def test_brokenXML(self) -> None:
        """Data that is not XML is an error."""
        self.patch(self.server.protocol, "onStart", lambda stream, root: stream.write("HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn("not XML", await self.refused())

    async def test_connectionLostAtLogin(self) -> None:
        """A connection that is lost during the login is an error."""
        self.patch(self.server.protocol, "onStart", lambda stream, root: stream.transport.loseConnection())
        self.assertIn("connection was lost", await self.refused())

    async def test_noServer(self) -> None:
        """A refused connection fails as endpoints do."""
        other = FakeServer()
        port = other.start()
        await other.stop()
        with self.assertRaises(ConnectionRefusedError):
            await connect(reactor, "localhost", port, 5)

    async def test_brokenStanza(self) -> None:
        """Stanzas before broken XML are kept; the connection is dropped."""
        client = await self.client()
        (stream,) = self.server.streams.values()
        stream.write("<message/><message>this & that</message>")
        await client.closed()
        self.assertEqual([stanza.tag for stanza in client.stanzas], [f"{{{ns.CLIENT}}}message"])
        self.assertIn("not XML", client.lost)

    async def test_ping(self) -> None:
        """A ping fires with its answer, which is not among the stanzas."""
        client = await self.client()
        await client.ping("localhost")
        await client.ping("room@localhost")
        self.assertEqual(self.server.pings, [(client.full, "localhost"), (client.full, "room@localhost")])
        self.assertEqual((client.count, len(client.stanzas)), (0, 0))

    async def test_lostPing(self) -> None:
        """A ping fails if the connection is lost, before or after it is sent."""
        self.server.answersPings = False
        client = await self.client()
        waiting = client.ping("localhost")
        client.abort()
        with self.assertRaises(ClientFailed):
            await waiting
        with self.assertRaises(ClientFailed):
            await client.ping("localhost")

    async def test_close(self) -> None:
        """Closing ends the stream, and waits until the server has closed it."""
        client = await self.client()
        await client.close()
        self.assertEqual(self.server.ended, [client.full])
        self.assertEqual(client.lost, "the server closed the stream")
        await client.close()

    async def test_serverCloses(self) -> None:
        """The client closes a stream that the server has closed; the stream error is among the stanzas."""
        client = await self.client()
        (stream,) = self.server.streams.values()
        stream.write(f"<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>")
        await client.closed()
        self.assertEqual(client.lost, "stream error conflict")
        self.assertEqual([stanza.tag for stanza in client.stanzas], [STREAM_ERROR])
        await self.server.empty()
        self.assertEqual(self.server.ended, [client.full])


class ScramTests(SynchronousTestCase):
    """The client's side of SCRAM."""

    def test_example(self) -> None:
        """The example of RFC 7677 §3."""
        client = ScramClient("SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
        self.assertEqual(client.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        nonce = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        self.assertEqual(
            client.final(nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            b"c=biws," + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        client.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        self.assertRaises(ScramRefused, client.verify, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=")

    def test_specialNames(self) -> None:
        """Commas and equals signs in a name are escaped (RFC 5802 §5.1)."""
        self.assertEqual(ScramClient("SHA-1", "a=b,c", "p", "x").first(), b"n,,n=a=3Db=2Cc,r=x")

    def test_badChallenges(self) -> None:
        """Malformed challenges, and those to another client, are refused."""
        salt = base64.b64encode(b"salt").decode()
        for challenge in (
            "",
            "r=x",
            f"s={salt},i=1",
            f"r=xy,s={salt}",
            "r=xy,s=!,i=1",
            f"r=xy,s={salt},i=many",
            f"r=xy,s={salt},i=0",
            f"r=xy,s={salt},i=99999999999",
            f"r=x,s={salt},i=1",
            f"r=yx,s={salt},i=1",
            f"r=xy,s={salt},i=1,?",
        ):
            client = ScramClient("SHA-1", "a", "p", "x")
            self.assertRaises(ScramRefused, client.final, challenge.encode())
        self.assertRaises(ScramRefused, ScramClient("SHA-1", "a", "p", "x").final, b"\xff")

    def test_verifyNeedsAnExchange(self) -> None:
        """No signature is right before the exchange."""
        self.assertRaises(ScramRefused, ScramClient("SHA-1", "a", "p", "x").verify, b"v=")
