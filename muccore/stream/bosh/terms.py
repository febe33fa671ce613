# -*- test-case-name: tests.stream.bosh.test_requests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What client and server agree on when a session is created (XEP-0124 §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from muccore.stream.bosh.body import LAST_RID, Body
from muccore.stream.bosh.errors import BindingError

VERSION: Final = (1, 11)
"""The version of XEP-0124."""

WAIT: Final = 55
"""The longest wait in seconds: many reverse proxies give up after 60."""

HOLD: Final = 1
"""Requests that are kept waiting at most; the RECOMMENDED number."""

INACTIVITY: Final = 60
"""Seconds without a request after which a session ends."""

POLLING_INACTIVITY: Final = 90
"""The same for clients that poll."""

POLLING: Final = 5
"""Seconds between two empty requests at least."""

MAX_PAUSE: Final = 120
"""The longest pause, in seconds."""

CONTENT: Final = "text/xml; charset=utf-8"
"""The default content type of responses."""

_CONTENT: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+(?: *; *charset=\"?utf-8\"?)?", re.IGNORECASE)
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True)
class Terms:
    """
    The terms of a session; times are in seconds.

    @ivar version: that of the protocol, by the client's C{ver}; C{None} for a client that has none.
    @ivar wait: how long a request may be kept waiting; 0 for polling.
    @ivar hold: how many may be kept waiting.
    @ivar inactivity: how long there may be no request.
    @ivar acks: whether both sides acknowledge.
    @ivar content: the content type of responses.
    """

    version: str | None
    wait: int
    hold: int
    inactivity: int
    acks: bool
    content: str

    @property
    def requests(self) -> int:
        """How many requests the client may make at the same time; one more to pause or to end."""
        return self.hold + 1

    @property
    def polls(self) -> bool:
        """Whether each request is answered at once (§12)."""
        return not (self.hold and self.wait)

    @staticmethod
    def of(request: Body) -> Terms:
        """
        The terms for a request that creates a session.

        @raise BindingError: C{bad-request} for an attribute that cannot be understood.
        """
        wait = min(WAIT, request.number("wait", 0, LAST_RID, WAIT))
        hold = min(HOLD, request.number("hold", 0, LAST_RID, HOLD))
        content = request.text("content") or CONTENT
        if _CONTENT.fullmatch(content) is None:
            raise BindingError("bad-request", "The content type is not supported.")
        return Terms(
            version=_versionOf(request),
            wait=wait,
            hold=hold,
            inactivity=INACTIVITY if hold and wait else POLLING_INACTIVITY,
            acks=request.number("ack", 1, LAST_RID, 0) > 0,
            content=content,
        )

    def render(self, sid: str, rid: int) -> str:
        """Render them as attributes of the response."""
        found = {
            "sid": sid, "wait": self.wait, "requests": self.requests, "ver": self.version, "polling": POLLING,
            "inactivity": self.inactivity, "hold": self.hold, "maxpause": MAX_PAUSE, "ack": rid if self.acks else None,
        }  # fmt: skip
        return "".join(f" {name}='{value}'" for name, value in found.items() if value is not None)


def _versionOf(request: Body) -> str | None:
    """The lower of the two versions (§7.1)."""
    claimed = request.text("ver")
    if claimed is None:
        return None
    version = _VERSION.fullmatch(claimed)
    if version is None:
        raise BindingError("bad-request", "The version is invalid.")
    major, minor = min(VERSION, (int(version[1]), int(version[2])))
    return f"{major}.{minor}"
