# Copyright (c) The muccore authors. See LICENSE for details.
"""BOSH (XEP-0124, XEP-0206) against a server, request by request, with the HTTP of the standard library."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from muccore.testing.server import RunningServer, startServer
from muccore.xmpp import ns
from tests.endtoend.boshclient import PATH, BOSHClient, textOf
from tests.endtoend.clients import isPresence, logIn
from tests.stream.bosh import RID, Answer, creation, request

_LOOPBACK: Final = "tcp:0:interface=127.0.0.1"
_SM: Final = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class BOSHTests(TestCase):
    """Requests and responses."""

    timeout = 60

    async def serve(self, **settings: dict[str, str]) -> RunningServer:
        """Start a server."""
        http = {"listen": _LOOPBACK, **settings.pop("http", {})}
        server = await startServer(reactor, os.path.abspath("server.cfg"), http=http, **settings)
        self.addCleanup(server.stop)
        self.port = server.portOf("listen", "http")
        return server

    def client(self, **headers: str) -> BOSHClient:
        """A client, which is disconnected at the end of the test."""
        client = BOSHClient(self.port, **headers)
        self.addCleanup(client.close)
        return client

    async def run_(self, test: Callable[[], Any]) -> Any:
        """Run what waits for the server in a thread."""
        return await deferToThread(test)

    async def test_longPolling(self) -> None:
        """A request waits until somebody else says something; the one before it is answered when it comes."""
        server = await self.serve()
        juliet = await logIn(self, server.port, "juliet")
        romeo = self.client()

        def login() -> str:
            address = romeo.login("romeo")
            romeo.start(romeo.next("<presence xmlns='jabber:client'/>"))
            return address

        address = await self.run_(login)
        # That of the session itself.
        self.assertEqual((await self.run_(romeo.finish)).names, ["presence"])
        await self.run_(lambda: romeo.start(romeo.next()))
        juliet.send(f"<message to='{address}' type='chat'><body>good night</body></message>")
        answer = await self.run_(romeo.finish)
        self.assertEqual((answer.names, textOf(answer, "body")), (["message"], "good night"))

        def two() -> Answer:
            other = romeo.connect()
            self.addCleanup(other.close)
            message = f"<message xmlns='jabber:client' to='{juliet.full}'><body>{{}}</body></message>"
            romeo.start(romeo.next(message.format(1)))
            romeo.start(romeo.next(message.format(2)), other)
            first = romeo.finish()
            self.answer = romeo.post(romeo.next(type="terminate"))
            self.last = romeo.finish(other)
            return first

        first = await self.run_(two)
        self.assertEqual((first.names, first.attributes), ([], {}))
        self.assertEqual([self.last.end, self.answer.attributes], ["", {}])
        bodies = [(await juliet.next()).findtext(f"{{{ns.CLIENT}}}body") for _ in range(2)]
        self.assertEqual(bodies, ["1", "2"])

    async def test_resumed(self) -> None:
        """
        A session whose client was away for too long is resumed over BOSH (XEP-0198): what came meanwhile is there.
        """
        server = await self.serve()
        juliet = await logIn(self, server.port, "juliet")
        await juliet.enter("juliet")
        romeo = self.client()

        def login() -> tuple[str, str]:
            address = romeo.login("romeo")
            enabled = romeo.ask(f"<enable {_SM} resume='true'/>")
            room = "orchard@conference.localhost/romeo"
            romeo.ask(f"<presence xmlns='jabber:client' to='{room}'><x xmlns='{ns.MUC}'/></presence>")
            # The time of inactivity is short now.
            romeo.ask(pause=1)
            return address, enabled.element[0].get("id")

        await juliet.configure()
        address, id = await self.run_(login)
        await juliet.until(isPresence)
        sessions = server.server.components.bosh  # type: ignore[union-attr]
        while len(sessions):
            await deferLater(reactor, 0.05)
        # The session is still there, without a stream.
        juliet.send(f"<message to='{address}' type='chat' id='m'><body>where are you</body></message>")

        def resume() -> Answer:
            back = self.client()
            back.authenticate("romeo")
            return back.ask(f"<resume {_SM} previd='{id}' h='1'/>")

        answer = await self.run_(resume)
        self.assertEqual(answer.names[0], "resumed")
        self.assertEqual(textOf(answer, "body"), "where are you")
        self.assertIn("{urn:xmpp:delay}delay", [each.tag for each in answer.element.iter()])
        juliet.send("<presence to='orchard@conference.localhost/juliet' id='still'><show>away</show></presence>")
        shown = await juliet.until(lambda element: element.get("id") == "still")
        self.assertEqual(shown.get("from"), "orchard@conference.localhost/juliet")

    async def test_sasl2(self) -> None:
        """SASL2 (XEP-0388) binds a resource and enables stream management inside, without a restart."""
        await self.serve(http={"trusted_proxies": "127.0.0.1"})
        client = self.client(**{"X-Forwarded-Proto": "https"})

        def login() -> Answer:
            client.create()
            return client.ask(
                f"<authenticate xmlns='{ns.SASL2}' mechanism='PLAIN'><initial-response>AHJvbWVvAHNlY3JldA=="
                f"</initial-response><bind xmlns='{ns.BIND2}'><tag>web</tag><enable {_SM} resume='true'/></bind>"
                "</authenticate>"
            )

        features = await self.run_(login)
        self.assertEqual(features.names, ["success", "features"])
        self.assertTrue(textOf(features, "authorization-identifier").startswith("romeo@localhost/web"))
        self.assertIn(f"{{{ns.STREAM_MANAGEMENT}}}enabled", [each.tag for each in features.element.iter()])

    async def test_errors(self) -> None:
        """Every error of the protocol has its condition, and for clients without a version its status code."""
        await self.serve()

        def refused(data: bytes) -> tuple[str | None, int]:
            answer = self.client().post(data)
            return answer.end, answer.code

        def errors() -> None:
            for data, condition, code in (
                (b"", "bad-request", 200), (b"<body/>", "bad-request", 200), (b"junk", "bad-request", 200),
                (creation(to="localhost", wait="x"), "bad-request", 200),
                (creation(to="localhost", wait="x", ver=None), "bad-request", 400),
                (creation(to=None), "improper-addressing", 200), (creation(to="example.com"), "host-unknown", 200),
                (creation(to=None, ver=None), "improper-addressing", 200),
                (request(RID, sid="unknown"), "item-not-found", 200),
            ):  # fmt: skip
                self.assertEqual(refused(data), (condition, code), data)
            for ver, codes in (("1.6", (200, 200, 200)), (None, (404, 400, 403))):
                for (skipped, payload, condition), code in zip(
                    ((10, "", "item-not-found"), (0, "<a>", "bad-request"), (0, "", "policy-violation")),
                    codes, strict=True,
                ):  # fmt: skip
                    client = self.client()
                    # A client that polls.
                    client.create(ver=ver, hold=0)
                    if condition == "policy-violation":
                        self.assertEqual(client.ask().attributes, {})
                    client.rid += skipped
                    answer = client.ask(payload)
                    self.assertEqual((answer.end, answer.code), (condition, code), condition)
                    self.assertEqual(client.ask().end, "item-not-found")

        await self.run_(errors)

    async def test_jumps(self) -> None:
        """IDs that jump, go back or repeat end a session, and only that."""
        await self.serve()

        def jump() -> None:
            for rid in (RID + 3, RID + (1 << 40), RID - 1, 1):
                client, other = self.client(), self.client()
                client.create()
                other.create()
                self.assertEqual(client.post(request(rid, sid=client.sid)).end, "item-not-found")
                self.assertEqual(client.ask().end, "item-not-found")
                self.assertEqual(other.ask("<x/>").end, "remote-stream-error")

        await self.run_(jump)

    async def test_many(self) -> None:
        """Hundreds of sessions from one address, on one connection, are refused above the limit."""
        server = await self.serve(limits={"connections_per_address": "10", "exempt": ""})

        def create() -> list[str | None]:
            client = BOSHClient(self.port)
            found = [client.create().end for _ in range(300)]
            client.close()
            return found

        ends = await self.run_(create)
        # The connection counts, too.
        self.assertEqual((ends.count(None), ends.count("remote-stream-error")), (9, 291))
        self.assertEqual(len(server.server.components.bosh), 9)  # type: ignore[union-attr]

    async def test_hostile(self) -> None:
        """Huge headers, bodies and slow or broken requests end their connection, and nothing else."""
        await self.serve(limits={"stanza_size": "20 KiB", "stanza_size_unauthenticated": "5 KiB"})

        def send(data: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
                connection.sendall(data)
                try:
                    return connection.recv(65536)
                except ConnectionResetError:
                    return b""

        head = b"POST /http-bind HTTP/1.1\r\nHost: localhost\r\n"

        def attack() -> None:
            for data, expected in (
                (head + b"X: x\r\n" * 200 + b"\r\n", b" 400 "),
                (head + b"Content-Length: 100000000\r\n\r\n", b" 413 "),
                (head + b"Content-Length: 30000\r\n\r\n", b" 413 "),
                (head + b"Transfer-Encoding: chunked\r\n\r\n", b" 411 "),
                (head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b" 400 "),
                (head + b"Content-Length: 4\r\nContent-Encoding: gzip\r\n\r\njunk", b" 415 "),
            ):
                self.assertIn(expected, send(data)[:20], data[:80])
            self.assertEqual(send(head + b"X: " + b"x" * 20_000 + b"\r\n\r\n"), b"")
            # What is too deep or too large is an error of its stream.
            for payload, condition in (
                ("<a>" * 1000 + "</a>" * 1000, "remote-stream-error"), ("<a>" + "<b/>" * 100, "bad-request"),
                ("<a b='" + "x" * 6000 + "'/>", "remote-stream-error"),
            ):  # fmt: skip
                client = self.client()
                client.create()
                self.assertEqual(client.ask(payload).end, condition)
            client = self.client()
            self.assertTrue(client.login("romeo"))

        await self.run_(attack)

    async def test_proxy(self) -> None:
        """Behind a trusted proxy, the addresses of clients are those that it tells."""
        server = await self.serve(http={"trusted_proxies": "127.0.0.1"})
        client = self.client(**{"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"})
        await self.run_(lambda: client.login("romeo"))
        [stream] = server.server.components.streams.streams  # type: ignore[union-attr]
        self.assertEqual((stream.address, stream.secure), ("198.51.100.7", True))

    async def test_end(self) -> None:
        """When the server ends, clients that wait are told."""
        server = await self.serve()
        client = self.client()

        def login() -> None:
            client.login("romeo")
            client.start(client.next())

        await self.run_(login)
        ending = server.stop()
        answer = await self.run_(client.finish)
        self.assertEqual((answer.end, answer.names), ("remote-stream-error", ["error"]))
        self.assertIn(b"system-shutdown", answer.data)
        await ending

    async def test_page(self) -> None:
        """Browsers get a page, and the answer to a preflight request."""
        await self.serve(http={"allowed_origins": "*"})

        def ask(method: str, **headers: str) -> http.client.HTTPResponse:
            connection = self.client().connect()
            self.addCleanup(connection.close)
            connection.request(method, PATH, headers=headers)
            return connection.getresponse()

        self.assertIn(b"BOSH", (await self.run_(lambda: ask("GET"))).read())
        response = await self.run_(lambda: ask("OPTIONS", Origin="https://chat.example.org"))
        self.assertEqual((response.status, response.getheader("Access-Control-Allow-Methods")), (204, "POST"))
