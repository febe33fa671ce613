# Copyright (c) The muccore authors. See LICENSE for details.
"""
aioxmpp clients, whose event loop runs in a thread beside the reactor.

C{make test} installs aioxmpp in a folder of its own (C{aioxmpp-requirements.txt}). Its last release works with today's
Python, lxml and pyOpenSSL except for one thing: it compares the names in a certificate by what Python and pyOpenSSL
have removed. L{Verifier} does that, at the place that aioxmpp has for it.

What aioxmpp does not have (archives, retraction, the form of registrations) is declared here, as it wants it declared.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from service_identity.pyopenssl import verify_hostname

from muccore.xmpp import ns
from tests.endtoend.slixmppthread import ROOM, AsyncioThread

INSTALLED = Path(sys.prefix) / "aioxmpp"

if str(INSTALLED) not in sys.path:
    # Last: what muccore needs is taken from where muccore's packages are.
    sys.path.append(str(INSTALLED))

import aioxmpp  # noqa: E402
import aioxmpp.connector  # noqa: E402
import aioxmpp.ibr  # noqa: E402
import aioxmpp.misc  # noqa: E402
import aioxmpp.muc.xso  # noqa: E402
import aioxmpp.rsm.xso  # noqa: E402
import aioxmpp.security_layer  # noqa: E402
from aioxmpp import xso  # noqa: E402
from aioxmpp.forms import Data, DataType, Field  # noqa: E402


class Retract(xso.XSO):
    """C{<retract/>} (XEP-0424)."""

    TAG = (ns.RETRACT, "retract")
    id_ = xso.Attr("id", default=None)
    reason = xso.ChildText((ns.RETRACT, "reason"), default=None)


class Retracted(xso.XSO):
    """C{<retracted/>} (XEP-0424)."""

    TAG = (ns.RETRACT, "retracted")


@aioxmpp.IQ.as_payload_class
class Moderate(xso.XSO):
    """C{<moderate/>} (XEP-0425)."""

    TAG = (ns.MODERATE, "moderate")
    id_ = xso.Attr("id")
    reason = xso.ChildText((ns.MODERATE, "reason"), default=None)
    retract = xso.Child([Retract])


@aioxmpp.IQ.as_payload_class
class Query(xso.XSO):
    """C{<query/>} (XEP-0313)."""

    TAG = (ns.MAM, "query")
    queryid = xso.Attr("queryid", default=None)
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Fin(xso.XSO):
    """C{<fin/>} (XEP-0313)."""

    TAG = (ns.MAM, "fin")
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


class Result(xso.XSO):
    """C{<result/>} (XEP-0313)."""

    TAG = (ns.MAM, "result")
    id_ = xso.Attr("id")
    queryid = xso.Attr("queryid", default=None)
    forwarded = xso.Child([aioxmpp.misc.Forwarded])


aioxmpp.Message.retract = xso.Child([Retract])
aioxmpp.Message.retracted = xso.Child([Retracted])
aioxmpp.Message.archived = xso.Child([Result])
aioxmpp.ibr.Query.form = xso.Child([Data])


class Verifier(aioxmpp.security_layer.CertificateVerifier):
    """Trusts what OpenSSL trusts, for the name of the domain."""

    def verify_callback(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Check the chain."""
        return bool(ok)

    async def post_handshake(self, transport: Any) -> None:
        """Check the name."""
        verify_hostname(transport.get_extra_info("ssl_object"), transport.get_extra_info("server_hostname"))


class Person:
    """
    A client. Everything here runs in the loop's thread.

    @ivar client: aioxmpp's.
    @ivar rooms: its service for XEP-0045.
    @ivar inside: the room, as aioxmpp knows it, once entered.
    """

    inside: Any

    def __init__(self, asyncioThread: AsyncioThread, name: str, port: int, certificate: str) -> None:
        """@param name: the user, whose nick is the same with a capital letter."""
        self.nick = name.capitalize()
        # aioxmpp drops results of what a lost connection has ended, which asyncio would log.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

        def context() -> Any:
            made = aioxmpp.security_layer.default_ssl_context()
            made.load_verify_locations(certificate)
            return made

        layer = aioxmpp.make_security_layer(f"{name}'s", ssl_context_factory=context)
        layer = layer._replace(certificate_verifier_factory=Verifier)
        jid = aioxmpp.JID.fromstr(f"{name}@localhost/aioxmpp")
        self.client = aioxmpp.PresenceManagedClient(jid, layer)
        self.connectTo(port)
        asyncioThread.clients.append(self)
        self.rooms = self.client.summon(aioxmpp.MUCClient)
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.presences: asyncio.Queue[Any] = asyncio.Queue()
        self._signals: dict[str, asyncio.Queue[tuple[tuple[Any, ...], dict[str, Any]]]] = {}
        self.client.stream.app_inbound_message_filter.register(self._came(self.received), 0)
        self.client.stream.app_inbound_presence_filter.register(self._came(self.presences), 0)
        self.catch(self.rooms, "on_muc_invitation")

    def connectTo(self, port: int) -> None:
        """Set where it connects, also by itself after a failure."""
        self.client.override_peer = [("127.0.0.1", port, aioxmpp.connector.STARTTLSConnector())]

    async def logIn(self) -> None:
        """Connect, log in and become available."""
        established = self.client.on_stream_established.future()
        failed = self.client.on_failure.future()
        self.client.presence = aioxmpp.PresenceState(True)
        await asyncio.wait({established, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
        failed.cancel()

    def abort(self) -> None:
        """Disconnect."""
        self.client.stop()

    @staticmethod
    def _came(queue: asyncio.Queue[Any]) -> Callable[[Any], Any]:
        def keep(stanza: Any) -> Any:
            queue.put_nowait(stanza)
            return stanza

        return keep

    def catch(self, source: Any, *names: str) -> None:
        """Collect what signals carry, for L{next}."""
        for name in names:
            queue = self._signals[name] = asyncio.Queue()
            getattr(source, name).connect(lambda *args, queue=queue, **more: queue.put_nowait((args, more)))

    async def next(self, signal: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the next of these signals."""
        return await self._signals[signal].get()

    async def nextMessage(self, matches: Callable[[Any], Any]) -> Any:
        """Return the next message that matches; drop those before it."""
        while not matches(message := await self.received.get()):
            pass
        return message

    async def nextRoomPresence(self, matches: Callable[[Any], Any]) -> Any:
        """Return the C{<x/>} of the next presence from a room in which it matches; drop those before it."""
        while True:
            x = (await self.presences.get()).xep0045_muc_user
            if x is not None and matches(x):
                return x

    async def enter(self, nick: str | None = None) -> set[int]:
        """Enter the room; return the status codes."""
        self.inside, entered = self.rooms.join(aioxmpp.JID.fromstr(ROOM), nick or self.nick)
        self.catch(
            self.inside, "on_muc_enter", "on_message", "on_topic_changed", "on_leave", "on_exit", "on_nick_changed",
            "on_muc_role_changed", "on_muc_role_request", "on_muc_resume",
        )  # fmt: skip
        await entered
        _, more = await self.next("on_muc_enter")
        return set(more["muc_status_codes"])

    def send(self, stanza: Any) -> Awaitable[Any]:
        """Send a stanza; for requests, wait for the answer."""
        return self.client.send(stanza)

    def request(self, type: str, payload: Any) -> Awaitable[Any]:
        """Send a request to the room."""
        return self.send(aioxmpp.IQ(type_=aioxmpp.IQType(type), to=aioxmpp.JID.fromstr(ROOM), payload=payload))

    async def say(self, text: str) -> None:
        """Send a message to all."""
        message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
        message.body[None] = text
        await self.inside.send_message(message)

    async def archived(self, size: int) -> list[Any]:
        """Read the archive page by page: the messages in it."""
        found: list[Any] = []
        rsm = aioxmpp.rsm.xso.ResultSetMetadata.limit(size)
        while True:
            query = Query()
            query.rsm = rsm
            fin = await self.request("set", query)
            page = [message.archived.forwarded.stanza for message in self._taken() if message.archived]
            found += page
            if fin.complete:
                return found
            assert len(page) == size
            rsm = fin.rsm.next_page(size)

    def _taken(self) -> list[Any]:
        return [self.received.get_nowait() for _ in range(self.received.qsize())]


def textOf(message: Any) -> tuple[str, str]:
    """Return nick and text of a message; C{"retracted"} if it is a tombstone."""
    text = message.body.any() if message.body else ""
    return message.from_.resource or "", "retracted" if message.retracted else text


def submitted(**fields: str) -> Any:
    """Make a form that is submitted, with the values of its fields."""
    data = Data(DataType.SUBMIT)
    data.fields.extend(Field(type_=None, var=name, values=[value]) for name, value in fields.items())
    return data
