# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Headers of requests and responses."""

from __future__ import annotations

from typing import Final

from twisted.web.iweb import IRequest

SAFE: Final = {
    b"X-Content-Type-Options": b"nosniff",
    b"Content-Security-Policy": b"default-src 'none'; frame-ancestors 'none'",
    b"Referrer-Policy": b"no-referrer",
}
"""What every response has unless its resource replaces it."""

_PREFLIGHT_AGE: Final = b"7200"
"""Seconds for which browsers may keep the answer to a preflight request."""


def headerValues(request: IRequest, name: str) -> list[str]:
    """The elements of a header that is a list. Any bytes are text, as in ISO 8859-1."""
    lines = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
    return [value.strip() for line in lines for value in line.decode("latin-1").split(",")]


def header(request: IRequest, name: str) -> str | None:
    """A header that is no list, the last one if there are several; C{None} without one. See L{headerValues}."""
    lines = request.requestHeaders.getRawHeaders(name.encode("ascii"))
    return lines[-1].decode("latin-1") if lines else None


def plain(request: IRequest, text: str) -> bytes:
    """Answer with plain text; return the body."""
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()


def allowAnyOrigin(request: IRequest, methods: bytes, headers: bytes = b"Content-Type") -> None:
    """
    Let pages of any origin use a resource (CORS). The reader's browser knows nothing for it: there are no cookies.

    @param methods: the methods that they may use, separated by commas.
    @param headers: the headers that they may send.
    """
    request.setHeader(b"Access-Control-Allow-Origin", b"*")
    if request.method == b"OPTIONS":
        request.setHeader(b"Access-Control-Allow-Methods", methods)
        request.setHeader(b"Access-Control-Allow-Headers", headers)
        request.setHeader(b"Access-Control-Max-Age", _PREFLIGHT_AGE)
