# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.webservice}, with a web service on loopback."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external.webservice import WebServiceAuth, isLoopback, makeWebServiceAuth
from muccore.testing.contracts import AuthBackendContract
from tests.certificates import makeCertificate

PASSWORDS = {("juliet", "localhost"): "r0m30:&", ("romeo", "localhost"): "jül1et %+"}
JULIET = "juliet@localhost"


class Service(Resource):
    """
    A web service of accounts; what else it does, passwords say.

    @ivar requests: method, path, header C{Authorization} and parameters of each request.
    @ivar transports: the connection of each request.
    @ivar gone: fires when the client has ended a connection without an answer.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[bytes, bytes, str | None, dict[str, str]]] = []
        self.transports: list[Any] = []
        self.gone: Deferred[None] = Deferred()

    def render(self, request: Any) -> Any:
        """Answer."""
        parameters = {name.decode(): value.decode() for name, (value,) in request.args.items()}
        path = request.path
        self.transports.append(request.transport)
        self.requests.append((request.method, path, request.getHeader("Authorization"), parameters))
        known = PASSWORDS.get((parameters["user"], parameters["server"]))
        password = parameters.get("pass", "")
        if path == b"/xmpp/user_exists":
            return b"true" if known else b"false"
        if path != b"/xmpp/check_password":
            request.setResponseCode(404)
            return b"true"
        if password.isdigit():
            request.setResponseCode(int(password))
            request.setHeader("Location", "/xmpp/user_exists")
            return b"true" * 1000
        if password == "silent":
            request.notifyFinish().addErrback(lambda _: self.gone.callback(None))
            return NOT_DONE_YET
        if password == "endless":
            request.notifyFinish().addErrback(lambda _: self.gone.callback(None))
            request.write(b"t" * 200)
            return NOT_DONE_YET
        if password == "cut":
            request.setHeader("Content-Length", "100")
            request.write(b"true")
            request.transport.loseConnection()
            return NOT_DONE_YET
        if password == "garbage":
            return b"yes"
        return b"true\n" if known == password else b"false"


class ServedTests(TestCase):
    """A web service, and what asks it."""

    timeout = 60

    def serve(self, service: Service, certificate: tuple[str, str] | None = None, port: int = 0) -> Any:
        """Serve on a free port, or on this one; with TLS if there is a certificate and its key."""
        site = Site(service)
        listen: Any = reactor
        if certificate is None:
            listening = listen.listenTCP(port, site, interface="127.0.0.1")
        else:
            context = DefaultOpenSSLContextFactory(certificate[1], certificate[0])
            listening = listen.listenSSL(port, site, context, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        return listening

    async def opened(self, url: str, *options: str) -> WebServiceAuth:
        """Open a backend for a description."""
        scheme, _, rest = url.partition(":")
        accounts = makeWebServiceAuth(scheme, "\n".join((rest, *options)), FilePath(os.getcwd()), reactor)
        accounts.probe()
        await accounts.open()
        self.addCleanup(accounts.close)
        return accounts


class WebServiceTests(ServedTests):
    """L{WebServiceAuth}"""

    def setUp(self) -> None:
        """Serve."""
        self.service = Service()
        self.port = self.serve(self.service)
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/xmpp/"

    async def test_post(self) -> None:
        """Names and passwords are parameters of a POST, and not in the address, which services log."""
        accounts = await self.opened(self.url)
        self.assertIs(await accounts.checkPassword("romeo@localhost", "jül1et %+"), True)
        self.assertIs(await accounts.checkPassword(JULIET, "wrong"), False)
        self.assertIs(await accounts.hasAccount(JULIET), True)
        self.assertIs(await accounts.hasAccount("tybalt@localhost"), False)
        self.assertEqual(
            self.service.requests[0],
            (b"POST", b"/xmpp/check_password", None, {"user": "romeo", "server": "localhost", "pass": "jül1et %+"}),
        )
        self.assertEqual(
            self.service.requests[-1],
            (b"POST", b"/xmpp/user_exists", None, {"user": "tybalt", "server": "localhost"}),
        )

    async def test_get(self) -> None:
        """They are in the query of a GET, as Prosody asks, if that is wanted; with credentials of the server."""
        FilePath("credentials").setContent(b"muccore:s3cret\n")
        accounts = await self.opened(self.url, "method = get", "credentials = credentials")
        self.assertIs(await accounts.checkPassword("romeo@localhost", "jül1et %+"), True)
        method, _, authorization, parameters = self.service.requests[0]
        self.assertEqual((method, authorization), (b"GET", "Basic bXVjY29yZTpzM2NyZXQ="))
        self.assertEqual(parameters["pass"], "jül1et %+")

    async def test_noAnswer(self) -> None:
        """Other answers than C{true} and C{false} are none, and redirects are not followed."""
        accounts = await self.opened(self.url)
        for password, reason in (
            ("500", "status 500, not 200"), ("302", "status 302"), ("401", "status 401"), ("404", "status 404"),
            ("garbage", "neither true nor false"), ("endless", "more than 64 bytes"), ("cut", "cut off"),
        ):  # fmt: skip
            with self.assertRaisesRegex(StoreUnavailable, reason):
                await accounts.checkPassword(JULIET, password)
        await self.service.gone
        self.assertEqual({path for _, path, _, _ in self.service.requests}, {b"/xmpp/check_password"})
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)

    async def test_silent(self) -> None:
        """An answer has a limited time; then the connection ends."""
        accounts = await self.opened(self.url, "timeout = 0.5")
        with self.assertRaisesRegex(StoreUnavailable, "within 0.5 s"):
            await accounts.checkPassword(JULIET, "silent")
        await self.service.gone

    async def test_cancelled(self) -> None:
        """What is cancelled is not asked any more, and no failure."""
        accounts = await self.opened(self.url, "connections = 1")
        asked = accounts.checkPassword(JULIET, "silent")
        waiting = accounts.checkPassword(JULIET, "waiting")
        while not self.service.requests:
            await deferLater(reactor, 0.01)
        for each in (waiting, asked):
            each.cancel()
            with self.assertRaises(CancelledError):
                await each
        await self.service.gone
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)
        self.assertEqual(len(self.service.requests), 2)

    async def test_downAndBack(self) -> None:
        """While nobody listens there is no answer; connections that were kept do not hinder the next."""
        accounts = await self.opened(self.url)
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)
        port = self.port.getHost().port
        await self.port.stopListening()
        self.service.transports[0].abortConnection()
        with self.assertRaisesRegex(StoreUnavailable, "refused"):
            await accounts.checkPassword(JULIET, "r0m30:&")
        self.serve(self.service, port=port)
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)

    async def test_keptConnections(self) -> None:
        """Connections are kept; one that the service has closed meanwhile is replaced."""
        accounts = await self.opened(self.url, "connections = 1")
        for _ in range(2):
            self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)
        transports = self.service.transports
        self.assertIs(transports[0], transports[1])
        transports[0].abortConnection()
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)
        self.assertEqual(len(self.service.requests), 3)

    async def test_concurrent(self) -> None:
        """No more than the configured connections are used at once."""
        accounts = await self.opened(self.url, "connections = 2")
        asked = [accounts.checkPassword(JULIET, "r0m30:&" if n % 2 else "wrong") for n in range(20)]
        self.assertEqual(await gatherResults(asked), [bool(n % 2) for n in range(20)])


class TLSTests(ServedTests):
    """L{WebServiceAuth} under TLS."""

    async def test_verified(self) -> None:
        """The certificate must be trusted, and for the name in the address."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        certificate = makeCertificate(folder, ["localhost"])
        service = Service()
        port = self.serve(service, certificate).getHost().port
        accounts = await self.opened(f"https://localhost:{port}/xmpp", f"ca = {certificate[0]}")
        self.assertIs(await accounts.checkPassword(JULIET, "r0m30:&"), True)
        for url, options in (
            (f"https://localhost:{port}/xmpp", ()),
            (f"https://127.0.0.1:{port}/xmpp", (f"ca = {certificate[0]}",)),
        ):
            accounts = await self.opened(url, *options)
            with self.assertRaises(StoreUnavailable):
                await accounts.checkPassword(JULIET, "r0m30:&")
        self.assertEqual(len(service.requests), 1)


class DescriptionTests(SynchronousTestCase):
    """L{makeWebServiceAuth}"""

    def test_refused(self) -> None:
        """Passwords go over the network under TLS only, and secrets stand in files."""
        for url, problem in (
            ("http://auth.example.org/x", "use https://auth.example.org/x"), ("http://10.0.0.1/", "clear text"),
            ("https:", "needs an address"), ("https:///x", "needs an address"), ("https://a.b:x/", "needs an address"),
            ("https://a b/", "needs an address"), ("https://ä.example/", "needs an address"),
            ("https://a:s3cret@example.org/", "credentials = PATH"), ("https://example.org/?a=b", "no user, query"),
        ):  # fmt: skip
            scheme, _, rest = url.partition(":")
            with self.assertRaisesRegex(BadDescription, problem) as caught:
                makeWebServiceAuth(scheme, rest, FilePath("/"), reactor)
            self.assertNotIn("s3cret", str(caught.exception))
        for url in ("http://localhost:8080/x", "http://127.0.0.5/x", "http://[::1]:8080", "https://example.org"):
            scheme, _, rest = url.partition(":")
            self.assertEqual(makeWebServiceAuth(scheme, rest, FilePath("/"), reactor).place, url)

    def test_probe(self) -> None:
        """The preflight finds files that are missing."""
        for option in ("ca", "credentials"):
            accounts = makeWebServiceAuth("https", f"//example.org\n{option} = missing", FilePath("/"), reactor)
            with self.assertRaisesRegex(StoreUnavailable, "^/missing: it cannot be read"):
                accounts.probe()
        empty = FilePath(self.mktemp())
        empty.setContent(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")
        accounts = makeWebServiceAuth("https", f"//example.org\nca = {empty.path}", FilePath("/"), reactor)
        with self.assertRaisesRegex(StoreUnavailable, "no certificate"):
            accounts.probe()

    def test_loopback(self) -> None:
        """What is this machine."""
        found = [isLoopback(host) for host in ("localhost", "127.1.2.3", "::1", "10.0.0.1", "localhost.example.org")]
        self.assertEqual(found, [True, True, True, False, False])


class ContractTests(AuthBackendContract, ServedTests):
    """The contract."""

    def setUp(self) -> None:
        """Serve."""
        super().setUp()
        self.port = self.serve(Service())

    def makeStore(self, place: FilePath[str]) -> WebServiceAuth:
        """See L{AuthBackendContract}."""
        return makeWebServiceAuth("http", f"//127.0.0.1:{self.port.getHost().port}/xmpp", place, reactor)
