# Copyright (c) The muccore authors. See LICENSE for details.
"""Streams, as sessions use them."""

from __future__ import annotations

from zope.interface import Interface

from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered


class IStream(Interface):
    """A stream of whole elements: the only way out of its session. After its end, calls do nothing."""

    def send(stanza: Rendered, to: bytes) -> None:
        """
        Send one stanza.

        @param to: as in L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}.
        """

    def sendNonza(element: bytes) -> None:
        """
        Send an element that is no stanza (XEP-0360).

        @param element: rendered; names with the prefix C{stream} are in the stream namespace.
        """

    def close(error: StreamError | None) -> None:
        """End the stream: send the error, if there is one, and the closing tag, then close the connection."""
