# Copyright (c) The muccore authors. See LICENSE for details.
"""slixmpp clients, whose loop runs in a thread beside the reactor."""

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

from tests.endtoend.serverprocess import PATIENCE

ROOM = "orchard@conference.localhost"

_T = TypeVar("_T")


class AsyncioSide:
    """A loop of asyncio in a thread of its own."""

    def __init__(self, test: TestCase) -> None:
        """@param test: the loop ends with it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncio", daemon=True)
        self._thread.start()
        self.people: list[Slixmpp] = []
        # It logs every refusal as an error, and here many are wanted.
        logger = logging.getLogger("slixmpp")
        test.patch(logger, "handlers", [logging.NullHandler()])
        test.patch(logger, "propagate", False)
        test.addCleanup(self._end)

    def run(self, story: Coroutine[Any, Any, _T]) -> Deferred[_T]:
        """Run a coroutine of asyncio."""
        result: Deferred[_T] = Deferred()

        async def bounded() -> None:
            threads: Any = reactor
            try:
                async with asyncio.timeout(PATIENCE):
                    told = await story
            except BaseException:
                threads.callFromThread(result.errback, Failure())
            else:
                threads.callFromThread(result.callback, told)

        asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        return result

    async def _endAll(self) -> None:
        for person in self.people:
            person.abort()
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
    A person with slixmpp. Everything here runs in the loop's thread.

    @ivar heard: what has been said in rooms and has not been taken yet.
    @ivar seen: presences from rooms that have not been taken yet.
    @ivar outcome: how the log-in went: C{session_start}, C{failed_all_auth} or C{no_auth}.
    @ivar failures: the conditions of refused log-ins.
    """

    def __init__(self, side: AsyncioSide, user: str, password: str, mechanism: str | None = None) -> None:
        """@param mechanism: the only SASL mechanism to be used; the best one unless given."""
        super().__init__(f"{user}@localhost/slixmpp", password, sasl_mech=mechanism)
        side.people.append(self)
        self.register_plugin("xep_0045")
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.seen: asyncio.Queue[Any] = asyncio.Queue()
        self.outcome: asyncio.Future[str] = self.loop.create_future()
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self.failures: list[str] = []
        self.streamErrors: list[str] = []
        for event in ("session_start", "failed_all_auth", "no_auth", "connection_failed", "disconnected"):
            self.add_event_handler(event, lambda _, event=event: self._came(event))
        self.add_event_handler("disconnected", lambda _: self.gone.done() or self.gone.set_result(None))
        self.add_event_handler("failed_auth", lambda failure: self.failures.append(failure["condition"]))
        self.add_event_handler("stream_error", lambda error: self.streamErrors.append(error["condition"]))
        self.add_event_handler("groupchat_message", self.heard.put_nowait)
        self.add_event_handler("groupchat_presence", self.seen.put_nowait)

    def _came(self, event: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(event)

    async def logIn(
        self, port: int, certificate: str, direct: bool = False, version: ssl.TLSVersion | None = None
    ) -> str:
        """
        Connect and log in, believing in nothing but the certificate.

        @param direct: with TLS from the first byte on, else with STARTTLS.
        @param version: the highest version of TLS.
        @return: how it went.
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
        """XEP-0045 as slixmpp has it."""
        return self["xep_0045"]

    async def hears(self) -> tuple[str, str]:
        """The next that is said in a room: by whom, and what."""
        message = await self.heard.get()
        return message["from"].resource, message["body"]

    async def sees(self, nick: str, kind: str) -> Any:
        """The next presence of somebody, of a kind such as C{unavailable}."""
        while True:
            presence = await self.seen.get()
            if presence["from"].resource == nick and presence["type"] == kind:
                return presence


def statuses(presence: Any) -> set[int]:
    """The status codes of a room's presence."""
    return set(presence["muc"]["status_codes"])
