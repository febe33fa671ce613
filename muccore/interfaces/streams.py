# Copyright (c) The muccore authors. See LICENSE for details.
"""XML streams, as sessions use them."""

from __future__ import annotations

from zope.interface import Interface

from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered


class IStream(Interface):
    """What carries a session: a client's stream."""

    def send(stanza: Rendered, to: bytes) -> None:
        """
        Send one stanza: the only way out of a session. After the end nothing happens.

        @param to: as in L{IRoute.deliver}.
        """

    def close(error: StreamError | None) -> None:
        """End the stream: the error if there is one, the closing tag, then the connection."""
