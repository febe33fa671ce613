# -*- test-case-name: tests.stream.sasl2.test_heldstream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a session is sent before its client knows of it.

A client that binds a resource is told what its archive has (XEP-0386 §3.2). That is asked for when the session exists
already: what arrives in between is in what the client is told, or is sent to it, or both. The other way round,
something could be in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from zope.interface import implementer

from muccore.interfaces import ISession, IStream
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered

LIMIT: Final = 1000
"""What may be kept; with more the log-in fails."""


@implementer(IStream)
class HeldStream:
    """
    Stands in for the stream of a client until its log-in has succeeded.

    @ivar full: whether more has arrived than is kept.
    """

    def __init__(self, stream: IStream) -> None:
        self.full = False
        self._stream = stream
        self._kept: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    @property
    def address(self) -> str:
        """See L{IStream}."""
        return str(self._stream.address)

    @property
    def secure(self) -> bool:
        """See L{IStream}."""
        return bool(self._stream.secure)

    def _keep(self, function: Callable[..., None], *arguments: Any) -> None:
        if len(self._kept) < LIMIT:
            self._kept.append((function, arguments))
        else:
            # Not ended here: others may be in the middle of a broadcast.
            self.full = True

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream.send}."""
        self._keep(self._stream.send, stanza, to)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IStream.sendAll}."""
        self._keep(self._stream.sendAll, stanzas, to)

    def sendNonza(self, element: bytes) -> None:
        """See L{IStream.sendNonza}."""
        self._keep(self._stream.sendNonza, element)

    def isWaiting(self) -> bool:
        """See L{IStream.isWaiting}."""
        return bool(self._kept) or bool(self._stream.isWaiting())

    def charge(self, sent: int, delay: float) -> None:
        """See L{IStream.charge}."""
        self._stream.charge(sent, delay)

    def close(self, error: StreamError | None) -> None:
        """See L{IStream.close}."""
        self._stream.close(error)

    def release(self, session: ISession) -> None:
        """Send what was kept, and let the session go on with the stream itself."""
        session.moveTo(self._stream)
        kept, self._kept = self._kept, []
        for function, arguments in kept:
            function(*arguments)
