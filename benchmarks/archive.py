# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
CPU time of message archives in SQLite: C{python -m benchmarks.archive}.

Fills an archive through the store, as rooms do, and then requests pages of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from muccore.interfaces import ArchiveItem, ArchiveQuery
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.uniqueids import randomIds

ROOM: Final = "room@conference.localhost"
PEOPLE: Final = 300
WORDS: Final = 30_000
"""The size of the vocabulary, in which the frequency of a word is inverse to its rank."""

_PRINTED: Final = "{:<64}{:>12}"


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


async def fill(store: SQLiteArchive, count: int, group: int) -> float:
    """Append messages, each by a call of its own. Return the CPU time of one, in seconds."""
    spent = 0.0
    later = makeItems(count, group)
    for start in range(0, count, 20_000):
        items = [next(later) for _ in range(min(20_000, count - start))]
        begun = time.process_time()
        for first in range(0, len(items), group):
            await gatherResults([store.append(ROOM, [item]) for item in items[first : first + group]])
        spent += time.process_time() - begun
    return spent / count


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


async def measure(store: SQLiteArchive, query: ArchiveQuery) -> float:
    """The CPU time of a page, in seconds: that of all threads, of many in turn."""
    await store.query(ROOM, query)
    begun, tries = time.process_time(), 20
    for _ in range(tries):
        await store.query(ROOM, query)
    return (time.process_time() - begun) / tries


async def run(reactor: Any, count: int, group: int) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteArchive(FilePath(folder).child("archive.db"), reactor)
        await store.open()
        spent = await fill(store, count, group)
        print(_PRINTED.format(f"append, {group} at once, {count} in all", f"{spent * 1e6:.1f} µs"))
        for name, query in queries(count):
            print(_PRINTED.format(f"page of 50, {name}", f"{await measure(store, query) * 1e3:.2f} ms"))
        await store.close()


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages in the archive (1000000)")
    parser.add_argument("--group", type=int, default=500, help="messages that are appended at once (500)")
    options = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, options.messages, options.group)))


if __name__ == "__main__":
    main(sys.argv[1:])
