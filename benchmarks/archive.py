# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Time of message archives: C{python -m benchmarks.archive}.

It is in SQLite, or with C{--store postgresql://USER@HOST/DATABASE} in PostgreSQL. Fills an archive through the store,
as rooms do, and then requests pages of it. CPU time is that of this process; a database elsewhere has its own, so there
is the elapsed time, too.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from muccore.interfaces import ArchiveItem, ArchiveQuery, IArchiveStore
from muccore.storage.registry import makeStore
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.uniqueids import randomIds

ROOM: Final = "room@conference.localhost"
PEOPLE: Final = 300
WORDS: Final = 30_000
"""The size of the vocabulary, in which the frequency of a word is inverse to its rank."""

_PRINTED: Final = "{:<64}{:>12}{:>12}"

Times = tuple[float, float]
"""CPU time and elapsed time, in seconds."""


def makeItems(count: int, group: int) -> Iterator[ArchiveItem]:
    """
    Make messages a second apart, of three to ten words.

    @param group: how many at a time have ids as rooms make them in a moment.
    """
    source = random.Random(1)
    vocabulary = [f"word{n}" for n in range(WORDS)]
    weights = [1 / (n + 1) for n in range(WORDS)]
    place = 0
    ids = randomIds(lambda: float(place // group))
    for start in range(0, count, 1000):
        chosen = iter(source.choices(vocabulary, weights, k=10_000))
        for n in range(start, min(start + 1000, count)):
            place = n
            person = source.randrange(PEOPLE)
            text = " ".join([next(chosen) for _ in range(source.randint(3, 10))])
            id = next(ids)
            tail = (
                f" type='groupchat' id='{id[::-1]}' from='{ROOM}/nick{person}' xml:lang='en'><body>{text}</body>"
                f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{id * 2}'/>"
                f"<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{ROOM}'/></message>"
            )
            sender, author = f"{ROOM}/nick{person}", f"user{person}@localhost"
            yield ArchiveItem(id, n * 1_000_000, sender, author, Rendered(b"<message", tail.encode()), text)


async def fill(store: IArchiveStore, count: int, group: int) -> Times:
    """Append messages, each by a call of its own. Return the times of one."""
    spent = elapsed = 0.0
    later = makeItems(count, group)
    for start in range(0, count, 20_000):
        items = [next(later) for _ in range(min(20_000, count - start))]
        begun, started = time.process_time(), time.perf_counter()
        for first in range(0, len(items), group):
            appending = [store.append(ROOM, [item]) for item in items[first : first + group]]
            # Which has them written at once.
            await store.metadata(ROOM)
            await gatherResults(appending)
        spent += time.process_time() - begun
        elapsed += time.perf_counter() - started
    return spent / count, elapsed / count


def queries(count: int) -> Iterator[tuple[str, ArchiveQuery]]:
    """The pages to measure."""
    start, end = count // 2 * 1_000_000, (count // 2 + 500) * 1_000_000
    nick = f"{ROOM}/nick7"
    for way, page in [("", {}), (", the last page", {"before": ""})]:
        for name, filters in [
            ("no filter", {}),
            ("from a time", {"start": start}),
            ("between two times", {"start": start, "end": end}),
            ("with an occupant", {"sender": nick}),
            ("with an occupant, from a time", {"sender": nick, "start": start}),
            ("of an author", {"author": "user7@localhost"}),
            ("a frequent word", {"text": "word0"}),
            ("a rare word", {"text": "word9999"}),
            ("two words, from a time", {"text": "word1 word2", "start": start}),
            ("two words, with an occupant", {"text": "word1 word2", "sender": nick}),
            ("five words that are rarely together", {"text": "word2 word3 word4 word5 word6"}),
        ]:
            yield name + way, ArchiveQuery(**filters, **page)  # type: ignore[arg-type]
    yield "no filter, counted", ArchiveQuery(counted=True)
    yield "between two times, counted", ArchiveQuery(start=start, end=end, counted=True)
    yield "a frequent word, counted", ArchiveQuery(text="word0", counted=True)


async def measure(store: IArchiveStore, query: ArchiveQuery) -> Times:
    """The times of a page: of all threads, of many in turn."""
    await store.query(ROOM, query)
    begun, started, tries = time.process_time(), time.perf_counter(), 20
    for _ in range(tries):
        await store.query(ROOM, query)
    return (time.process_time() - begun) / tries, (time.perf_counter() - started) / tries


async def run(reactor: Any, description: str, count: int, group: int) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        if description.startswith("postgresql:") and "journal=" not in description:
            description += f"{'&' if '?' in description else '?'}journal=journal"
        store = cast(IArchiveStore, makeStore("archive", description, FilePath(folder), reactor))
        await store.open()
        print(_PRINTED.format("", "CPU", "elapsed"))
        times = [f"{each * 1e6:.1f} µs" for each in await fill(store, count, group)]
        print(_PRINTED.format(f"append, {group} at once, {count} in all", *times))
        for name, query in queries(count):
            times = [f"{each * 1e3:.2f} ms" for each in await measure(store, query)]
            print(_PRINTED.format(f"page of 50, {name}", *times), flush=True)
        await store.close()


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages in the archive (1000000)")
    parser.add_argument("--group", type=int, default=500, help="messages that are appended at once (500)")
    parser.add_argument("--store", default="sqlite:archive.db", help="where it is (sqlite: in a temporary folder)")
    options = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, options.store, options.messages, options.group)))


if __name__ == "__main__":
    main(sys.argv[1:])
