# -*- test-case-name: tests.testing.test_scansion_runner -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Running a script against a server.

There are two modes. B{Lenient}, for scripts from elsewhere: the stanzas of a block (consecutive C{receives} of one
client) may arrive in any order, unexpected ones are kept for later blocks, and what is left at the end is ignored.
B{Exact}: each client's next stanza has to be the expected one, and nothing may be left over.

Leftovers are found without waiting: two rounds of pings I{synchronize} the clients with the server. In the first,
every client pings its server and every bare address that it has sent to. As one sender's stanzas are processed in order
(RFC 6120 §10.1), the answers prove that everything sent has been processed, also by a room that waited for its store,
and that its results are on their way. In the second round every client pings its server again: these answers cannot
overtake what is already on the stream. What a server does later of its own accord (a timer) is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lxml import etree
from twisted.internet import defer, error
from twisted.internet.defer import Deferred

from muccore.testing.scansion.client import STREAM_ERROR, Client, ClientFailed, connect
from muccore.testing.scansion.compare import Rules, assign, compare
from muccore.testing.scansion.language import (
    Action,
    Connects,
    Disconnects,
    Position,
    Receives,
    ReceivesNothing,
    Script,
    Sends,
    requestedProperty,
)
from muccore.testing.scansion.options import RunOptions, ScenarioFailed, ScriptClient, show, showAll
from muccore.xmpp import jid

_T = TypeVar("_T")


def blocks(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """Group consecutive C{receives} of one client into blocks, unless one needs what the block captures."""
    block: list[Action] = []
    captured: frozenset[str] = frozenset()
    for action in actions:
        together = isinstance(action, Receives) and not action.markup.uses & captured
        if block and not (together and isinstance(block[-1], Receives) and action.name == block[-1].name):
            yield block
            block, captured = [], frozenset()
        block.append(action)
        if isinstance(action, Receives):
            captured |= action.markup.captures
    if block:
        yield block


class _Run:
    """One run of one script; C{position} is that of the current step."""

    def __init__(self, reactor: Any, script: Script, options: RunOptions) -> None:
        self.reactor = reactor
        self.script = script
        self.options = options
        self.clients = {name: ScriptClient(definition) for name, definition in script.clients.items()}
        self.captured: dict[str, str] = {}
        self.position = Position(script.source, 1)

    async def run(self) -> None:
        try:
            for block in blocks(self.script.actions):
                self.position = block[0].position
                await self.perform(block)
            if self.options.exact:
                await self.synchronize()
                for client in self.clients.values():
                    self.checkNothingLeft(client)
            leaving = [Deferred.fromCoroutine(self.leave(connection)) for connection in self.connections()]
            await defer.gatherResults(leaving)
        finally:
            for connection in self.connections():
                connection.abort()
                await connection.closed()

    def connections(self) -> list[Client]:
        """Return the open connections."""
        everyone = [client.connection for client in self.clients.values()]
        return [connection for connection in everyone if connection is not None and connection.lost is None]

    def failed(self, what: str) -> ScenarioFailed:
        """Return the failure of the current step."""
        return ScenarioFailed(self.position, what)

    async def bounded(self, waiting: Deferred[_T], what: str) -> _T:
        """Wait no longer than the timeout."""

        def late(_: object, timeout: float) -> _T:
            raise self.failed(f"{what} took more than {timeout:g} s")

        return await waiting.addTimeout(self.options.timeout, self.reactor, late)

    async def perform(self, block: Sequence[Action]) -> None:
        action = block[0]
        client = self.clients[action.name]
        if isinstance(action, Connects):
            await self.connect(client)
        elif isinstance(action, Disconnects):
            await self.disconnect(client)
        elif isinstance(action, Sends):
            self.send(client, action)
        elif isinstance(action, ReceivesNothing):
            await self.receiveNothing(client)
        else:
            expected = [
                (position, stanza)
                for each in block
                if isinstance(each, Receives)
                for position, stanza in zip(each.markup.positions, each.markup.stanzas(self.lookup), strict=True)
            ]
            receive = self.receiveInOrder if self.options.exact else self.receiveAll
            await receive(client, client.connected(self.position), expected)
        if client.connection is not None:
            client.seen = client.connection.count

    # Connecting and disconnecting

    async def connect(self, client: ScriptClient) -> None:
        definition, options = client.definition, self.options
        if client.connection is not None:
            if client.connection.lost is None and not client.endExpected:
                raise self.failed(f"{client.name} is already connected")
            await self.bounded(client.connection.closed(), f"the end of {client.name}'s earlier connection")
        client.left = client.endExpected = False
        client.sentTo.clear()
        host, port = definition.host or options.host, definition.port or options.port
        try:
            if options.websocket:
                # Imported here, as it needs a package that only tests need.
                from muccore.testing.scansion import websocket

                client.connection = await websocket.connect(self.reactor, host, port, options.timeout, options.tls)
            else:
                client.connection = await connect(self.reactor, host, port, options.timeout)
            loggingIn = Deferred.fromCoroutine(client.connection.login(definition, options.tls))
            await self.bounded(loggingIn, f"{client.name}'s login")
        except (ClientFailed, error.ConnectError, error.DNSLookupError) as e:
            raise self.failed(f"{client.name} cannot connect: {e}") from None
        client.full = client.connection.full

    async def disconnect(self, client: ScriptClient) -> None:
        connection = client.connected(self.position)
        if self.options.exact:
            await self.synchronize()
            self.checkNothingLeft(client)
            await self.bounded(connection.close(), f"the server's end of {client.name}'s stream")
        else:
            await self.leave(connection)
        client.connection = None
        client.left = True

    async def leave(self, connection: Client) -> None:
        """Close a stream; drop the connection if the server does not close it in time."""
        waiting = connection.close()
        waiting.addTimeout(self.options.timeout, self.reactor, lambda *_: None)
        await waiting
        connection.abort()
        await connection.closed()

    # Sending

    def lookup(self, variable: str) -> str:
        """Return the value of a variable."""
        for name, client in self.clients.items():
            wanted = requestedProperty(name, variable)
            if wanted is None:
                continue
            if wanted == "JID":
                return client.definition.jid
            if wanted == "bare JID":
                return client.definition.address.bare
            if wanted == "username":
                return client.definition.address.local
            if not client.full:
                raise self.failed(f"{name} has not connected yet and has no {wanted}")
            return client.full if wanted == "full JID" else client.full.partition("/")[2]
        if variable not in self.captured:
            raise self.failed(f"nothing has been captured as {variable!r}")
        return self.captured[variable]

    def send(self, client: ScriptClient, action: Sends) -> None:
        if client.left and not self.options.exact:
            # There are scripts whose clients go on sending after they have disconnected.
            return
        connection = client.connected(self.position)
        if connection.lost is not None:
            raise self.failed(f"{client.name} cannot send: {connection.lost}")
        for stanza in action.markup.stanzas(self.lookup):
            try:
                client.sentTo.add(jid.parse(str(stanza.get("to", ""))).bare)
            except jid.InvalidJID:
                # Only the server itself handles it, and that is pinged anyway.
                continue
        connection.send(action.markup.written(self.lookup))

    # Receiving

    async def arrival(self, connection: Client, deadline: float) -> bool:
        """Wait until something arrives. Return false if time is up or the connection is lost."""
        remaining = deadline - self.reactor.seconds()
        if connection.lost is not None or remaining <= 0:
            return False
        before = connection.count
        waiting = connection.changed()
        waiting.addTimeout(remaining, self.reactor, lambda *_: None)
        await waiting
        return connection.count > before

    def silence(self, connection: Client) -> str:
        """Explain why nothing (more) has arrived."""
        return connection.lost or f"nothing more arrived within {self.options.timeout:g} s"

    async def receiveInOrder(
        self, client: ScriptClient, connection: Client, expected: Sequence[tuple[Position, etree._Element]]
    ) -> None:
        """Check that the next stanzas are the expected ones, in order."""
        deadline = self.reactor.seconds() + self.options.timeout
        addresses = (client.full, client.full.partition("/")[0])
        for self.position, stanza in expected:
            while not connection.stanzas:
                if not await self.arrival(connection, deadline):
                    raise self.failed(f"{client.name} expected\n{show(stanza)}\n  but {self.silence(connection)}")
            received = connection.stanzas.popleft()
            comparison = compare(stanza, received, Rules.EXACT, addresses)
            if comparison.difference is not None:
                raise self.failed(
                    f"{client.name} expected\n{show(stanza)}\n  but received\n{show(received)}\n"
                    f"  first difference: {comparison.difference}"
                )
            self.captured.update(comparison.captures)
            client.endExpected = received.tag == STREAM_ERROR

    async def receiveAll(
        self, client: ScriptClient, connection: Client, expected: Sequence[tuple[Position, etree._Element]]
    ) -> None:
        """Wait until all expected stanzas have arrived, in any order and with others between them."""
        deadline = self.reactor.seconds() + self.options.timeout
        while True:
            held = list(connection.stanzas)
            compared = [[compare(stanza, each, self.options.rules) for each in held] for _, stanza in expected]
            fits = [[comparison.difference is None for comparison in row] for row in compared]
            found = assign(fits)
            if None not in found:
                break
            if not await self.arrival(connection, deadline):
                self.position, stanza = expected[found.index(None)]
                others = [each for j, each in enumerate(held) if j not in found]
                raise self.failed(self.missing(client.name, self.silence(connection), stanza, others))
        for i, place in enumerate(found):
            if place is not None:
                self.captured.update(compared[i][place].captures)
                client.endExpected = client.endExpected or held[place].tag == STREAM_ERROR
        connection.stanzas.clear()
        connection.stanzas.extend(each for j, each in enumerate(held) if j not in found)

    def missing(self, name: str, why: str, stanza: etree._Element, others: Sequence[etree._Element]) -> str:
        """Describe an expected stanza that has not arrived."""
        text = f"{name} expected\n{show(stanza)}\n  but {why}; unexpected so far:\n{showAll(others[::-1])}"
        # Most likely the newest one of the same kind and from the same sender was meant.
        alike = [each for each in others if each.tag == stanza.tag]
        alike.sort(key=lambda each: each.get("from") == stanza.get("from"))
        if alike:
            text += f"\n  first difference to the nearest: {compare(stanza, alike[-1], self.options.rules).difference}"
        return text

    async def receiveNothing(self, client: ScriptClient) -> None:
        connection = client.connected(self.position)
        await self.synchronize()
        if self.options.exact:
            self.checkNothingLeft(client)
        elif connection.count > client.seen:
            news = list(connection.stanzas)[client.seen - connection.count :]
            raise self.failed(f"{client.name} expected nothing, but received\n{showAll(news)}")

    def checkNothingLeft(self, client: ScriptClient) -> None:
        """Check that a client is connected, unless expected otherwise, and has received nothing unexpected."""
        connection = client.connection
        if connection is None:
            return
        if connection.stanzas:
            raise self.failed(f"{client.name} got, unexpected up to here:\n{showAll(list(connection.stanzas))}")
        if connection.lost is not None and not client.endExpected:
            raise self.failed(f"{client.name} should have stayed connected, but {connection.lost}")

    async def synchronize(self) -> None:
        """Wait until everything sent has been processed and its results have arrived."""
        here = [client for client in self.clients.values() if client.connection is not None]
        await self.ping((client, client.sentTo | {client.definition.address.domain}) for client in here)
        await self.ping((client, {client.definition.address.domain}) for client in here)

    async def ping(self, addresses: Iterable[tuple[ScriptClient, set[str]]]) -> None:
        """Do one round of pings. A client whose connection is lost gets no answer, and will receive nothing either."""
        waiting = [
            client.connection.ping(to).addErrback(lambda failure: failure.trap(ClientFailed))
            for client, targets in addresses
            if client.connection is not None
            for to in sorted(targets)
        ]
        await self.bounded(
            defer.gatherResults(waiting, consumeErrors=True), "synchronizing (the answers to pings after the last step)"
        )


async def run(reactor: Any, script: Script, options: RunOptions) -> None:
    """Run a script until all clients have disconnected; L{ScenarioFailed} if anything differs from it."""
    await _Run(reactor, script, options).run()
