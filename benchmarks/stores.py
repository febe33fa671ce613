# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Requests a second that stores answer, and the CPU time of this process for one:
C{python -m benchmarks.stores sqlite: memory: postgresql://USER@HOST/DATABASE}.

Each is measured one by one, where the next request is made when the last is answered, and in groups that are requested
at once. Of C{sqlite:}, databases are in a temporary folder, as is the journal of an archive in PostgreSQL. What is
stored in a database must not be needed: rooms, accounts and archives of the benchmark stay there.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from benchmarks.archive import makeItems
from muccore.interfaces import Affiliate, RoomChange, RoomRecord, RosterChange, RosterItem
from muccore.storage.registry import makeStore

GROUP: Final = 100

_PRINTED: Final = "{:<36}{:>12}{:>12}{:>16}{:>12}"


async def rate(request: Callable[[int], Deferred[Any]], count: int, group: int) -> tuple[str, str]:
    """Make numbered requests; return how many were answered in a second, and the CPU time of one."""
    begun, started = time.process_time(), time.perf_counter()
    for first in range(0, count, group):
        await gatherResults([request(n) for n in range(first, min(first + group, count))])
    elapsed, spent = time.perf_counter() - started, time.process_time() - begun
    return f"{count / elapsed:,.0f}/s", f"{spent / count * 1e6:,.0f} µs"


async def report(name: str, request: Callable[[int], Deferred[Any]], count: int) -> None:
    """Print the rates of a request."""
    await rate(request, GROUP, GROUP)
    print(_PRINTED.format(name, *await rate(request, count, 1), *await rate(request, 4 * count, GROUP)), flush=True)


def described(kind: str, store: str) -> str:
    """The description of the store of a kind, for that of all."""
    if store == "sqlite:":
        return f"sqlite:{kind}.db"
    if kind == "archive" and store.startswith("postgresql:") and "journal=" not in store:
        return f"{store}{'&' if '?' in store else '?'}journal=journal"
    return store


async def measure(reactor: Any, store: str, sizes: Sequence[int], count: int) -> None:
    """Print the rates of a store."""
    # Another run may have left something.
    run = secrets.token_hex(4)
    with tempfile.TemporaryDirectory() as folder:

        async def opened(kind: str) -> Any:
            made: Any = makeStore(kind, described(kind, store), FilePath(folder), reactor)
            await made.open()
            return made

        rooms = await opened("rooms")
        for size in sizes:
            room = f"{run}-{size}@rooms.example"
            members = {f"user{n}@example": Affiliate("member") for n in range(size)}
            await rooms.save(room, RoomRecord({}, members))
            change = lambda n, room=room, size=size: rooms.change(
                room, RoomChange({f"user{n % size}@example": Affiliate("member" if n // size % 2 else "admin")})
            )
            await report(f"affiliations, {size} members", change, count)
        await rooms.close()
        rosters = await opened("rosters")
        item = RosterItem("Juliet")
        await report(
            "contacts of an account",
            lambda n: rosters.change(f"{run}@example", RosterChange("e", n, 0, {f"{n % 50}@example": item})),
            count,
        )
        await rosters.close()
        accounts = await opened("accounts")
        await accounts.create(f"{run}@example", "secret")
        await report("keys for a log-in", lambda n: accounts.scramKeys(f"{run}@example", "SHA-256"), count)
        await accounts.close()
        archive = await opened("archive")
        items = makeItems(GROUP + 5 * count, GROUP)

        def append(number: int) -> Deferred[Any]:
            appending: Deferred[Any] = archive.append(f"{run}@rooms.example", [next(items)])
            if not appending.called and (number % GROUP == GROUP - 1 or alone[0]):
                # Which has it written at once.
                archive.metadata(f"{run}@rooms.example")
            return appending

        alone = [False]
        await rate(append, GROUP, GROUP)
        alone[0] = True
        one = await rate(append, count, 1)
        alone[0] = False
        many = await rate(append, 4 * count, GROUP)
        print(_PRINTED.format("messages for an archive", *one, *many), flush=True)
        await archive.close()


async def run(reactor: Any, stores: Sequence[str], sizes: Sequence[int], count: int) -> None:
    """Print all rates."""
    for store in stores:
        print(_PRINTED.format(store.partition(":")[0], "one by one", "", f"{GROUP} at once", ""))
        await measure(reactor, store, sizes, count)


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("stores", nargs="*", default=["sqlite:", "memory:"], help="descriptions (sqlite: memory:)")
    parser.add_argument("--members", type=int, nargs="+", default=[10, 100_000], help="sizes of rooms (10 100000)")
    parser.add_argument("--requests", type=int, default=500, help="requests of each kind, one by one (500)")
    options = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, options.stores, options.members, options.requests)))


if __name__ == "__main__":
    main(sys.argv[1:])
