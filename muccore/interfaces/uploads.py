# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of files that users upload."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Interface

from muccore.interfaces.stores import IStore, StoreError

READ_SIZE: Final = 128 * 1024
"""The most bytes that L{IUploadStore.read} is asked for."""

UPLOAD_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
"""What the name of an upload looks like: it can be the name of a file."""


class QuotaExceeded(StoreError):
    """A file would exceed the quota of its owner, or of all."""


class NoSuchUpload(StoreError):
    """There is no such file."""


@dataclass(frozen=True)
class Upload:
    """
    What is known of a file.

    @ivar id: its random name, see L{UPLOAD_ID}: a secret of those who know its URL.
    @ivar owner: the account that uploads it, a prepared bare JID.
    @ivar filename: what it is called by its owner; any text without control characters.
    @ivar contentType: its media type, as its owner says.
    @ivar size: in bytes, at least 1.
    @ivar created: when, in seconds since the epoch.
    @ivar expires: from when on it must not be served, in seconds since the epoch; C{None}: never.
    """

    id: str
    owner: str
    filename: str
    contentType: str
    size: int
    created: int
    expires: int | None


class UploadUsage(NamedTuple):
    """
    How much is stored, what is being written included.

    @ivar owner: bytes of one account.
    @ivar total: bytes of all.
    @ivar earliest: when the first file of the account expires, in seconds since the epoch; C{None}: none does.
    """

    owner: int
    total: int
    earliest: int | None


class IUploadWriter(Interface):
    """Writes one file. Nobody can find it before L{finish} has fired. The calls are carried out in their order."""

    def write(data: bytes) -> Deferred[None]:
        """
        Append some of it; fires when more can be taken.

        @raise StoreError: (as failure) if it cannot be written, or is larger than was said.
        """

    def finish() -> Deferred[None]:
        """
        Fires when the file is whole, durable, and can be found.

        @raise StoreError: (as failure) if it is not, or its size is not what was said; then nothing is left of it.
        """

    def abort() -> Deferred[None]:
        """Remove what was written; does nothing after L{finish}. Never fails."""


class IUploadStore(IStore):
    """
    Files of users, which are written once and never changed.

    What is left of a file whose writing was cut short by the end of the process is removed by the store itself.
    """

    def create(upload: Upload, ownerQuota: int, totalQuota: int) -> Deferred[IUploadWriter]:
        """
        Begin to write a file, whose id is new. Its size counts from now on.

        @param ownerQuota: how many bytes its owner may have, with this one.
        @param totalQuota: likewise, for all.
        @raise QuotaExceeded: (as failure) if it would be more.
        @raise StoreUnavailable: (as failure) if nothing can be written.
        """

    def find(id: str) -> Deferred[Upload | None]:
        """Find a file that is whole, expired or not, by any text."""

    def read(id: str, offset: int, size: int) -> Deferred[bytes]:
        """
        Read part of a file that was found.

        @param size: at most L{READ_SIZE}; what is returned is shorter only at the end of the file.
        @raise NoSuchUpload: (as failure) if it was removed meanwhile.
        """

    def usage(owner: str) -> Deferred[UploadUsage]:
        """How much is stored."""

    def removeExpired(now: int, most: int) -> Deferred[int]:
        """
        Remove files that have expired at a time, those first that did earliest.

        @param most: how many at the most.
        @return: how many.
        """

    def removeAccount(owner: str) -> Deferred[None]:
        """Remove all files of an account that are whole."""
