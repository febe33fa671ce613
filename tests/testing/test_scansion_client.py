# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.client} and L{muccore.testing.scansion.scram}."""

from __future__ import annotations

import base64
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.testing.scansion.client import STREAM_ERROR, Client, ClientFailed, connect
from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.scansion.scram import ScramClient, ScramRefused
from muccore.xmpp import ns
from tests.testing.fakeserver import PASSWORD, PLAIN, FakeServer, mechanisms


def definition(resource: str | None = None, password: str = PASSWORD) -> ClientDefinition:
    """Somebody who can log in."""
    return ClientDefinition("Romeo", "romeo@localhost", password, resource)


def certificate() -> Any:
    """A certificate that nobody has a reason to believe."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ssl.PrivateCertificate.loadPEM(private + signed.public_bytes(serialization.Encoding.PEM))


class ClientTests(TestCase):
    """Logging in, sending and hearing, on real sockets."""

    timeout = 20

    def setUp(self) -> None:
        """Start a server."""
        self.server = FakeServer()
        self.port = self.server.start()
        self.addCleanup(self.server.stop)

    async def client(self, tls: bool = False, **properties: Any) -> Client:
        """A client that has logged in; it is dropped at the end of the test."""
        client = await connect(reactor, "127.0.0.1", self.port, 5)

        def drop() -> Deferred[None]:
            client.abort()
            return client.closed()

        self.addCleanup(drop)
        await client.login(definition(**properties), tls)
        return client

    async def refused(self, tls: bool = False, **properties: Any) -> str:
        """Why a log-in fails."""
        with self.assertRaises(ClientFailed) as raised:
            await self.client(tls, **properties)
        return str(raised.exception)

    async def coming(self, client: Client) -> Any:
        """The next stanza."""
        while not client.stanzas:
            self.assertIsNone(client.lost)
            await client.changed()
        return client.stanzas.popleft()

    async def test_plain(self) -> None:
        """
        It logs in by PLAIN where that is offered, binds the resource it asks for, and sends nothing of its own
        accord.
        """
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism>" + PLAIN)
        client = await self.client(resource="orchard & co")
        (stream,) = self.server.streams.values()
        self.assertEqual(stream.mechanism, "PLAIN")
        self.assertEqual(client.full, "romeo@localhost/orchard & co")
        client.send("<message/>")
        self.assertEqual((await self.coming(client)).tag, f"{{{ns.CLIENT}}}message")
        self.assertEqual((client.count, self.server.pings), (1, []))

    async def test_generatedResource(self) -> None:
        """Without a wish for a resource it takes the server's."""
        self.assertEqual((await self.client()).full, "romeo@localhost/made1")

    async def test_scram(self) -> None:
        """Without PLAIN it logs in by the better SCRAM that is offered."""
        for offered, used in (("SCRAM-SHA-1", "SCRAM-SHA-1"), ("SCRAM-SHA-256", "SCRAM-SHA-256")):
            self.server.features = mechanisms(f"<mechanism>X</mechanism><mechanism>{offered}</mechanism>")
            client = await self.client()
            self.assertEqual(self.server.streams[client.full].mechanism, used)
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism><mechanism>SCRAM-SHA-256</mechanism>")
        client = await self.client()
        self.assertEqual(self.server.streams[client.full].mechanism, "SCRAM-SHA-256")

    async def test_refusedPassword(self) -> None:
        """A wrong password is told with the server's condition, and is itself not told."""
        for offered in ("PLAIN", "SCRAM-SHA-256"):
            self.server.features = mechanisms(f"<mechanism>{offered}</mechanism>")
            why = await self.refused(password="hush hush")
            self.assertEqual(why, "the server refuses the log-in: not-authorized")

    async def test_scramServerMustKnow(self) -> None:
        """By SCRAM a server that does not know the password is found out."""
        self.server.features = mechanisms("<mechanism>SCRAM-SHA-1</mechanism>")
        self.server.signature = b"whatever"
        self.assertEqual(await self.refused(), "SCRAM-SHA-1 failed: the server's signature is wrong")
        self.server.challenge = b"r=other,s=AAAA,i=1"
        self.assertIn("does not continue", await self.refused())

    async def test_noMechanism(self) -> None:
        """A server that offers nothing known is told so."""
        self.server.features = mechanisms("<mechanism>X</mechanism>")
        self.assertIn("none of PLAIN", await self.refused())

    async def test_bindRefused(self) -> None:
        """A resource that the server refuses is told with its condition."""
        self.assertEqual(await self.refused(resource="taken"), "the server refuses to bind: conflict")

    async def test_tls(self) -> None:
        """STARTTLS is used where the server requires it, whatever its certificate says."""
        self.server.certificate = certificate()
        for tls in (False, True):
            client = await self.client(tls)
            self.assertTrue(self.server.streams[client.full].secure)
            client.send("<message/>")
            await self.coming(client)

    async def test_nothingSurvivesARestart(self) -> None:
        """What the server sends behind the element that restarts the stream is not believed."""
        self.server.behind = "<message/>"
        client = await self.client()
        self.assertEqual((client.full, client.count), ("romeo@localhost/made1", 0))

    async def test_noTLS(self) -> None:
        """Where STARTTLS is asked for and not offered, the log-in fails."""
        self.assertIn("STARTTLS", await self.refused(tls=True))

    async def test_streamErrorAtLogIn(self) -> None:
        """A stream error instead of features is told with its condition."""

        def start(stream: Any, root: Any) -> None:
            stream.write(
                f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' version='1.0'>"
                f"<stream:error><host-unknown xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>"
            )

        self.patch(self.server.protocol, "onStart", start)
        self.assertEqual(await self.refused(), "stream error host-unknown")

    async def test_brokenXML(self) -> None:
        """A server that does not speak XML is told so."""
        self.patch(self.server.protocol, "onStart", lambda stream, root: stream.write("HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn("not XML", await self.refused())

    async def test_connectionLostAtLogIn(self) -> None:
        """A connection that is lost in the middle of the log-in is told."""
        self.patch(self.server.protocol, "onStart", lambda stream, root: stream.transport.loseConnection())
        self.assertIn("connection was lost", await self.refused())

    async def test_noServer(self) -> None:
        """Where nobody listens, connecting fails as endpoints do."""
        other = FakeServer()
        port = other.start()
        await other.stop()
        with self.assertRaises(ConnectionRefusedError):
            await connect(reactor, "localhost", port, 5)

    async def test_brokenStanza(self) -> None:
        """What came before broken XML is there; the connection is dropped."""
        client = await self.client()
        (stream,) = self.server.streams.values()
        stream.write("<message/><message>this & that</message>")
        await client.closed()
        self.assertEqual([stanza.tag for stanza in client.stanzas], [f"{{{ns.CLIENT}}}message"])
        self.assertIn("not XML", client.lost)

    async def test_ping(self) -> None:
        """The answer to a ping says that it has come, and is not among the stanzas."""
        client = await self.client()
        await client.ping("localhost")
        await client.ping("room@localhost")
        self.assertEqual(self.server.pings, [(client.full, "localhost"), (client.full, "room@localhost")])
        self.assertEqual((client.count, len(client.stanzas)), (0, 0))

    async def test_pingIsLost(self) -> None:
        """A ping fails when the connection goes, and when it has gone."""
        self.server.answersPings = False
        client = await self.client()
        waiting = client.ping("localhost")
        client.abort()
        with self.assertRaises(ClientFailed):
            await waiting
        with self.assertRaises(ClientFailed):
            await client.ping("localhost")

    async def test_close(self) -> None:
        """Closing ends the stream, and waits for the server's end."""
        client = await self.client()
        await client.close()
        self.assertEqual(self.server.ended, [client.full])
        self.assertEqual(client.lost, "the server closed the stream")
        await client.close()

    async def test_serverCloses(self) -> None:
        """A stream that the server ends is ended by the client as well; the stream error is there to be taken."""
        client = await self.client()
        (stream,) = self.server.streams.values()
        stream.write(f"<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>")
        await client.closed()
        self.assertEqual(client.lost, "stream error conflict")
        self.assertEqual([stanza.tag for stanza in client.stanzas], [STREAM_ERROR])
        await self.server.empty()
        self.assertEqual(self.server.ended, [client.full])


class ScramTests(SynchronousTestCase):
    """SCRAM from the client's side."""

    def test_example(self) -> None:
        """The example of RFC 7677 §3 comes out letter by letter."""
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
        """Commas and equals signs in a name are written as RFC 5802 §5.1 says."""
        self.assertEqual(ScramClient("SHA-1", "a=b,c", "p", "x").first(), b"n,,n=a=3Db=2Cc,r=x")

    def test_badChallenges(self) -> None:
        """Whatever is no challenge to this client is refused."""
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
        """Nothing is verified before there was an exchange."""
        self.assertRaises(ScramRefused, ScramClient("SHA-1", "a", "p", "x").verify, b"v=")
