# -*- test-case-name: tests.http.upload.test_mediatypes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Media types of files, and how files are served so that no browser takes one for a page, a script or a style.

What browsers only show or play is served as what it is. All else is served as bytes to be saved: the site may have
pages of its own, to which a script from there would belong.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

OCTETS: Final = "application/octet-stream"
"""The type of what has no other."""

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TYPE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})(?:[ \t]*;[ \t]*(?:{_TOKEN}=(?:{_TOKEN}|\"[^\"\\\x00-\x1f\x7f]*\"))?)*")

_TYPE_SIZE: Final = 255

_SHOWN: Final = frozenset(
    ["image/apng", "image/avif", "image/bmp", "image/gif", "image/heic", "image/heif", "image/jpeg", "image/jxl",
     "image/png", "image/tiff", "image/webp"]
)  # fmt: skip
"""Images without scripts: SVG may have some."""

_PLAYED: Final = re.compile(r"(audio|video)/[a-z0-9.+-]+")


def essence(contentType: str) -> str | None:
    """Type and subtype of a media type, in lower case and without parameters; C{None} if it is invalid."""
    if not contentType.isascii() or len(contentType) > _TYPE_SIZE:
        return None
    match = _TYPE.fullmatch(contentType.strip())
    return None if match is None else match[1].lower()


def served(contentType: str) -> tuple[str, bool]:
    """
    As what a file is served.

    @param contentType: its type.
    @return: its type in the response, and whether browsers may show it instead of saving it.
    """
    kind = essence(contentType)
    if kind == "text/plain":
        return "text/plain; charset=utf-8", True
    if kind is not None and (kind in _SHOWN or (_PLAYED.fullmatch(kind) and not kind.endswith("xml"))):
        return kind, True
    return OCTETS, False


def disposition(filename: str, shown: bool) -> str:
    """The header C{Content-Disposition} (RFC 6266)."""
    return f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(filename, safe='')}"
