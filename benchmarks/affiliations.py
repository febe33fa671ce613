# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
CPU time of a change of an affiliation, in rooms with few and with many members: C{python -m benchmarks.affiliations}.

An owner in the room makes members admins and back, one after the other; each change is durable in SQLite before it is
answered. It is the time of the whole process, without sockets.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from benchmarks.failure import BenchmarkFailed
from muccore.interfaces import Affiliate, RoomRecord
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

ROOM: Final = "room@conference.localhost"
OWNER: Final = "owner@localhost"
CHANGED: Final = 10
"""Members who are changed in turn."""

_PRINTED: Final = "{:<64}{:>12}"


class _Owner(Client):
    """A client that waits for answers."""

    _awaited: tuple[bytes, Deferred[bytes]] | None = None

    def until(self, part: bytes) -> Deferred[bytes]:
        """Return the next stanza in which something stands."""
        waiting: Deferred[bytes] = Deferred()
        self._awaited = (part, waiting)
        return waiting

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream<muccore.interfaces.IStream>}."""
        data = stanza.addressed(to)
        if self._awaited is not None and self._awaited[0] in data:
            waiting, self._awaited = self._awaited[1], None
            waiting.callback(data)


async def measure(reactor: Any, members: int, changes: int) -> float:
    """The CPU time of one change in a room of so many members, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteRooms(FilePath(folder).child("rooms.db"), reactor)
        server = InMemoryServer(store)
        affiliates = {f"user{n}@localhost": Affiliate("member") for n in range(members)}
        await store.save(ROOM, RoomRecord({"persistent": True}, {OWNER: Affiliate("owner"), **affiliates}))
        owner = _Owner(f"{OWNER}/r")
        account = parse(OWNER)
        owner.session = server.sessions.bind(account, "r", owner)
        entered = owner.until(b"<subject")
        owner.sends(f"<presence to='{ROOM}/owner'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await entered

        async def change(n: int) -> None:
            affiliation = "member" if n // CHANGED % 2 else "admin"
            answered = owner.until(b"<iq")
            owner.sends(
                f"<iq type='set' id='c{n}' to='{ROOM}'><query xmlns='{ns.MUC_ADMIN}'>"
                f"<item jid='user{n % min(CHANGED, members)}@localhost' affiliation='{affiliation}'/></query></iq>"
            )
            answer = await answered
            if b" type='result'" not in answer:
                raise BenchmarkFailed(f"a change was refused: {answer.decode()}")

        for n in range(2 * CHANGED):
            await change(n)
        begun = time.process_time()
        for n in range(changes):
            await change(n)
        spent = time.process_time() - begun
        await store.close()
    return spent / changes


async def run(reactor: Any, sizes: Sequence[int], changes: int) -> None:
    """Print all figures."""
    for members in sizes:
        spent = await measure(reactor, members, changes)
        print(_PRINTED.format(f"a change in a room of {members} members", f"{spent * 1e6:.0f} µs"))


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.affiliations", description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[10, 100_000], help="sizes of rooms (10 100000)")
    parser.add_argument("--changes", type=int, default=500, help="changes to measure (500)")
    options = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, options.members, options.changes)))


if __name__ == "__main__":
    main(sys.argv[1:])
