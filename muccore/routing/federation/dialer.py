# -*- test-case-name: tests.routing.federation.test_dialer -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Opens streams to other servers: finds them, connects to one, and lets it negotiate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces.federation import ILink, ILinkOwner, IPeerStream, LinkPurpose
from muccore.log.logger import Logger
from muccore.net.connecting import ConnectFailed, makeTransport, race
from muccore.net.connection import BoundedConnection
from muccore.net.serverdns import NotFound, Target
from muccore.stream.s2s.outgoing import NOT_FOUND, TIMEOUT, OutgoingFactory

_log = Logger()


class Resolver(Protocol):
    """Finds servers and their addresses: L{muccore.net.serverdns.ServerDNS}."""

    async def targets(self, domain: str) -> list[Target]:
        """See L{ServerDNS.targets<muccore.net.serverdns.ServerDNS.targets>}."""

    async def addresses(self, host: str) -> list[str]:
        """See L{ServerDNS.addresses<muccore.net.serverdns.ServerDNS.addresses>}."""


class _Failed(Exception):
    """Opening a stream has failed: the condition, why, and whether the peer had answered."""


@implementer(ILinkOwner)
class _Attempt:
    """
    A stream to one server, for the owner of all attempts.

    @ivar done: fires once it is open, or the question is answered.
    """

    def __init__(self, owner: ILinkOwner) -> None:
        self._owner = owner
        self.stream: Any = None
        self.done: Deferred[None] = Deferred(self._cancelled)

    def _cancelled(self, done: Deferred[None]) -> None:
        transport = None if self.stream is None else self.stream.transport
        if transport is not None:
            transport.abortConnection()

    def streamOpened(self, stream: IPeerStream, language: str | None, isBidirectional: bool) -> ILink:
        """See L{ILinkOwner.streamOpened}."""
        link = self._owner.streamOpened(stream, language, isBidirectional)
        self._finish()
        return link

    def streamFailed(self, condition: str, why: str, answered: bool) -> None:
        """See L{ILinkOwner.streamFailed}."""
        if not self.done.called:
            self.done.errback(_Failed(condition, why, answered))

    def keyVerified(self, id: str, type: str) -> None:
        """See L{ILinkOwner.keyVerified}."""
        self._owner.keyVerified(id, type)
        self._finish()

    def _finish(self) -> None:
        if not self.done.called:
            self.done.callback(None)


class Dialer:
    """
    Opens streams.

    @ivar resolver: finds servers.
    @ivar routes: the servers of domains that are not looked up.
    @ivar timeout: seconds for opening a stream.
    """

    def __init__(
        self, reactor: Any, factory: OutgoingFactory, transport: type[BoundedConnection], resolver: Resolver,
        routes: Mapping[str, Sequence[Target]], timeout: float,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._factory = factory
        self._transport = transport
        self.resolver = resolver
        self.routes = routes
        self.timeout = timeout

    def open(self, purpose: LinkPurpose, owner: ILinkOwner) -> Deferred[None]:
        """
        Open a stream; the owner is told the outcome, in a later turn.

        @return: fires after that. If it is cancelled, the owner is not told.
        """
        opening = Deferred.fromCoroutine(self._open(purpose, owner))
        opening.addTimeout(self.timeout, self._reactor, onTimeoutCancel=self._timedOut)

        def failed(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, CancelledError):
                return
            if not isinstance(error, _Failed):
                _log.failure("Opening a stream to another server failed", failure)
                error = _Failed(TIMEOUT, "this server is at fault", False)
            owner.streamFailed(*error.args)

        return opening.addErrback(failed)

    @staticmethod
    def _timedOut(result: object, timeout: float) -> object:
        if isinstance(result, Failure) and result.check(CancelledError):
            raise _Failed(TIMEOUT, f"no stream within {timeout:g} s", False)
        return result

    async def _open(self, purpose: LinkPurpose, owner: ILinkOwner) -> None:
        # The owner is never told inside this call.
        await deferLater(self._reactor, 0)
        targets = self.routes.get(purpose.remote)
        if targets is None:
            try:
                targets = await self.resolver.targets(purpose.remote)
            except NotFound as e:
                raise _Failed(NOT_FOUND, str(e), False) from None
        error = _Failed(NOT_FOUND, "it has no server", False)
        for target in targets:
            try:
                await self._tryTarget(target, purpose, owner)
                return
            except _Failed as e:
                error = e
                if e.args[2]:
                    break
        raise error

    async def _tryTarget(self, target: Target, purpose: LinkPurpose, owner: ILinkOwner) -> None:
        if target.direct and not self._factory.canEncrypt(purpose.local):
            raise _Failed(TIMEOUT, "there is no certificate for TLS here", False)
        try:
            addresses = await self.resolver.addresses(target.host)
        except NotFound as e:
            raise _Failed(NOT_FOUND, str(e), False) from None
        try:
            connected = await race(self._reactor, addresses, target.port, self.timeout)
        except ConnectFailed as e:
            raise _Failed(TIMEOUT, str(e), False) from None
        attempt = _Attempt(owner)
        try:
            address = str(connected.getpeername()[0])
        except OSError:
            connected.close()
            raise _Failed(TIMEOUT, "the connection was lost", False) from None
        stream = self._factory.makeStream(address, target.direct, purpose, attempt)
        if stream is None:
            connected.close()
            raise _Failed("resource-constraint", "there are too many links", True)
        attempt.stream = stream
        makeTransport(connected, stream, self._transport, self._reactor)
        await attempt.done
