# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of queries of message archives."""

from __future__ import annotations

from typing import Any, Final

from muccore.interfaces import (
    IDS_LIMIT,
    WORDS_LIMIT,
    ArchiveItem,
    ArchiveQuery,
    NoSuchItem,
    QueryRefused,
)
from muccore.testing.contracts.base import Contract
from muccore.xmpp.rendering import Rendered

CAVE: Final = "cave@chat.lit"
HEATH: Final = "heath@chat.lit"
NOON: Final = 1_078_000_000_123_456
"""A time, in microseconds since the epoch."""

SECOND: Final = 1_000_000


def message(text: str) -> Rendered:
    """A message, as bytes around its C{to}."""
    return Rendered(b"<message", f" type='groupchat'><body>{text}</body></message>".encode())


def item(id: str, time: int = NOON, nick: str = "Hecate", author: str = "hecate@x", text: str = "") -> ArchiveItem:
    """A message in L{CAVE}."""
    return ArchiveItem(id, time, f"{CAVE}/{nick}", author, message(text), text)


def series(count: int, first: int = 0) -> list[ArchiveItem]:
    """Messages C{m0}, C{m1} and so on, a second apart."""
    return [item(f"m{n}", NOON + n * SECOND) for n in range(first, first + count)]


def shown(found: ArchiveItem) -> tuple[Any, ...]:
    """All that a store gives back of an item, to be compared."""
    return (
        found.id, found.time, found.sender, found.author, found.stanza.head, found.stanza.tail, found.retracted,
    )  # fmt: skip


class ArchiveQueryContract(Contract):
    """Tests of L{IArchiveStore.query}."""

    async def found(self, store: Any, archive: str = CAVE, **query: Any) -> list[str]:
        """The ids of a page."""
        page = await store.query(archive, ArchiveQuery(**query))
        return [each.id for each in page.items]

    async def page(self, store: Any, **query: Any) -> tuple[str, bool]:
        """The ids of a page, C{m} left out, and whether it is complete."""
        page = await store.query(CAVE, ArchiveQuery(**query))
        return " ".join(each.id.removeprefix("m") for each in page.items), page.complete

    async def assertFound(self, store: Any, expected: str, **query: Any) -> None:
        """Check the ids of a page."""
        self.assertEqual(await self.found(store, **query), expected.split(), query)

    async def test_times(self) -> None:
        """Start and end are inclusive, to the microsecond, and need no order of the archive."""
        store = await self.opened()
        times = [("a", 0), ("b", 10), ("c", 4), ("d", 5), ("e", 5), ("f", -3)]
        await store.append(CAVE, [item(id, NOON + time) for id, time in times])
        for start, end, expected in [
            (None, None, "a b c d e f"),
            (5, None, "b d e"),
            (None, 4, "a c f"),
            (4, 5, "c d e"),
            (6, 9, ""),
            (5, 4, ""),
            (11, None, ""),
            (-(2**70), 2**70, "a b c d e f"),
        ]:
            await self.assertFound(
                store,
                expected,
                start=None if start is None else NOON + start,
                end=None if end is None else NOON + end,
            )

    async def test_manyTimes(self) -> None:
        """Times are found in a long archive whose clock was wrong for a while, in both directions."""
        store = await self.opened()
        times = [n * SECOND for n in range(3000)]
        times[700] = -(10**12)
        times[1500:1510] = [10**12] * 10
        times[2000:2000] = times[300:400]
        await store.append(CAVE, [item(f"m{n}", NOON + time) for n, time in enumerate(times)])
        for start, end in [(310, 320), (2500, 2520), (-(10**6), 2), (1499, 10**6), (350, 1030), (-(10**6), -1)]:
            low, high = start * SECOND, end * SECOND
            expected = [f"m{n}" for n, time in enumerate(times) if low <= time <= high]
            query: dict[str, Any] = {"start": NOON + low, "end": NOON + high}
            self.assertEqual(await self.found(store, **query, limit=5000), expected)
            self.assertEqual(await self.found(store, **query, limit=7), expected[:7])
            self.assertEqual(await self.found(store, **query, limit=7, before=""), expected[-7:])
            page = await store.query(CAVE, ArchiveQuery(**query, limit=1, before="", counted=True))
            self.assertEqual((page.index, page.count), (len(expected) - 1, len(expected)))

    async def test_senders(self) -> None:
        """A sender is found by its JID, and by its bare JID with all resources (XEP-0313 §4.1.1)."""
        store = await self.opened()
        senders = [f"{CAVE}/Hecate", CAVE, "romeo@x", "romeo@x/a", "romeo@x/a/b", f"{CAVE}/hecate", "romeo@x.y/a"]
        await store.append(
            CAVE, [ArchiveItem(f"m{n}", NOON, sender, "", message("")) for n, sender in enumerate(senders)]
        )
        for sender, expected in [
            (f"{CAVE}/Hecate", "m0"),
            (CAVE, "m0 m1 m5"),
            ("romeo@x", "m2 m3 m4"),
            ("romeo@x/a", "m3"),
            ("romeo@x/a/b", "m4"),
            ("romeo@x/b", ""),
            ("x", ""),
            ("", ""),
            (f"{CAVE}/", ""),
        ]:
            await self.assertFound(store, expected, sender=sender)

    async def test_authors(self) -> None:
        """What one account has written is found under all its nicks, and since a time."""
        store = await self.opened()
        await store.append(
            CAVE, [item("a", 1, "A", "romeo@x"), item("b", 2, "B", "hag@x"), item("c", 3, "C", "romeo@x")]
        )
        await store.append(HEATH, [item("d", 4, "D", "romeo@x")])
        await self.assertFound(store, "a c", author="romeo@x")
        await self.assertFound(store, "c", author="romeo@x", start=2)
        await self.assertFound(store, "b", author="hag@x", sender=f"{CAVE}/B")
        await self.assertFound(store, "", author="hag@x", sender=f"{CAVE}/A")
        await self.assertFound(store, "", author="romeo")

    async def test_text(self) -> None:
        """An item is found by words of its text, if it has all of them; case and accents make no difference."""
        store = await self.opened()
        texts = ["Double, double toil and trouble", "Fire burn, and cauldron bubble", "Café 東京", "", "trouble TOIL"]
        await store.append(CAVE, [item(f"m{n}", text=text) for n, text in enumerate(texts)])
        for text, expected in [
            ("trouble", "m0 m4"),
            ("toil TROUBLE.", "m0 m4"),
            ("and", "m0 m1"),
            ("fire toil", ""),
            ("troubl", ""),
            ("cafe", "m2"),
            ("京", "m2"),
            ("", ""),
            ("…!", ""),
        ]:
            await self.assertFound(store, expected, text=text)
        await self.assertFound(store, "m4", text="toil", after="m0")

    async def test_noSyntax(self) -> None:
        """Nothing that users type is an operator, a syntax error, or finds what the text does not have."""
        store = await self.opened()
        sender = "from=" + b"/Hecate".hex()
        await store.append(CAVE, [item("a", text="fire AND not near words"), item("b", text=f"fire {sender}")])
        for text, expected in [
            ('"fire', "a b"),
            ("fire*", "a b"),
            ("fire -near", "a"),
            ("near(fire)", "a"),
            ("fire AND NOT near", "a"),
            ("words:fire", "a"),
            ("^fire", "a b"),
            ("fire OR nothing", ""),
            ("''; DROP TABLE item; --", ""),
            ("{}[]()+-^:*\"'\\\x7f", ""),
            (sender, "b"),
            ("author=" + b"hecate@x".hex(), ""),
            ("=", ""),
        ]:
            await self.assertFound(store, expected, text=text)

    async def test_refused(self) -> None:
        """A query with too many words or ids is refused."""
        store = await self.opened()
        await store.append(CAVE, [item("a", text=" ".join(f"w{n}" for n in range(WORDS_LIMIT)))])
        await self.assertFound(store, "a", text=" ".join(f"w{n}" for n in range(WORDS_LIMIT)))
        await self.assertFound(store, "a", ids=["a"] * IDS_LIMIT)
        with self.assertRaises(QueryRefused):
            await store.query(CAVE, ArchiveQuery(text=" ".join(f"w{n}" for n in range(WORDS_LIMIT + 1))))
        with self.assertRaises(QueryRefused):
            await store.query(CAVE, ArchiveQuery(ids=["a"] * (IDS_LIMIT + 1)))

    async def test_ids(self) -> None:
        """Items are found by their ids, in the order of the archive, and between two ids (XEP-0313 §4.1.3)."""
        store = await self.opened()
        await store.append(CAVE, series(8))
        await store.append(HEATH, [item("other")])
        cases: list[tuple[dict[str, Any], Any]] = [
            ({"ids": ["m5", "m0", "m5", "m1"]}, "m0 m1 m5"),
            ({"ids": []}, ""),
            ({"afterId": "m5"}, "m6 m7"),
            ({"beforeId": "m2"}, "m0 m1"),
            ({"afterId": "m1", "beforeId": "m4"}, "m2 m3"),
            ({"afterId": "m4", "beforeId": "m4"}, ""),
            ({"afterId": "m7"}, ""),
            ({"ids": ["m0", "m3", "m6"], "afterId": "m0", "end": NOON + 5 * SECOND}, "m3"),
        ]
        for query, expected in cases:
            await self.assertFound(store, expected, **query)

    async def test_noSuchItem(self) -> None:
        """An id that is not in the archive is an error wherever it stands (XEP-0313 §4.1.3, §4.3.2)."""
        store = await self.opened()
        await store.append(HEATH, [item("other")])
        for first in range(2):
            cases: list[dict[str, Any]] = [
                {"ids": ["other"]}, {"afterId": "other"}, {"beforeId": ""}, {"after": "x"}, {"before": "x"},
                {"after": ""}, {"afterId": "x", "text": ""},
            ]  # fmt: skip
            for query in cases:
                with self.assertRaises(NoSuchItem):
                    await store.query(CAVE, ArchiveQuery(**query))
            await store.append(CAVE, series(1, first))

    async def test_pages(self) -> None:
        """Pages follow each other in both directions, and are complete if nothing is left in theirs (XEP-0313 §4.3)."""
        store = await self.opened()
        await store.append(CAVE, series(7))
        cases: list[tuple[dict[str, Any], Any]] = [
            ({"limit": 3}, ("0 1 2", False)),
            ({"limit": 3, "after": "m2"}, ("3 4 5", False)),
            ({"limit": 3, "after": "m5"}, ("6", True)),
            ({"limit": 1, "after": "m5"}, ("6", True)),
            ({"limit": 3, "after": "m6"}, ("", True)),
            ({"limit": 3, "before": ""}, ("4 5 6", False)),
            ({"limit": 3, "before": "m4"}, ("1 2 3", False)),
            ({"limit": 3, "before": "m1"}, ("0", True)),
            ({"limit": 1, "before": "m1"}, ("0", True)),
            ({"limit": 3, "before": "m0"}, ("", True)),
            ({"limit": 0}, ("", False)),
            ({"limit": 0, "before": ""}, ("", False)),
            ({"limit": 0, "after": "m6"}, ("", True)),
            ({"limit": 7}, ("0 1 2 3 4 5 6", True)),
        ]
        for query, expected in cases:
            self.assertEqual(await self.page(store, **query), expected, query)

    async def test_filteredPages(self) -> None:
        """Pages of what a filter lets through; the items before and after a page need not match."""
        store = await self.opened()
        await store.append(
            CAVE, [item(f"m{n}", NOON + n, "AB"[n % 2], "ab"[n % 3 == 0] + "@x", "odd" if n % 2 else "even")
                   for n in range(20)]
        )  # fmt: skip
        sender = f"{CAVE}/B"
        cases: list[tuple[dict[str, Any], Any]] = [
            ({"sender": sender, "limit": 3}, ("1 3 5", False)),
            ({"sender": sender, "limit": 3, "after": "m4"}, ("5 7 9", False)),
            ({"sender": sender, "limit": 3, "before": "m4"}, ("1 3", True)),
            ({"text": "odd", "limit": 3, "before": ""}, ("15 17 19", False)),
            ({"text": "odd", "limit": 3, "before": "", "end": NOON + 10}, ("5 7 9", False)),
            ({"text": "odd", "limit": 3, "after": "m3", "beforeId": "m9"}, ("5 7", True)),
            ({"text": "odd", "author": "b@x", "limit": 9}, ("3 9 15", True)),
            ({"text": "even", "sender": sender}, ("", True)),
            ({"ids": ["m2", "m3", "m4"], "text": "even", "limit": 1}, ("2", False)),
            ({"ids": ["m2", "m3", "m4"], "text": "even", "limit": 1, "before": ""}, ("4", False)),
            ({"afterId": "m15", "after": "m2", "sender": CAVE, "limit": 2}, ("16 17", False)),
        ]
        for query, expected in cases:
            self.assertEqual(await self.page(store, **query), expected, query)

    async def test_counted(self) -> None:
        """Index and count are those within what the filter lets through, if they are asked for (XEP-0059 §2.6)."""
        store = await self.opened()
        await store.append(CAVE, [item(f"m{n}", NOON + n, "AB"[n % 2], text="odd" if n % 2 else "") for n in range(20)])
        cases: list[tuple[dict[str, Any], int | None, int | None]] = [
            ({"limit": 3}, 0, 20),
            ({"limit": 3, "after": "m4"}, 5, 20),
            ({"limit": 3, "before": ""}, 17, 20),
            ({"limit": 0}, None, 20),
            ({"text": "odd", "after": "m4"}, 2, 10),
            ({"text": "odd", "start": NOON + 9, "before": ""}, 0, 6),
            ({"text": "odd", "start": NOON + 9, "before": "", "limit": 2}, 4, 6),
            ({"sender": f"{CAVE}/A", "beforeId": "m6", "limit": 1, "after": "m0"}, 1, 3),
            ({"start": NOON + 5, "end": NOON + 7, "after": "m5"}, 1, 3),
            ({"ids": ["m1", "m3", "m9"], "after": "m3"}, 2, 3),
            ({"text": ""}, None, 0),
            ({"start": NOON + 90}, None, 0),
        ]
        for query, index, count in cases:
            page = await store.query(CAVE, ArchiveQuery(**query, counted=True))
            self.assertEqual((page.index, page.count), (index, count), query)
        page = await store.query(CAVE, ArchiveQuery())
        self.assertEqual((page.index, page.count), (None, None))
