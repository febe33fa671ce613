# Copyright (c) The muccore authors. See LICENSE for details.
"""slixmpp clients, whose event loop runs in a thread beside the reactor."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from slixmpp import ClientXMPP
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.endtoend.serverprocess import TIMEOUT

ROOM = "orchard@conference.localhost"

_T = TypeVar("_T")


class AsyncioThread:
    """An event loop of asyncio in a thread of its own."""

    def __init__(self, test: TestCase) -> None:
        """@param test: the loop ends with it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncio", daemon=True)
        self._thread.start()
        self.clients: list[Slixmpp] = []
        # They log refusals and lost connections as errors, and here many are wanted.
        for name in ("slixmpp", "aioxmpp"):
            logger = logging.getLogger(name)
            test.patch(logger, "handlers", [logging.NullHandler()])
            test.patch(logger, "propagate", False)
        test.addCleanup(self._end)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> Deferred[_T]:
        """Run a coroutine of asyncio."""
        result: Deferred[_T] = Deferred()

        async def bounded() -> None:
            threads: Any = reactor
            try:
                async with asyncio.timeout(TIMEOUT):
                    value = await coroutine
            except BaseException:
                threads.callFromThread(result.errback, Failure())
            else:
                threads.callFromThread(result.callback, value)

        asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        return result

    async def _endAll(self) -> None:
        for client in self.clients:
            client.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    async def _end(self) -> None:
        await self.run(self._endAll())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await deferToThread(self._thread.join)
        self._loop.close()


class Slixmpp(ClientXMPP):
    """
    A slixmpp client. Everything here runs in the loop's thread.

    @ivar received: messages from rooms that have not been taken yet.
    @ivar presences: presences from rooms that have not been taken yet.
    @ivar outcome: of the login: C{session_start}, C{failed_all_auth} or C{no_auth}.
    @ivar failures: the conditions of refused logins.
    """

    def __init__(self, asyncioThread: AsyncioThread, user: str, password: str, mechanism: str | None = None) -> None:
        """
        @param user: a user of C{localhost}, or a bare JID.
        @param mechanism: the only SASL mechanism to use; C{None}: the best one.
        """
        jid = user if "@" in user else f"{user}@localhost"
        super().__init__(f"{jid}/slixmpp", password, sasl_mech=mechanism)
        asyncioThread.clients.append(self)
        self.register_plugin("xep_0045")
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.presences: asyncio.Queue[Any] = asyncio.Queue()
        self.outcome: asyncio.Future[str] = self.loop.create_future()
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self.failures: list[str] = []
        self.streamErrors: list[str] = []
        for event in ("session_start", "failed_all_auth", "no_auth", "connection_failed", "disconnected"):
            self.add_event_handler(event, lambda _, event=event: self._came(event))
        self.add_event_handler("disconnected", lambda _: self.gone.done() or self.gone.set_result(None))
        self.add_event_handler("failed_auth", lambda failure: self.failures.append(failure["condition"]))
        self.add_event_handler("stream_error", lambda error: self.streamErrors.append(error["condition"]))
        self.add_event_handler("groupchat_message", self.received.put_nowait)
        self.add_event_handler("groupchat_presence", self.presences.put_nowait)

    def _came(self, event: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(event)

    async def logIn(
        self, port: int, certificate: str, direct: bool = False, version: ssl.TLSVersion | None = None
    ) -> str:
        """
        Connect and log in, trusting this certificate only; return the C{outcome}.

        @param direct: use direct TLS instead of STARTTLS.
        @param version: the highest version of TLS.
        """
        self.enable_direct_tls, self.enable_starttls = direct, not direct
        self.ca_certs = Path(certificate)
        self.ssl_context.check_hostname = True
        if version is not None:
            self.ssl_context.maximum_version = version
        self.connect("127.0.0.1", port)
        return await self.outcome

    @property
    def room(self) -> Any:
        """The plugin for XEP-0045."""
        return self["xep_0045"]

    async def nextMessage(self) -> tuple[str, str]:
        """Return nick and body of the next message in a room."""
        message = await self.received.get()
        return message["from"].resource, message["body"]

    async def nextPresence(self, nick: str, type: str) -> Any:
        """Return the next presence of this nick and type."""
        while True:
            presence = await self.presences.get()
            if presence["from"].resource == nick and presence["type"] == type:
                return presence


def statuses(presence: Any) -> set[int]:
    """Return the status codes of a room's presence."""
    return set(presence["muc"]["status_codes"])
