# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Sending stanzas on a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from muccore.xmpp.rendering import Rendered

SPLIT_WRITE_SIZE: Final = 4096
"""Bytes of a rendered stanza above which all recipients share it, instead of a copy for each."""


class StanzaSender:
    """
    The part of a stream that sends stanzas.

    @ivar transport: the transport.
    @ivar write: its method.
    """

    __slots__ = ()

    transport: Any
    write: Callable[[bytes], None]

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{muccore.interfaces.IStream.send}."""
        tail = stanza.tail
        if len(tail) <= SPLIT_WRITE_SIZE:
            self.write(stanza.head + to + tail)
        else:
            self.transport.writeSequence((stanza.head + to, tail))


__all__ = ["SPLIT_WRITE_SIZE", "StanzaSender"]
