# Copyright (c) The muccore authors. See LICENSE for details.
"""A whole server without sockets, whose stores fail where a test wants it to."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from muccore.config import storage as places
from muccore.server import stores
from muccore.server.assembly import ServerComponents
from muccore.storage.memory import MemoryAccounts, MemoryOccupants, MemoryRooms
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryaudit import MemoryAudit
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuploads import MemoryUploads
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.doubles import ThreadlessReactor
from muccore.testing.faults import Fault, Faults, FaultyStore
from muccore.testing.inmemory import Client
from muccore.testing.server import makeSettings
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.scramkeys import HASHES, ScramKeys
from tests.stream.doubles import Address, Transport

USERS = ("romeo", "juliet", "nurse")
PASSWORD = "wherefore art thou"
ADMIN = "nurse@localhost"

_KEYS = [ScramKeys.derive(name, PASSWORD, iterations=2) for name in HASHES]

_STORES: dict[str, Any] = {
    "accounts": MemoryAccounts, "rooms": MemoryRooms, "occupants": MemoryOccupants, "archive": MemoryArchive,
    "audit": MemoryAudit, "rosters": MemoryRosters, "userdata": MemoryUserData, "uploads": MemoryUploads,
    "pubsub": MemoryPubSub,
}  # fmt: skip

_SETTINGS = makeSettings(
    server={"admins": ADMIN},
    auth={"backend": "memory:"},
    storage={"affiliations": "memory:", "archive": "memory:"},
    muc={"default_archive": "yes", "archive_retention": "30 d", "audit_retention": "30 d"},
    users={"archive": "yes", "archive_messages": "1", "archive_retention": "30 d"},
    registration={"mode": "open"},
    http={"listen": "tcp:0:interface=127.0.0.1"},
    upload={"store": "memory:", "public_url": "https://localhost"},
)


class FaultyServer:
    """
    The server.

    @ivar faults: what happens to the requests to its stores.
    @ivar inner: the stores themselves, by kind.
    @ivar clients: those that have logged in, by user.
    """

    def __init__(self, inner: dict[str, Any] | None = None, failing: Collection[str] = ()) -> None:
        """
        @param inner: the stores that another server leaves; C{None}: new ones, with accounts for L{USERS}.
        @param failing: the kinds of stores that fail at the start.
        """
        self.faults = Faults()
        self.faults.arm(Fault.FAIL, kinds=failing)
        self.inner: dict[str, Any] = {} if inner is None else inner
        self.reactor = ThreadlessReactor()
        self.reactor.advance(1_000_000_000)
        # Without a search for plugins, which takes longer than all the rest.
        with (
            mock.patch.object(stores, "makeStore", self._makeStore),
            mock.patch.object(stores, "hasScheme", lambda kind, description: True),
            mock.patch.object(places, "hasScheme", lambda kind, description: True),
        ):
            self.components = ServerComponents(_SETTINGS, self.reactor)
        self.opened: Deferred[Any] = self.components.open()
        self.settle()
        if inner is None:
            for user in USERS:
                self.addAccount(user)
        self.clients: dict[str, Client] = {}

    def _makeStore(self, kind: str, *arguments: Any) -> FaultyStore:
        if kind not in self.inner:
            make = _STORES[kind]
            self.inner[kind] = make(self.reactor) if kind == "accounts" else make()
        return FaultyStore(kind, self.inner[kind], self.faults)

    def addAccount(self, user: str, hashes: int = len(HASHES)) -> None:
        """Add an account with L{PASSWORD}, and keys for so many hashes."""
        self.inner["accounts"]._keys[f"{user}@localhost"] = {key.hashName: key for key in _KEYS[:hashes]}

    def settle(self) -> None:
        """Let everything that is due within a moment happen."""
        due = self.reactor.seconds() + 0.1
        while any(call.getTime() <= due for call in self.reactor.getDelayedCalls()):
            self.reactor.advance(0.01)

    def client(self, user: str) -> Client:
        """The client of a user; it is logged in, and available, if it was not."""
        if user not in self.clients:
            client = self.clients[user] = Client(f"{user}@localhost/r")
            sessions = self.components.sessions
            client.endings = sessions.endings
            full = jid.parse(client.address)
            client.session = sessions.bind(full.bareJID(), full.resource, client)
            self.send(user, f"<iq type='get' id='roster'><query xmlns='{ns.ROSTER}'/></iq>", "<presence/>")
        return self.clients[user]

    def send(self, user: str, *stanzas: str) -> None:
        """Let a user send stanzas, one after the other."""
        client = self.client(user)
        for each in stanzas:
            client.sends(each)
            self.settle()

    def connect(self) -> tuple[Any, Transport]:
        """Open a connection; return the stream and what records what is sent there."""
        stream = self.components.streams.buildProtocol(Address("192.0.2.1"))
        transport = Transport()
        stream.makeConnection(transport)
        return stream, transport

    def received(self) -> dict[str, list[str]]:
        """Summaries of what everybody has received since the last call; without those who have received nothing."""
        found = {user: [summary(each) for each in client.received()] for user, client in self.clients.items()}
        return {user: lines for user, lines in found.items() if lines}

    def stored(self) -> dict[str, str]:
        """What the stores have, by kind."""
        return {kind: repr(_content(store)) for kind, store in self.inner.items()}


def _content(store: Any) -> dict[str, Any]:
    return {name: plain(value) for name, value in vars(store).items() if isinstance(value, (dict, list))}


def plain(value: Any) -> Any:
    """A value with everything that is in it, whatever its C{repr} leaves out."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, Rendered):
        return value.head + value.tail
    return plain(vars(value)) if hasattr(value, "__dict__") else value


def summary(stanza: Element) -> str:
    """A stanza in one line: what matters whether something was done."""
    words = [stanza.name, stanza.get("type") or "-", f"from={stanza.get('from')}"]
    condition = conditionOf(stanza)
    if condition is not None:
        error = stanza.child("error")
        assert error is not None
        return " ".join([*words, condition, error.attributes["type"]])
    for child in stanza.childElements():
        words.append(child.name)
        words += [f"{inner.name}={inner.get('code') or inner.get('affiliation')}" for inner in child.childElements()
                  if inner.name in ("status", "item")]  # fmt: skip
    return " ".join(words)
