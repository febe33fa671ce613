# -*- test-case-name: tests.http.upload.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Slots for users of a domain (XEP-0363): the domain of the accounts is the upload service itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from wokkel import data_form, disco

from muccore.http.upload.mediatypes import essence
from muccore.http.upload.service import Uploads
from muccore.routing.handler import HOST, Handler
from muccore.xmpp import jid, ns
from muccore.xmpp.datetimes import parseStamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

NAME_SIZE: Final = 255
"""The most bytes of the name of a file: what file systems allow."""

_SIZE: Final = re.compile(r"\+?0*([1-9][0-9]*)")
"""C{xs:positiveInteger}"""

_DIGITS: Final = 18
"""What has more is too large in any case."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufffe\uffff]")


class UploadHandler(Handler):
    """
    Answers requests for slots.

    @ivar guests: whether the domain has guests, who may not upload.
    """

    implements = (Spec(363, "HTTP File Upload", "1.2.0", "The purposes message and ephemeral."),)

    def __init__(self, uploads: Uploads) -> None:
        super().__init__()
        self.guests = False
        self._uploads = uploads

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: identity, features, and the size limit (§3)."""
        if target.user or nodeIdentifier or self._uploads.baseURL(self.parent.name) is None:
            return []
        size = data_form.Field("text-single", "max-file-size", str(self._uploads.settings.fileSize))
        return [
            disco.DiscoIdentity("store", "file", "HTTP File Upload"),
            disco.DiscoFeature(ns.HTTP_UPLOAD),
            *(disco.DiscoFeature(f"{ns.HTTP_UPLOAD_PURPOSE}#{purpose}") for purpose in ("message", "ephemeral")),
            data_form.Form("result", formNamespace=ns.HTTP_UPLOAD, fields=[size]),
        ]

    async def onRequest(self, element: Element, to: JID) -> Element:
        """§4"""
        base = self._uploads.baseURL(self.parent.name)
        if base is None:
            raise StanzaError("service-unavailable")
        sender = jid.parse(element.attributes["from"])
        isUser = sender.local and sender.domain == self.parent.name
        if not isUser or (self.guests and isGuestName(sender.local)):
            raise StanzaError("forbidden", text="Only users of this server may upload files.")
        request = next(element.childElements())
        filename, size, kind = _filename(request), _size(request), _contentType(request)
        slot = await self._uploads.promise(sender, filename, size, kind, self._until(request))
        url = self._uploads.url(base, slot.upload)
        answer = Element((ns.HTTP_UPLOAD, "slot"))
        put = answer.add("put", url=url)
        put.add("header", text=f"Bearer {slot.token}", name="Authorization")
        answer.add("get", url=url)
        return answer

    def _until(self, request: Element) -> float | None:
        """When the file must not be served any more (§5.3)."""
        ephemeral = request.child("ephemeral", ns.HTTP_UPLOAD_PURPOSE)
        if ephemeral is None:
            return None
        try:
            until = parseStamp(ephemeral.get("expire-before") or "")
        except (ValueError, OverflowError):
            raise StanzaError("bad-request", text="expire-before has to be a time (XEP-0082).") from None
        if until <= self._uploads.now():
            raise StanzaError("not-acceptable", text="The time in expire-before is over.")
        return until

    iqs = {("get", HOST, ns.HTTP_UPLOAD, "request"): onRequest}


def _filename(request: Element) -> str:
    filename = request.get("filename") or ""
    if not filename or "/" in filename or filename in (".", "..") or _CONTROL.search(filename):
        raise StanzaError("bad-request", text="The name of the file is missing or invalid.")
    if len(filename.encode()) > NAME_SIZE:
        raise StanzaError("bad-request", text=f"The name of the file is longer than {NAME_SIZE} bytes.")
    return filename


def _size(request: Element) -> int:
    match = _SIZE.fullmatch(request.get("size") or "")
    if match is None:
        raise StanzaError("bad-request", text="The size of the file is missing or invalid.")
    return int(match[1]) if len(match[1]) <= _DIGITS else 10**_DIGITS


def _contentType(request: Element) -> str | None:
    kind = request.get("content-type")
    if kind is None or not kind.strip():
        return None
    if essence(kind) is None:
        raise StanzaError("bad-request", text="The type of the file is invalid.")
    return kind.strip()
