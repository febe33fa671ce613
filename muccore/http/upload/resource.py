# -*- test-case-name: tests.http.upload.test_resource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Files by HTTP: C{PUT} into a slot, C{GET} and C{HEAD} by whoever knows the URL (XEP-0363 §7).

A file never changes, so it may be cached until it expires, and its id is its entity tag.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString, stringToDatetime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from muccore.http.headers import allowAnyOrigin, header, headerValues, plain
from muccore.http.upload.mediatypes import disposition, essence, served
from muccore.http.upload.ranges import NotSatisfiable, parseRange
from muccore.http.upload.receiving import UploadBody, UploadEnded
from muccore.http.upload.sending import UploadSender
from muccore.http.upload.service import PATH, Uploads
from muccore.http.upload.slots import Slot
from muccore.interfaces import StoreError
from muccore.interfaces.http import HTTPRefusal, IBodyResource, IHTTPRequest
from muccore.interfaces.uploads import Upload
from muccore.log.logger import Logger

RATE: Final = 4096
"""Bytes per second that a file has to bring while it is put."""

_METHODS: Final = b"OPTIONS, HEAD, GET, PUT"
_HEADERS: Final = b"Authorization, Content-Type"

_YEAR: Final = 365 * 86400

_POLICY: Final = b"default-src 'none'; media-src 'self'; frame-ancestors 'none'"
"""§9.1; some browsers show a file of sound or film in a page that loads it."""

_NO_SLOT: Final = "This is no URL that a file can be put to, or its time is over: request a new slot."

_BEARER: Final = "Bearer "

_log: Final = Logger()


@implementer(IBodyResource)
class UploadResource(Resource):
    """All files."""

    isLeaf = True

    def __init__(self, uploads: Uploads) -> None:
        super().__init__()
        self._uploads = uploads

    # PUT

    def openBody(self, request: Any, length: int) -> UploadBody | None:
        """See L{IBodyResource.openBody}."""
        allowAnyOrigin(request, _METHODS, _HEADERS)
        if request.method != b"PUT":
            return None
        slot = self._findSlot(request)
        promised = slot.upload
        if length != promised.size:
            status = 413 if length > promised.size else 400
            raise HTTPRefusal(status, f"The size of the file has to be {promised.size} bytes, as promised.")
        given = header(request, "Content-Type")
        kind = None if given is None else essence(given)
        if (given is not None and kind is None) or (slot.typed and kind not in (None, essence(promised.contentType))):
            raise HTTPRefusal(415, f"The type of the file has to be {promised.contentType}, as promised.")
        if slot.body is not None:
            raise HTTPRefusal(409, "The file is being uploaded.")
        return self._uploads.receive(request, slot)

    def _findSlot(self, request: Any) -> Slot:
        """Find the slot of a request; whatever is wrong with it, the answer is the same."""
        id, filename = _names(request.path)
        authorization = header(request, "Authorization") or ""
        token = authorization[len(_BEARER) :].strip() if authorization.startswith(_BEARER) else ""
        slot = self._uploads.slots.find(id)
        if slot is None or not slot.isToken(token) or slot.upload.filename != filename:
            raise HTTPRefusal(403, _NO_SLOT)
        return slot

    def render_PUT(self, request: Any) -> int:
        """Answer when the file is stored."""
        body = request.takeBody()
        if body is None:
            self._answer(request, 403, _NO_SLOT)
            return NOT_DONE_YET
        answering = body.finish()
        answering.addCallbacks(lambda _: (201, "The file is stored."), self._notStored)
        answering.addCallback(lambda answer: self._answer(request, *answer))
        answering.addErrback(lambda failure: _log.failure("a file cannot be taken", failure))
        return NOT_DONE_YET

    def _notStored(self, failure: Failure) -> tuple[int, str]:
        if failure.check(UploadEnded) is not None:
            return 403, "The account was removed."
        if failure.check(StoreError) is None:
            _log.failure("a file cannot be stored", failure)
            return 500, "The file cannot be stored."
        _log.error("a file cannot be stored: {error}", error=failure.getErrorMessage())
        return 507, "The file cannot be stored."

    def _answer(self, request: Any, status: int, text: str) -> None:
        if request.channel is not None:
            request.setResponseCode(status)
            request.setHeader(b"Cache-Control", b"no-store")
            body = plain(request, text)
            request.setHeader(b"Content-Length", b"%d" % len(body))
            request.write(body)
            request.finish()

    # GET, HEAD, OPTIONS

    def render_OPTIONS(self, request: Any) -> bytes:
        """Answer browsers that ask whether a page of another origin may use this."""
        request.setHeader(b"Allow", _METHODS)
        request.setResponseCode(204)
        return b""

    def render_GET(self, request: Any) -> int:
        """Send a file."""
        lost = request.notifyFinish()
        sending = Deferred.fromCoroutine(self._send(request, lost))
        sending.addErrback(lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    def _failed(self, request: Any, failure: Failure) -> None:
        if failure.check(StoreError) is not None:
            _log.error("a file cannot be read: {error}", error=failure.getErrorMessage())
        else:
            _log.failure("a file cannot be sent", failure)
        if request.channel is not None and not request.startedWriting:
            self._answer(request, 500, "The file cannot be read.")

    async def _send(self, request: Any, lost: Deferred[None]) -> None:
        uploads = self._uploads
        sender = UploadSender(request, uploads.store, uploads.clock, uploads.settings.readSize)
        lost.addErrback(lambda _: sender.connectionLost())
        id, filename = _names(request.path)
        upload = await self._uploads.store.find(id)
        now = self._uploads.now()
        if request.channel is None:
            return
        if upload is None or upload.filename != filename or (upload.expires is not None and upload.expires <= now):
            self._answer(request, 404, "There is no such file.")
            return
        self._describe(request, upload, now)
        if _isCached(request, upload):
            request.setResponseCode(304)
            request.finish()
            return
        try:
            start, end = self._range(request, upload)
        except NotSatisfiable:
            request.setHeader(b"Content-Range", b"bytes */%d" % upload.size)
            self._answer(request, 416, "The file is shorter.")
            return
        request.setHeader(b"Content-Length", b"%d" % (end - start))
        if request.method == b"HEAD" or await sender.send(upload.id, start, end):
            request.finish()

    def _describe(self, request: Any, upload: Upload, now: float) -> None:
        """Set the headers of a file."""
        kind, shown = served(upload.contentType)
        age = _YEAR if upload.expires is None else min(_YEAR, int(upload.expires - now))
        for name, value in (
            ("Content-Type", kind), ("Content-Disposition", disposition(upload.filename, shown)),
            ("ETag", _tag(upload)), ("Cache-Control", f"max-age={age}, immutable"), ("Accept-Ranges", "bytes"),
        ):  # fmt: skip
            request.setHeader(name.encode("ascii"), value.encode("ascii"))
        request.setHeader(b"Last-Modified", datetimeToString(upload.created))
        request.setHeader(b"Content-Security-Policy", _POLICY)

    def _range(self, request: Any, upload: Upload) -> tuple[int, int]:
        """Which bytes are sent; sets the status of a part."""
        condition, text = header(request, "If-Range"), header(request, "Range")
        if text is not None and request.method == b"GET" and condition in (None, _tag(upload)):
            part = parseRange(text, upload.size)
            if part is not None:
                request.setResponseCode(206)
                request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (part[0], part[1] - 1, upload.size))
                return part
        return 0, upload.size


def _names(path: bytes) -> tuple[str, str]:
    """The id and the name of a file in a path; empty if it is none."""
    id, slash, filename = path.removeprefix(PATH.encode("ascii") + b"/").partition(b"/")
    try:
        return (id.decode("ascii"), unquote_to_bytes(filename).decode("utf-8")) if slash else ("", "")
    except UnicodeDecodeError:
        return "", ""


def _tag(upload: Upload) -> str:
    return f'"{upload.id}"'


def _isCached(request: IHTTPRequest, upload: Upload) -> bool:
    """Whether the client has it already (RFC 9110 §13.1)."""
    tags = headerValues(request, "If-None-Match")
    if tags:
        return "*" in tags or any(tag.removeprefix("W/") == _tag(upload) for tag in tags)
    since = header(request, "If-Modified-Since")
    try:
        return since is not None and upload.created <= stringToDatetime(since.encode("latin-1"))
    except ValueError:
        return False
