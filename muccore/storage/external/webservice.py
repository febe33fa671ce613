# -*- test-case-name: tests.storage.external.test_webservice -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{https:} and C{http:}, accounts that a web service knows, asked as Prosody's C{mod_auth_http} and MongooseIM ask it.

Below the configured address it has C{check_password} and C{user_exists}, with the parameters C{user}, C{server} and
C{pass}; it answers with status 200 and C{true} or C{false}. Every other answer is none.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
    _HTTP11ClientFactory,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external.backend import ExternalAuth
from muccore.storage.external.options import StoreOption, choice, integer, parseDescription, path, readSecret, seconds

BODY_LIMIT: Final = 64
"""Bytes of an answer."""

IDLE_TIME: Final = 60
"""Seconds for which a connection without requests is kept."""

_ANSWERS: Final = {b"true": True, b"false": False}
_REASON_LIMIT: Final = 200
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_OPTIONS: Final = (
    StoreOption("method", choice(post=b"POST", get=b"GET"), b"POST"),
    StoreOption("timeout", seconds(0.1, 60), 10.0),
    StoreOption("connections", integer(1, 64), 4),
    StoreOption("credentials", path, None),
    StoreOption("ca", path, None),
)


class _QuietFactory(_HTTP11ClientFactory):
    """Logs no line for each connection."""

    noisy = False


@implementer(IBodyProducer)
class _Form:
    """The body of a request, written at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """See C{IBodyProducer}."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """See C{IBodyProducer}; nothing is left to do."""

    resumeProducing = stopProducing = pauseProducing


class _Body(Protocol):
    """
    Collects an answer.

    @ivar done: fires with it; cancelled, it ends the connection.
    """

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._received = b""

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            (getattr(transport, "abortConnection", None) or transport.loseConnection)()

    def dataReceived(self, data: bytes) -> None:
        """See C{Protocol}."""
        self._received += data
        if len(self._received) > BODY_LIMIT and not self.done.called:
            self.done.errback(StoreUnavailable(f"its answer has more than {BODY_LIMIT} bytes"))
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See C{Protocol}."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss) is not None:
            self.done.callback(self._received)
        else:
            self.done.errback(StoreUnavailable("its answer was cut off"))


class WebServiceAuth(ExternalAuth):
    """Asks a web service."""

    def __init__(self, url: str, options: Any, reactor: Any) -> None:
        """
        @param url: its address, to which the names of what is asked are appended.
        @param options: the values of the options.
        """
        super().__init__(url, reactor)
        self._reactor = reactor
        self._base = url.rstrip("/")
        self._method: bytes = options["method"]
        self._timeout: float = options["timeout"]
        self._connections: int = options["connections"]
        self._credentials: FilePath[str] | None = options["credentials"]
        self._ca: FilePath[str] | None = options["ca"]
        self._turns = DeferredSemaphore(self._connections)
        self._headers = Headers({b"User-Agent": [b"muccore"]})
        self._pool: HTTPConnectionPool | None = None
        self._agent: Agent | None = None

    def probe(self) -> None:
        """Check the files that are needed. See L{IStore<muccore.interfaces.IStore>}."""
        self._policy()
        self._authorization()

    def _policy(self) -> BrowserLikePolicyForHTTPS:
        trusted = platformTrust() if self._ca is None else trustRootFromCertificates(loadCertificates(self._ca))
        return BrowserLikePolicyForHTTPS(trusted)

    def _authorization(self) -> list[bytes]:
        if self._credentials is None:
            return []
        return [b"Basic " + b64encode(readSecret(self._credentials).encode("utf-8"))]

    async def _begin(self) -> None:
        self._headers.setRawHeaders(b"Authorization", self._authorization())
        pool = self._pool = HTTPConnectionPool(self._reactor)
        pool.maxPersistentPerHost = self._connections
        pool.cachedConnectionTimeout = IDLE_TIME
        pool.retryAutomatically = False
        pool._factory = _QuietFactory
        # It follows no redirects: a password goes nowhere else.
        self._agent = Agent(self._reactor, self._policy(), connectTimeout=self._timeout, pool=pool)

    async def _end(self) -> None:
        if self._pool is not None:
            await self._pool.closeCachedConnections()

    async def _check(self, user: str, host: str, password: str) -> bool:
        return await self._ask("check_password", {"user": user, "server": host, "pass": password})

    async def _exists(self, user: str, host: str) -> bool:
        return await self._ask("user_exists", {"user": user, "server": host})

    async def _ask(self, what: str, parameters: dict[str, str]) -> bool:
        encoded = urlencode(parameters, quote_via=quote).encode("ascii")
        asking = Deferred.fromCoroutine(self._inTurn(f"{self._base}/{what}".encode("ascii"), encoded))
        late = []

        def stop() -> None:
            late.append(True)
            asking.cancel()

        timer = self._reactor.callLater(self._timeout, stop)
        try:
            return await asking
        except (CancelledError, StoreUnavailable):
            if late:
                raise StoreUnavailable(f"it has not answered within {self._timeout:g} s") from None
            raise
        finally:
            if timer.active():
                timer.cancel()

    async def _inTurn(self, url: bytes, parameters: bytes) -> bool:
        await self._turns.acquire()
        try:
            try:
                return await self._fetch(url, parameters)
            except ResponseNeverReceived as e:
                _raiseIfCancelled(e)
                # The service has closed a connection that was kept. Asking once more changes nothing.
                return await self._fetch(url, parameters)
        except (CancelledError, StoreUnavailable):
            raise
        except Exception as e:
            _raiseIfCancelled(e)
            raise StoreUnavailable(_reason(e)) from None
        finally:
            self._turns.release()

    async def _fetch(self, url: bytes, parameters: bytes) -> bool:
        assert self._agent is not None
        headers, body = self._headers, None
        if self._method == b"GET":
            url += b"?" + parameters
        else:
            headers = headers.copy()
            headers.setRawHeaders(b"Content-Type", [b"application/x-www-form-urlencoded"])
            body = _Form(parameters)
        response: IResponse = await self._agent.request(self._method, url, headers, body)
        collected = _Body()
        response.deliverBody(collected)
        if response.code != 200:
            collected.done.addErrback(lambda _: None)
            collected.done.cancel()
            raise StoreUnavailable(f"it answers with status {response.code}, not 200")
        answer = _ANSWERS.get((await collected.done).strip())
        if answer is None:
            raise StoreUnavailable("it answers neither true nor false")
        return answer


def _reasons(error: Exception) -> list[Failure]:
    return list(getattr(error, "reasons", ()))


def _raiseIfCancelled(error: Exception) -> None:
    if any(each.check(CancelledError) for each in _reasons(error)):
        raise CancelledError from None


def _reason(error: Exception) -> str:
    """Describe an error of the connection, whose first reason says most; it does not contain the request."""
    reasons = _reasons(error) if isinstance(error, ResponseFailed) else []
    text = reasons[0].getErrorMessage() if reasons else str(error)
    return " ".join(text.split())[:_REASON_LIMIT] or type(error).__name__


def loadCertificates(file: FilePath[str]) -> list[Certificate]:
    """
    Load certificates in PEM.

    @raise StoreUnavailable: if there are none.
    """
    try:
        found = [Certificate.loadPEM(pem) for pem in _PEM.findall(file.getContent())]
    except OSError as e:
        raise StoreUnavailable(f"{file.path}: it cannot be read ({e.strerror}); check its path and mode") from None
    except Exception:
        found = []
    if not found:
        raise StoreUnavailable(f"{file.path}: no certificate in PEM is in it")
    return found


def isLoopback(host: str) -> bool:
    """Whether a host is this machine, by its address or as C{localhost}."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def makeWebServiceAuth(scheme: str, argument: str, base: FilePath[str], reactor: Any) -> WebServiceAuth:
    """
    Make the backend for a description (L{muccore.storage.factory.StoreFactory}).

    @param scheme: C{https} or C{http}.
    """
    place, options = parseDescription(scheme, argument, base, _OPTIONS)
    url = f"{scheme}:{place}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError:
        host = port = None
    if not host or port == 0 or any(character.isspace() for character in url):
        raise BadDescription(f"{scheme}: needs an address, as in {scheme}://auth.example.org/xmpp")
    if parts.username is not None or parts.query or parts.fragment:
        text = "an address has no user, query or fragment; a name and password go into a file, credentials = PATH"
        raise BadDescription(f"{scheme}: {text}")
    if scheme == "http" and not isLoopback(host):
        raise BadDescription(f"http: passwords go over the network in clear text; use https://{parts.netloc}{parts.path}")
    return WebServiceAuth(url, options, reactor)
