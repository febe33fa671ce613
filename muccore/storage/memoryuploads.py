# -*- test-case-name: tests.storage.test_memoryuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, files of users that are lost when the server ends, for tests."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import StoreError
from muccore.interfaces.uploads import (
    IUploadStore,
    IUploadWriter,
    NoSuchUpload,
    QuotaExceeded,
    Upload,
    UploadUsage,
)
from muccore.storage.memory import whileOpen


@implementer(IUploadStore)
class MemoryUploads:
    """Files in a dictionary."""

    def __init__(self) -> None:
        self.isOpen = False
        self.files: dict[str, tuple[Upload, bytes]] = {}
        self.writing: dict[str, Upload] = {}

    def open(self) -> Deferred[None]:
        """See L{IUploadStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IUploadStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def create(self, upload: Upload, ownerQuota: int, totalQuota: int) -> IUploadWriter:
        """See L{IUploadStore.create}."""
        usage = self._usage(upload.owner)
        if usage.owner + upload.size > ownerQuota or usage.total + upload.size > totalQuota:
            raise QuotaExceeded("memory: the quota is exceeded")
        self.writing[upload.id] = upload
        return MemoryWriter(self, upload)

    @whileOpen
    def find(self, id: str) -> Upload | None:
        """See L{IUploadStore.find}."""
        return self.files[id][0] if id in self.files else None

    @whileOpen
    def read(self, id: str, offset: int, size: int) -> bytes:
        """See L{IUploadStore.read}."""
        if id not in self.files:
            raise NoSuchUpload(f"memory: no file {id[:4]}...")
        return self.files[id][1][offset : offset + size]

    @whileOpen
    def usage(self, owner: str) -> UploadUsage:
        """See L{IUploadStore.usage}."""
        return self._usage(owner)

    def _usage(self, owner: str) -> UploadUsage:
        whole = [upload for upload, _ in self.files.values()]
        everything = [*whole, *self.writing.values()]
        expiring = [each.expires for each in whole if each.owner == owner and each.expires is not None]
        used = sum(each.size for each in everything if each.owner == owner)
        return UploadUsage(used, sum(each.size for each in everything), min(expiring, default=None))

    @whileOpen
    def removeExpired(self, now: int, most: int) -> int:
        """See L{IUploadStore.removeExpired}."""
        expired = sorted(
            (upload.expires, id) for id, (upload, _) in self.files.items() if (upload.expires or now + 1) <= now
        )
        for _, id in expired[:most]:
            del self.files[id]
        return len(expired[:most])

    @whileOpen
    def removeAccount(self, owner: str) -> None:
        """See L{IUploadStore.removeAccount}."""
        self.files = {id: each for id, each in self.files.items() if each[0].owner != owner}


@implementer(IUploadWriter)
class MemoryWriter:
    """Collects one file."""

    def __init__(self, store: MemoryUploads, upload: Upload) -> None:
        self.isOpen = True
        self._store = store
        self._upload = upload
        self._data = b""

    @whileOpen
    def write(self, data: bytes) -> None:
        """See L{IUploadWriter.write}."""
        self._data += data
        if len(self._data) > self._upload.size:
            raise StoreError("memory: the file is larger than was said")

    @whileOpen
    def finish(self) -> None:
        """See L{IUploadWriter.finish}."""
        self.abort()
        if len(self._data) != self._upload.size:
            raise StoreError("memory: the file has another size than was said")
        self._store.files[self._upload.id] = (self._upload, self._data)

    def abort(self) -> Deferred[None]:
        """See L{IUploadWriter.abort}."""
        self.isOpen = False
        self._store.writing.pop(self._upload.id, None)
        return succeed(None)
