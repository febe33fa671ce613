# -*- test-case-name: tests.http.upload.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the uploads of all hosts share: store, slots, quotas, and the removal of what has expired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from muccore.http.upload.mediatypes import OCTETS
from muccore.http.upload.receiving import UploadBody
from muccore.http.upload.slots import SLOTS_LIMIT, Slot, Slots, randomWord
from muccore.interfaces import StoreError
from muccore.interfaces.http import IHTTPRequest, IHTTPSite
from muccore.interfaces.uploads import READ_SIZE, IUploadStore, Upload
from muccore.log.eventlog import UPLOADED
from muccore.log.logger import Logger
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

PATH: Final = "/upload"
"""Where files are put and got."""

CLEANING: Final = 600
"""Seconds between two searches for files that have expired."""

_SLICE: Final = 100
_PAUSE: Final = 0.5

_log: Final = Logger()


@dataclass(frozen=True)
class UploadSettings:
    """
    What users may upload.

    @ivar fileSize: bytes of one file.
    @ivar ownerQuota: bytes of all files of one account.
    @ivar totalQuota: bytes of all files.
    @ivar retention: seconds for which a file is kept; 0: until its account is removed.
    @ivar slotsPerMinute: how many files an account may upload in a minute.
    @ivar publicURL: the base of the URLs, without a slash at its end; C{""}: that of the site.
    @ivar readSize: bytes that are read and sent at a time.
    """

    fileSize: int
    ownerQuota: int
    totalQuota: int
    retention: float = 0
    slotsPerMinute: int = 30
    publicURL: str = ""
    readSize: int = READ_SIZE


class Uploads:
    """
    The uploads of a server.

    @ivar store: the files.
    @ivar settings: may be changed at any time.
    @ivar site: has the URL of its files unless they have their own.
    @ivar slots: what was promised.
    @ivar clock: measures time.
    @ivar now: the time of day, in seconds since the epoch.
    """

    def __init__(
        self, store: IUploadStore, settings: UploadSettings, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self.store = store
        self.settings = settings
        self.site: IHTTPSite | None = None
        self.slots = Slots(clock.seconds)
        self.clock = clock
        self.now = now
        self._cleaning: IDelayedCall | None = None
        self._stopped = False

    def baseURL(self, domain: str) -> str | None:
        """The base of the URLs for users of a domain; C{None} if they would not be under TLS."""
        base = self.settings.publicURL or (None if self.site is None else self.site.baseURL(domain))
        return base + PATH if base else None

    # Slots

    async def promise(
        self, account: JID, filename: str, size: int, contentType: str | None, until: float | None
    ) -> Slot:
        """
        Promise to take a file.

        @param contentType: C{None}: any.
        @param until: when it must not be served any more, in seconds since the epoch, if its owner wants that.
        @raise StanzaError: if it is too large, or there are too many.
        """
        settings, owner = self.settings, account.bare
        if size > settings.fileSize:
            tooLarge = Element((ns.HTTP_UPLOAD, "file-too-large"))
            tooLarge.add("max-file-size", text=str(settings.fileSize))
            text = f"File too large. The maximum file size is {settings.fileSize} bytes."
            raise StanzaError("not-acceptable", "modify", text, tooLarge)
        wait = self.slots.admit(owner, settings.slotsPerMinute)
        if wait:
            text = f"You can upload {settings.slotsPerMinute} files in a minute."
            raise self._later(text, self.now() + wait)
        try:
            usage = await self.store.usage(owner)
        except StoreError as e:
            _log.error("uploads: {error}", error=str(e))
            raise StanzaError("internal-server-error", "wait", "Files cannot be stored at the moment.") from None
        own, total = self.slots.promised(owner)
        if usage.owner + own + size > settings.ownerQuota:
            raise self._later(f"Quota reached. You can have {settings.ownerQuota} bytes of files.", usage.earliest)
        if usage.total + total + size > settings.totalQuota or len(self.slots) >= SLOTS_LIMIT:
            raise self._later("The server has no room for more files.", None)
        now = self.now()
        ends = [now + settings.retention] if settings.retention else []
        ends += [] if until is None else [until]
        upload = Upload(
            randomWord(), owner, filename, contentType or OCTETS, size, int(now), int(min(ends)) if ends else None
        )
        return self.slots.add(upload, contentType is not None)

    def _later(self, text: str, when: float | None) -> StanzaError:
        """An error that will pass, at a time if that is known (§6)."""
        retry = None
        if when is not None:
            retry = Element((ns.HTTP_UPLOAD, "retry"))
            # A second is cut off.
            retry.attributes["stamp"] = stamp(max(when, self.now()) + 1)
        return StanzaError("resource-constraint", "wait", text, retry)

    def url(self, base: str, upload: Upload) -> str:
        """The URL of a file, below L{baseURL}."""
        return f"{base}/{upload.id}/{quote(upload.filename, safe='')}"

    # Files

    def receive(self, request: IHTTPRequest, slot: Slot) -> UploadBody:
        """Begin to take the file of a slot."""
        body = UploadBody(request, self.store, slot.upload, self.settings.ownerQuota, self.settings.totalQuota)

        def stored(_: None) -> None:
            self.slots.remove(slot)
            UPLOADED.log(slot.upload.owner, size=slot.upload.size)

        def failed(failure: object) -> object:
            self.slots.fail(slot)
            return failure

        self.slots.begin(slot, body)
        body.done.addCallbacks(stored, failed)
        return body

    async def forget(self, account: JID) -> None:
        """Remove the files of an account, and those that it is uploading."""
        bodies = [slot.body for slot in self.slots.take(account.bare) if slot.body is not None]
        for body in bodies:
            body.cancel()
            done: Deferred[None] = Deferred()
            body.done.addBoth(_passOn, done)
            await done
        await self.store.removeAccount(account.bare)

    # What has expired

    def start(self) -> None:
        """Remove what has expired, now and from time to time. Called when the store is open."""
        self._cleaning = self.clock.callLater(0, self._clean)

    def stop(self) -> None:
        """Remove nothing more."""
        self._stopped = True
        if self._cleaning is not None:
            self._cleaning.cancel()
            self._cleaning = None

    def _clean(self) -> None:
        self._cleaning = None
        Deferred.fromCoroutine(self._removeExpired()).addErrback(
            lambda failure: _log.failure("files that have expired cannot be removed", failure)
        ).addBoth(lambda _: self._cleanLater())

    def _cleanLater(self) -> None:
        if not self._stopped:
            self._cleaning = self.clock.callLater(CLEANING, self._clean)

    async def _removeExpired(self) -> None:
        while not self._stopped:
            try:
                if await self.store.removeExpired(int(self.now()), _SLICE) < _SLICE:
                    return
            except StoreError as e:
                _log.error("files that have expired cannot be removed: {error}", error=str(e))
                return
            await deferLater(self.clock, _PAUSE)


def _passOn(result: object, done: Deferred[None]) -> object:
    done.callback(None)
    return result
