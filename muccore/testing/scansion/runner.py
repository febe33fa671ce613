# -*- test-case-name: tests.testing.test_scansion_runner -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Performing a script against a server.

There are two modes. B{Lenient}, for scripts from elsewhere: the stanzas of a block (one C{receives} directly after
another of the same client) may come in any order, those that nobody expects yet are held for later blocks, and what
is left at the end does not matter. B{Exact}: each client's next stanza has to be the expected one, and nothing may
be left over.

Whether something is left over is found out without waiting for time to pass: the stage is I{settled} by two rounds
of pings. In the first, every client pings its server and every bare address that it has sent anything to. Since one
sender's stanzas are handled in order (RFC 6120 §10.1), a client's answers say that all it has sent has been handled,
also by a room that had to wait for its store, and that what came of it is on its way to everyone. In the second
round every client pings its server again: answers do not overtake what is on the same stream already, so that after
them everything has come. What a server does later of its own accord (a timer) is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lxml import etree
from twisted.internet import defer, error
from twisted.internet.defer import Deferred

from muccore import jid
from muccore.testing.scansion.client import STREAM_ERROR, Client, ClientFailed, connect
from muccore.testing.scansion.compare import Comparison, Rules, assign, compare
from muccore.testing.scansion.language import (
    Action,
    Connects,
    Disconnects,
    Receives,
    ReceivesNothing,
    Script,
    Sends,
    askedOf,
)
from muccore.testing.scansion.options import RunOptions, ScenarioFailed, ScriptClient, StepFailed, show, showAll

_T = TypeVar("_T")

def _fitting(compared: Sequence[Sequence[Comparison]]) -> Callable[[int, int], bool]:
    return lambda i, j: compared[i][j].difference is None


def blocks(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """
    Cut actions into blocks: one C{receives} directly after another of the same client belongs to its block, unless
    it needs what that one captures.
    """
    block: list[Action] = []
    for action in actions:
        if block:
            last = block[-1]
            together = isinstance(action, Receives) and isinstance(last, Receives) and action.name == last.name
            captured = {name for before in block if isinstance(before, Receives) for name in before.markup.captures}
            if not together or (isinstance(action, Receives) and action.markup.uses & captured):
                yield block
                block = []
        block.append(action)
    if block:
        yield block


class _Run:
    """
    One performance of one script.
    """

    def __init__(self, reactor: Any, script: Script, options: RunOptions) -> None:
        self.reactor = reactor
        self.script = script
        self.options = options
        self.roles = {name: ScriptClient(character) for name, character in script.characters.items()}
        self.captured: dict[str, str] = {}
        self.line = 1

    async def run(self) -> None:
        try:
            for block in blocks(self.script.actions):
                self.line = block[0].line
                await self.perform(block)
            if self.options.exact:
                await self.settle()
                for role in self.roles.values():
                    self.nothingLeft(role)
            await self.clear()
        except StepFailed as failure:
            raise ScenarioFailed(f"{self.script.source}:{failure.line}: {failure.what}") from None
        finally:
            for client in self.clients():
                client.abort()
                await client.closed()

    def clients(self) -> list[Client]:
        """
        The connections that are there.
        """
        return [role.client for role in self.roles.values() if role.client is not None and role.client.lost is None]

    async def bounded(self, waiting: Deferred[_T], what: str) -> _T:
        """
        Wait no longer than the play is to wait.
        """

        def late(_: object, timeout: float) -> _T:
            raise StepFailed(self.line, f"{what} took more than {timeout:g} s")

        return await waiting.addTimeout(self.options.timeout, self.reactor, late)

    async def perform(self, block: Sequence[Action]) -> None:
        action = block[0]
        role = self.roles[action.name]
        if isinstance(action, Connects):
            await self.connect(role)
        elif isinstance(action, Disconnects):
            await self.disconnect(role)
        elif isinstance(action, Sends):
            self.send(role, action)
        elif isinstance(action, ReceivesNothing):
            await self.receiveNothing(role)
        else:
            receives = [each for each in block if isinstance(each, Receives)]
            if self.options.exact:
                await self.receiveInOrder(role, receives)
            else:
                await self.receiveAll(role, receives)
        if role.client is not None:
            role.seen = role.client.count

    # Coming and going

    async def connect(self, role: ScriptClient) -> None:
        name, character = role.character.name, role.character
        if role.client is not None:
            if role.client.lost is None and not role.endExpected:
                raise StepFailed(self.line, f"{name} is connected already")
            await self.bounded(role.client.closed(), f"the end of {name}'s earlier connection")
        role.left = role.endExpected = False
        role.sentTo.clear()
        options = self.options
        try:
            role.client = await connect(
                self.reactor, character.host or options.host, character.port or options.port, options.timeout
            )
            await self.bounded(
                Deferred.fromCoroutine(role.client.login(character, options.tls)), f"{name}'s log-in"
            )
        except (ClientFailed, error.ConnectError, error.DNSLookupError) as e:
            raise StepFailed(self.line, f"{name} cannot connect: {e}") from None
        role.full = role.client.full

    async def disconnect(self, role: ScriptClient) -> None:
        client = role.onStage(self.line)
        if self.options.exact:
            await self.settle()
            self.nothingLeft(role)
            await self.bounded(client.close(), f"the server's end of {role.character.name}'s stream")
        else:
            await self.leave(client)
        role.client = None
        role.left = True

    async def leave(self, client: Client) -> None:
        """
        End a stream, with patience that ends.
        """
        waiting = client.close()
        waiting.addTimeout(self.options.timeout, self.reactor, lambda *_: None)
        await waiting
        client.abort()
        await client.closed()

    async def clear(self) -> None:
        """
        Everybody leaves.
        """
        await defer.gatherResults([Deferred.fromCoroutine(self.leave(client)) for client in self.clients()])

    # Saying something

    def lookup(self, variable: str) -> str:
        """
        The value of a variable of the script.
        """
        for name, role in self.roles.items():
            wanted = askedOf(name, variable)
            if wanted is None:
                continue
            if wanted == "JID":
                return role.character.jid
            if wanted == "bare JID":
                return role.character.address.bare
            if wanted == "username":
                return role.character.address.local
            if not role.full:
                raise StepFailed(self.line, f"{name} has not connected yet and has no {wanted}")
            return role.full if wanted == "full JID" else role.full.partition("/")[2]
        if variable not in self.captured:
            raise StepFailed(self.line, f"nothing has been captured as {variable!r}")
        return self.captured[variable]

    def send(self, role: ScriptClient, action: Sends) -> None:
        if role.left and not self.options.exact:
            # There are scripts that go on speaking behind the stage.
            return
        client = role.onStage(action.line)
        if client.lost is not None:
            raise StepFailed(action.line, f"{action.name} cannot send: {client.lost}")
        for stanza in action.markup.stanzas(self.lookup):
            try:
                role.sentTo.add(jid.parse(str(stanza.get("to", ""))).bare)
            except jid.InvalidJID:
                # Nobody is there who could be asked later whether it has been handled; the server itself has.
                continue
        client.send(action.markup.written(self.lookup))

    # Hearing something

    async def arrival(self, client: Client, deadline: float) -> bool:
        """
        Wait until something comes. False if the time is over or nothing can come any more.
        """
        remaining = deadline - self.reactor.seconds()
        if client.lost is not None or remaining <= 0:
            return False
        before = client.count
        waiting = client.changed()
        waiting.addTimeout(remaining, self.reactor, lambda *_: None)
        await waiting
        return client.count > before

    def silence(self, role: ScriptClient, client: Client) -> str:
        """
        Why nothing (more) has come.
        """
        if client.lost is not None:
            return client.lost
        return f"nothing more came within {self.options.timeout:g} s"

    async def receiveInOrder(self, role: ScriptClient, receives: Sequence[Receives]) -> None:
        """
        The next stanzas are those, one after the other.
        """
        client = role.onStage(self.line)
        name = role.character.name
        for action in receives:
            deadline = self.reactor.seconds() + self.options.timeout
            for line, expected in zip(action.markup.lines, action.markup.stanzas(self.lookup), strict=True):
                self.line = line
                while not client.stanzas:
                    if not await self.arrival(client, deadline):
                        raise StepFailed(
                            line, f"{name} expected\n{show(expected)}\n  but {self.silence(role, client)}"
                        )
                received = client.stanzas.popleft()
                comparison = compare(expected, received, Rules.EXACT, self.addresses(role))
                if comparison.difference is not None:
                    raise StepFailed(
                        line,
                        f"{name} expected\n{show(expected)}\n  but next came\n{show(received)}\n"
                        f"  first difference: {comparison.difference}",
                    )
                self.captured.update(comparison.captures)
                role.endExpected = received.tag == STREAM_ERROR

    def addresses(self, role: ScriptClient) -> tuple[str, str]:
        """
        What may stand in C{to} of a stanza for that client.
        """
        return role.full, role.full.partition("/")[0]

    async def receiveAll(self, role: ScriptClient, receives: Sequence[Receives]) -> None:
        """
        All of those come, in whatever order, and others may come between them.
        """
        client = role.onStage(self.line)
        wanted = [
            (line, stanza)
            for action in receives
            for line, stanza in zip(action.markup.lines, action.markup.stanzas(self.lookup), strict=True)
        ]
        deadline = self.reactor.seconds() + self.options.timeout
        while True:
            held = list(client.stanzas)
            compared = [[compare(stanza, each, self.options.rules) for each in held] for _, stanza in wanted]
            places = assign(len(wanted), len(held), _fitting(compared))
            if None not in places:
                break
            if not await self.arrival(client, deadline):
                missing = places.index(None)
                line, stanza = wanted[missing]
                raise StepFailed(line, self.missed(role, client, stanza, set(places)))
        for i, place in enumerate(places):
            if place is not None:
                self.captured.update(compared[i][place].captures)
                role.endExpected = role.endExpected or held[place].tag == STREAM_ERROR
        client.stanzas.clear()
        client.stanzas.extend(each for j, each in enumerate(held) if j not in places)

    def missed(self, role: ScriptClient, client: Client, stanza: etree._Element, taken: set[int | None]) -> str:
        """
        What to say when an expected stanza has not come.
        """
        others = [each for j, each in enumerate(client.stanzas) if j not in taken]
        text = (
            f"{role.character.name} expected\n{show(stanza)}\n  but {self.silence(role, client)}; what came and was "
            f"not expected before:\n{showAll(reversed(others))}"
        )
        # The newest one of the same kind and from the same sender is the one that was meant, most likely.
        alike = [each for each in others if each.tag == stanza.tag]
        alike.sort(key=lambda each: each.get("from") == stanza.get("from"))
        if alike:
            text += f"\n  first difference to the nearest: {compare(stanza, alike[-1], self.options.rules).difference}"
        return text

    async def receiveNothing(self, role: ScriptClient) -> None:
        client = role.onStage(self.line)
        await self.settle()
        if self.options.exact:
            self.nothingLeft(role)
        elif client.count > role.seen:
            news = list(client.stanzas)[role.seen - client.count :]
            raise StepFailed(self.line, f"{role.character.name} expected nothing, but there came\n{showAll(news)}")

    def nothingLeft(self, role: ScriptClient) -> None:
        """
        @raise StepFailed: if a client has got something that the script has not spoken of.
        """
        if role.client is None:
            return
        if role.client.stanzas:
            raise StepFailed(
                self.line,
                f"{role.character.name} got what the play does not expect (up to here):\n"
                f"{showAll(role.client.stanzas)}",
            )
        if role.client.lost is not None and not role.endExpected:
            raise StepFailed(self.line, f"{role.character.name} was to stay, but {role.client.lost}")

    async def settle(self) -> None:
        """
        Wait until everything that was sent has been handled and what came of it has come.
        """
        here = [role for role in self.roles.values() if role.client is not None]
        await self.round([(role, role.sentTo | {role.character.address.domain}) for role in here])
        await self.round([(role, {role.character.address.domain}) for role in here])

    async def round(self, pings: Iterable[tuple[ScriptClient, Iterable[str]]]) -> None:
        """
        One round of pings. Who is gone does not answer, and will get nothing either.
        """
        waiting = [
            role.client.ping(to).addErrback(lambda failure: failure.trap(ClientFailed))
            for role, addresses in pings
            if role.client is not None
            for to in sorted(addresses)
        ]
        await self.bounded(
            defer.gatherResults(waiting, consumeErrors=True), "settling (the answers to pings after the last step)"
        )


def perform(reactor: Any, script: Script, options: RunOptions) -> Deferred[None]:
    """
    Perform a script.

    @param reactor: for connections and time.
    @return: fires when everybody has left; fails with L{ScenarioFailed}.
    """
    return Deferred.fromCoroutine(_Run(reactor, script, options).run())
