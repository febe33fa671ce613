# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Headers of streams that were parsed before. Most clients send theirs in one piece, and as long as it does not contain
the JID of the client, all who use one library send the same to a host.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from muccore.stream.parser.events import StreamOpened

LIMIT: Final = 128
"""How many headers are remembered."""

SIZE: Final = 512
"""Size of a header up to which it is remembered, in bytes."""

_new = StreamOpened.__new__


class Header(NamedTuple):
    """
    A header, which binds the usual prefixes only.

    @ivar root: its event, never passed on itself: see L{event}.
    @ivar start: the start tag for new expat parsers.
    @ivar attributes: the number of its attributes, declarations included.
    """

    root: StreamOpened
    start: bytes
    attributes: int

    def event(self) -> StreamOpened:
        """The event, for one stream."""
        root = self.root
        event = _new(StreamOpened)
        event.uri = root.uri
        event.name = root.name
        event.attributes = dict(root.attributes)
        event.defaultUri = root.defaultUri
        event.localPrefixes = dict(root.localPrefixes)
        event.children = []
        event.parent = None
        event.handled = False
        return event


known: Final[dict[tuple[str, bytes], Header]] = {}
"""The headers, by the content namespace of the parser and their bytes."""


def remember(content: str, data: bytes, header: Header) -> None:
    """Remember a header, unless it is large; the oldest one is forgotten for it."""
    if len(data) <= SIZE:
        if len(known) >= LIMIT:
            del known[next(iter(known))]
        known[content, data] = header._replace(root=header.event())
