# -*- test-case-name: tests.xmpp.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""vCards (XEP-0054) and the hashes of the avatars in them (XEP-0153)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, NamedTuple

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

_PNG: Final = "image/png"


class Photo(NamedTuple):
    """
    An avatar.

    @ivar type: its media type.
    @ivar encoded: it in Base64, without white space.
    @ivar hash: its SHA-1 hash, in hexadecimal.
    @ivar size: its bytes.
    """

    type: str
    encoded: str
    hash: str
    size: int


def photosOf(vCard: Element) -> list[Element]:
    """The photos of a vCard."""
    return [child for child in vCard.childElements() if child.name == "PHOTO" and child.uri == vCard.uri]


def photoHash(photo: Element) -> str:
    """
    The hash of an avatar, in hexadecimal (XEP-0153 §3.1).

    @return: C{""} for a photo without data, which is none (XEP-0153 §4.1).
    @raise StanzaError: as L{readPhoto}.
    """
    found = readPhoto(photo)
    return "" if found is None else found.hash


def readPhoto(photo: Element) -> Photo | None:
    """
    Read an avatar.

    @return: C{None} for a photo without data, which is none (XEP-0153 §4.1).
    @raise StanzaError: C{not-acceptable} if it is no image, C{bad-request} if it is not Base64.
    """
    encoded = "".join((photo.childText("BINVAL") or "").split())
    if not encoded:
        return None
    type = (photo.childText("TYPE") or "").strip().lower()
    if type and not type.startswith("image/"):
        raise StanzaError("not-acceptable", text="An avatar must be an image.")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise StanzaError("bad-request", text="The avatar is not valid Base64.") from None
    return Photo(type or _PNG, encoded, hashlib.sha1(data, usedforsecurity=False).hexdigest(), len(data))


def photoElement(photo: Photo) -> Element:
    """The element of a vCard for an avatar."""
    element = Element((ns.VCARD_TEMP, "PHOTO"))
    element.add("TYPE", text=photo.type)
    element.add("BINVAL", text=photo.encoded)
    return element


def photoUpdate(hash: str) -> Element:
    """What presence tells of an avatar (XEP-0153 §4.1); C{""}: that there is none."""
    x = Element((ns.VCARD_UPDATE, "x"))
    x.add("photo", text=hash)
    return x
