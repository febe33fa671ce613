# Copyright (c) The muccore authors. See LICENSE for details.
"""Log-ins by SASL2 (XEP-0388) to a running server, under TLS."""

from __future__ import annotations

import base64
import hmac
from typing import Any, ClassVar

from lxml import etree
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import ClientFailed
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import HEADER, RoomClient, bounded, openConnection
from tests.endtoend.serverprocess import ServerProcess, ctl
from tests.stream.sasl2.helpers import AGENT, authenticate

SESSION = (
    "<bind xmlns='urn:xmpp:bind:0'><tag>Awesome</tag><enable xmlns='urn:xmpp:carbons:2'/>"
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/><inactive xmlns='urn:xmpp:csi:0'/></bind>"
)


class SASL2TestCase(TestCase):
    """A server with the account of Romeo."""

    timeout = 120
    storage: ClassVar[dict[str, str]] = {}

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        auth = {"backend": "sqlite:accounts.db"}
        self.server = ServerProcess(self, c2s=ENCRYPTED, auth=auth, storage=self.storage)
        await ctl(self.server, "adduser", "romeo", password="secret")
        await self.server.start()

    async def send(self, data: str) -> RoomClient:
        """Connect, and send everything at once; the header and the features are read."""
        client = await openConnection(self, self.server.directPort, True)
        client.send(data)
        features = await bounded(client.next())
        self.assertEqual(features.tag, f"{{{ns.STREAM}}}features")
        return client

    async def logIn(self, more: str, **options: Any) -> tuple[RoomClient, etree._Element]:
        """Log in, and send a ping, all at once; return the client and the success."""
        pipelined = "<iq id='first' type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
        client = await self.send(HEADER + authenticate(more, **options).decode() + pipelined)
        success = await bounded(client.next())
        self.assertEqual(success.tag, f"{{{ns.SASL2}}}success", etree.tostring(success))
        return client, success


class TokenTests(SASL2TestCase):
    """Tokens (XEP-0484)."""

    REQUEST = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/>"

    async def token(self, more: str, **options: Any) -> str:
        """Log in, and return the token."""
        _, success = await self.logIn(AGENT + more, **options)
        token = success.find(f"{{{ns.FAST}}}token")
        assert token is not None, etree.tostring(success)
        return str(token.get("token"))

    async def byToken(self, token: str) -> tuple[RoomClient, etree._Element]:
        """Log in with a token, bound to the connection; return what comes after the features."""
        client = await openConnection(self, self.server.directPort, True)
        # The handshake is over when something was received.
        transport: Any = client.transport
        client.send(HEADER)
        await bounded(client.next())
        exported = transport.getHandle().export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        proof = hmac.digest(token.encode(), b"Initiator" + exported, "sha256")
        more = AGENT + SESSION + "<fast xmlns='urn:xmpp:fast:0'/>"
        client.send(authenticate(more, mechanism="HT-SHA-256-EXPR", initial=b"romeo\0" + proof).decode())
        answer = await bounded(client.next())
        if answer.tag == f"{{{ns.SASL2}}}success":
            data = base64.b64decode(answer.findtext(f"{{{ns.SASL2}}}additional-data") or "")
            self.assertEqual(data, hmac.digest(token.encode(), b"Responder" + exported, "sha256"))
        return client, answer

    async def assertRefused(self, token: str, condition: str) -> None:
        """Check that a token is refused."""
        _, answer = await self.byToken(token)
        self.assertIsNotNone(answer.find(f"{{{ns.SASL}}}{condition}"), etree.tostring(answer))

    async def test_durable(self) -> None:
        """
        A token that a client was told of is known after C{kill -9}, until another process changes the password, or
        deletes the account.
        """
        token = await self.token(self.REQUEST)
        self.server.signal("KILL")
        await self.server.ended()
        await self.server.start()
        for _ in range(2):
            _, success = await self.byToken(token)
            self.assertEqual(success.tag, f"{{{ns.SASL2}}}success", etree.tostring(success))
        await self.server.logged("login from 127.0.0.1: romeo@localhost/Awesome/.* by HT-SHA-256-EXPR")
        self.assertEqual((await ctl(self.server, "passwd", "romeo", password="other"))[0], 0)
        await self.assertRefused(token, "credentials-expired")
        await self.assertRefused(token, "not-authorized")
        token = await self.token(self.REQUEST, password="other")
        await self.byToken(token)
        self.assertEqual((await ctl(self.server, "deluser", "romeo"))[0], 0)
        await self.assertRefused(token, "not-authorized")
        self.assertNotIn(token, self.server.output)
        self.assertEqual(self.server.unexpectedLines, [])

    async def test_oneRoundTrip(self) -> None:
        """A token without channel binding: header, log-in and first stanza are one write; the answers come together."""
        token = await self.token(self.REQUEST.replace("EXPR", "NONE"))
        proof = hmac.digest(token.encode(), b"Initiator", "sha256")
        romeo, success = await self.logIn(
            AGENT + SESSION + "<fast xmlns='urn:xmpp:fast:0' count='1'/>",
            mechanism="HT-SHA-256-NONE",
            initial=b"romeo\0" + proof,
        )
        self.assertIsNotNone(success.find(f"{{{ns.BIND2}}}bound"))
        await bounded(romeo.until(lambda e: e.get("id") == "first"))


class ArchiveTests(SASL2TestCase):
    """What a client is told of its archive (XEP-0386 §3.2)."""

    storage: ClassVar = {"archive": "sqlite:archive.db"}

    async def test_metadata(self) -> None:
        """An empty archive has no ends; then they are those of what the client has sent."""
        romeo, success = await self.logIn(AGENT + SESSION)
        path = f"{{{ns.BIND2}}}bound/{{{ns.MAM}}}metadata"
        metadata = success.find(path)
        assert metadata is not None
        self.assertEqual(len(metadata), 0)
        self.assertIsNotNone(success.find(f"{{{ns.BIND2}}}bound/{{{ns.STREAM_MANAGEMENT}}}enabled"))
        await bounded(romeo.until(lambda e: e.get("id") == "first"))
        romeo.send("<presence/>")
        for body in ("one", "two"):
            romeo.send(f"<message to='romeo@localhost' type='chat'><body>{body}</body></message>")
        ids = []
        for _ in range(2):
            message = await bounded(romeo.until(lambda e: e.find(f"{{{ns.STANZA_ID}}}stanza-id") is not None))
            ids.append(message.find(f"{{{ns.STANZA_ID}}}stanza-id").get("id"))
        _, success = await self.logIn(AGENT + SESSION)
        ends = success.find(path)
        assert ends is not None
        self.assertEqual([each.get("id") for each in ends], ids)
        self.assertEqual(self.server.unexpectedLines, [])

    async def test_offlineMessages(self) -> None:
        """What was sent to somebody who was away is in the archive when they log in, and is not delivered."""
        romeo, _ = await self.logIn(AGENT + SESSION)
        private = f"<no-permanent-store xmlns='{ns.HINTS}'/>"
        for body, more in (("archived", ""), ("private", private)):
            romeo.send(f"<message to='romeo@localhost' type='chat'><body>{body}</body>{more}</message>")
        # Both are stored, or wait to be, before what follows it is handled.
        romeo.send("<iq type='get' id='done'><query xmlns='jabber:iq:private'><none xmlns='test'/></query></iq>")
        await bounded(romeo.until(lambda e: e.get("id") == "done"))
        romeo, success = await self.logIn(AGENT + SESSION)
        self.assertEqual(len(success.findall(f"{{{ns.BIND2}}}bound/{{{ns.MAM}}}metadata/{{{ns.MAM}}}end")), 1)
        romeo.send("<presence/>")
        message = await bounded(romeo.until(lambda e: e.tag == f"{{{ns.CLIENT}}}message"))
        self.assertEqual(message.findtext(f"{{{ns.CLIENT}}}body"), "private")
        self.assertEqual(self.server.unexpectedLines, [])


class SessionTests(SASL2TestCase):
    """A session in one round trip."""

    async def test_session(self) -> None:
        """
        Everything is sent at once, with the first stanza behind it. The session has stream management and carbons; it
        is resumed in the same way, and when it cannot be, there is another one with the same resource.
        """
        romeo, success = await self.logIn(AGENT + SESSION)
        full = success.findtext(f"{{{ns.SASL2}}}authorization-identifier")
        assert full is not None
        self.assertTrue(full.startswith("romeo@localhost/Awesome/"))
        enabled = success.find(f"{{{ns.BIND2}}}bound/{{{ns.STREAM_MANAGEMENT}}}enabled")
        assert enabled is not None
        features = await bounded(romeo.next())
        self.assertEqual(features.tag, f"{{{ns.STREAM}}}features")
        self.assertIsNone(features.find(f"{{{ns.BIND}}}bind"))
        self.assertEqual((await bounded(romeo.next())).get("id"), "first")
        await self.server.logged(f'login from 127.0.0.1: {full} by PLAIN, TLSv1.3 .*, Awesome on "Kiva\'s Phone"')
        # The old stream still exists; the new one takes over, with what was not acknowledged.
        resume = f"<resume xmlns='urn:xmpp:sm:3' previd='{enabled.get('id')}' h='0'/>"
        again, success = await self.logIn(AGENT + SESSION + resume)
        self.assertEqual(success.findtext(f"{{{ns.SASL2}}}authorization-identifier"), full)
        resumed = success.find(f"{{{ns.STREAM_MANAGEMENT}}}resumed")
        assert resumed is not None
        self.assertEqual(resumed.get("h"), "1")
        self.assertIsNone(success.find(f"{{{ns.BIND2}}}bound"))
        for _ in range(2):
            await bounded(again.until(lambda e: e.get("id") == "first"))
        with self.assertRaisesRegex(ClientFailed, "conflict"):
            while True:
                await bounded(romeo.next())
        _third, success = await self.logIn(AGENT + SESSION + resume.replace("previd='", "previd='x"))
        self.assertIsNotNone(success.find(f"{{{ns.STREAM_MANAGEMENT}}}failed/{{{ns.STANZA_ERRORS}}}item-not-found"))
        self.assertEqual(success.findtext(f"{{{ns.SASL2}}}authorization-identifier"), full)
        with self.assertRaisesRegex(ClientFailed, "conflict"):
            while True:
                await bounded(again.next())
        self.assertEqual(self.server.unexpectedLines, [])

    async def test_carbons(self) -> None:
        """Carbons are copies from the first stanza on; another tag of the same client replaces its session, too."""
        phone, _success = await self.logIn(AGENT + SESSION)
        laptop, _ = await self.logIn("<bind xmlns='urn:xmpp:bind:0'/>")
        laptop.send("<message to='juliet@localhost' type='chat'><body>hello</body></message>")
        copy = await bounded(phone.until(lambda e: e.find(f"{{{ns.CARBONS}}}sent") is not None))
        self.assertIn("hello", etree.tostring(copy, encoding="unicode"))
        await self.logIn(AGENT + SESSION.replace("Awesome", "Other"))
        with self.assertRaisesRegex(ClientFailed, "conflict"):
            while True:
                await bounded(phone.next())

    async def test_refused(self) -> None:
        """A wrong password is a failure; the next try on the same stream succeeds, the third is none."""
        client = await self.send(HEADER + authenticate(AGENT + SESSION, password="wrong").decode())
        failure = await bounded(client.next())
        self.assertIsNotNone(failure.find(f"{{{ns.SASL}}}not-authorized"))
        await self.server.logged("login-failed from 127.0.0.1: not-authorized, account romeo@localhost, PLAIN")
        client.send(authenticate(SESSION).decode() + authenticate(SESSION).decode())
        self.assertEqual((await bounded(client.next())).tag, f"{{{ns.SASL2}}}success")
        with self.assertRaisesRegex(ClientFailed, "invalid-namespace|unsupported-stanza-type"):
            while True:
                await bounded(client.next())
