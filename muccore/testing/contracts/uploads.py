# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of uploaded files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import StoreError
from muccore.interfaces.uploads import (
    IUploadStore,
    IUploadWriter,
    NoSuchUpload,
    QuotaExceeded,
    Upload,
    UploadUsage,
)
from muccore.testing.contracts.base import Contract

ROMEO: Final = "romeo@montague.lit"
JULIET: Final = "juliet@capulet.lit"
ID: Final = "A_-4" * 8
PICTURE: Final = Upload(ID, ROMEO, "très cool.jpg", "image/jpeg", 6, 1000, 2000)
MANY: Final = 10**9


def numbered(number: int, **changes: Any) -> Upload:
    """A file with another id."""
    return replace(PICTURE, id=f"{number:032d}", **changes)


class UploadStoreContract(Contract):
    """Tests of an L{IUploadStore}."""

    requests = (
        ("create", PICTURE, MANY, MANY), ("find", ID), ("read", ID, 0, 1), ("usage", ROMEO),
        ("removeExpired", 3000, 10), ("removeAccount", ROMEO),
    )  # fmt: skip

    async def put(self, store: Any, upload: Upload = PICTURE, data: bytes = b"abcdef") -> None:
        """Store a file."""
        writer = await store.create(upload, MANY, MANY)
        await writer.write(data)
        await writer.finish()

    async def assertGone(self, store: Any, id: str = ID) -> None:
        """Check that there is no file of an id."""
        self.assertIsNone(await store.find(id))
        with self.assertRaises(NoSuchUpload):
            await store.read(id, 0, 1)

    async def test_interface(self) -> None:
        """It provides the interface, and so do its writers."""
        store = await self.opened()
        verifyObject(IUploadStore, store)
        writer = await store.create(PICTURE, MANY, MANY)
        verifyObject(IUploadWriter, writer)
        await writer.abort()

    async def test_empty(self) -> None:
        """At first there is nothing, whatever is asked for."""
        store = await self.opened()
        for id in (ID, "", "x", "..", "../../etc/passwd", "a" * 1000, "new", "index.db", "\0", "ä"):
            await self.assertGone(store, id)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(0, 0, None))
        self.assertEqual(await store.removeExpired(MANY, 10), 0)
        await store.removeAccount(ROMEO)

    async def test_kept(self) -> None:
        """A file comes back as it was, in parts too."""
        store = await self.opened()
        large = numbered(1, size=300_000, expires=None, filename="<&'\"\u2028", contentType="text/plain;charset=x")
        writer = await store.create(large, MANY, MANY)
        for part in (b"a" * 100_000, b"b" * 100_000, b"", b"c" * 100_000):
            await writer.write(part)
        await writer.finish()
        await self.put(store)
        store = await self.reopened(store)
        self.assertEqual([await store.find(ID), await store.find(large.id)], [PICTURE, large])
        self.assertEqual(await store.read(ID, 0, 100), b"abcdef")
        self.assertEqual([await store.read(ID, 2, 3), await store.read(ID, 6, 3)], [b"cde", b""])
        self.assertEqual(await store.read(large.id, 99_999, 100_002), b"a" + b"b" * 100_000 + b"c")
        self.assertEqual(await store.usage(ROMEO), UploadUsage(300_006, 300_006, 2000))

    async def test_notWhole(self) -> None:
        """A file that is not finished is not found, and nothing is left of it."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await writer.write(b"abcdef")
        await self.assertGone(store)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(6, 6, None))
        await writer.abort()
        await writer.abort()
        for call in (writer.finish, lambda: writer.write(b"")):
            with self.assertRaises(StoreError):
                await call()
        store = await self.reopened(store)
        await self.assertGone(store)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(0, 0, None))
        await self.put(store)

    async def test_otherSize(self) -> None:
        """A file that is smaller or larger than was said is refused."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await writer.write(b"abcde")
        with self.assertRaises(StoreError):
            await writer.finish()
        writer = await store.create(PICTURE, MANY, MANY)
        with self.assertRaises(StoreError):
            await writer.write(b"abcdefg")
        await writer.abort()
        await self.assertGone(store)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(0, 0, None))

    async def test_abortFinished(self) -> None:
        """After C{finish}, C{abort} does nothing."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await writer.write(b"abcdef")
        await writer.finish()
        await writer.abort()
        self.assertEqual(await store.read(ID, 0, 6), b"abcdef")

    async def test_quotas(self) -> None:
        """What would exceed a quota is refused; what is being written counts."""
        store = await self.opened()
        await self.put(store)
        writer = await store.create(numbered(1), 12, 12)
        other = numbered(3, owner=JULIET)
        for upload, own, total in ((numbered(2), 17, MANY), (other, MANY, 17), (other, 5, MANY)):
            with self.assertRaises(QuotaExceeded):
                await store.create(upload, own, total)
        self.assertEqual(await store.usage(JULIET), UploadUsage(0, 12, None))
        await (await store.create(other, 6, 18)).abort()
        await writer.abort()
        await (await store.create(numbered(2), 12, 12)).abort()

    async def test_quotasTogether(self) -> None:
        """Of files that are begun at once, those count that come first."""
        store = await self.opened()
        results = await gatherResults(
            [store.create(numbered(n), 12, MANY).addErrback(lambda failure: failure.type) for n in range(3)]
        )
        self.assertEqual(sum(each is QuotaExceeded for each in results), 1)
        await gatherResults([each.abort() for each in results if each is not QuotaExceeded])

    async def test_expired(self) -> None:
        """Files that have expired are removed, those first that did earliest; until then they are found."""
        store = await self.opened()
        for number, expires in enumerate([30, 10, 20, None, 31]):
            await self.put(store, numbered(number, expires=expires))
        self.assertEqual((await store.usage(ROMEO)).earliest, 10)
        self.assertIsNotNone(await store.find(numbered(1).id))
        self.assertEqual(await store.removeExpired(30, 2), 2)
        for number in (1, 2):
            await self.assertGone(store, numbered(number).id)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(18, 18, 30))
        self.assertEqual(await store.removeExpired(30, 2), 1)
        self.assertEqual(await store.removeExpired(30, 2), 0)
        store = await self.reopened(store)
        self.assertEqual(await store.usage(ROMEO), UploadUsage(12, 12, 31))
        self.assertEqual(await store.removeExpired(MANY, 10), 1)
        self.assertIsNotNone(await store.find(numbered(3).id))

    async def test_accountRemoved(self) -> None:
        """All files of an account are removed, and none of another one."""
        store = await self.opened()
        for number in range(3):
            await self.put(store, numbered(number))
        for number, owner in ((3, JULIET), (4, "Romeo@montague.lit")):
            await self.put(store, numbered(number, owner=owner))
        await store.removeAccount(ROMEO)
        store = await self.reopened(store)
        for number in range(5):
            self.assertEqual(await store.find(numbered(number).id) is None, number < 3)
        self.assertEqual(await store.usage(JULIET), UploadUsage(6, 12, 2000))

    async def test_inOrder(self) -> None:
        """The calls of a writer are carried out in their order."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await gatherResults([writer.write(b"ab"), writer.write(b"cd"), writer.write(b"ef"), writer.finish()])
        self.assertEqual(await store.read(ID, 0, 6), b"abcdef")

    async def test_closeAborts(self) -> None:
        """A store that is closed leaves nothing of a file that is not finished."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await writer.write(b"abc")
        if self.durable:
            store = await self.reopened(store)
            await self.assertGone(store)
            self.assertEqual(await store.usage(ROMEO), UploadUsage(0, 0, None))
