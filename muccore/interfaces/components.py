# Copyright (c) The muccore authors. See LICENSE for details.
"""External components (XEP-0114), as their streams use them."""

from __future__ import annotations

from zope.interface import Attribute

from muccore.interfaces.routing import IDestination
from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element


class IComponent(IDestination):
    """A domain whose stanzas go through a stream, and come back with an error while there is none."""

    name = Attribute("Its domain, C{str}.")
    jid = Attribute("Its domain, as a L{JID<muccore.xmpp.jid.JID>}.")
    management = Attribute("C{None}: there is no stream management (XEP-0198).")
    stream = Attribute("The L{IStream}, or C{None} while it is not connected.")

    def connect(stream: IStream, language: str | None = None) -> None:
        """
        Use an authenticated stream; L{StreamError} C{conflict} if there is one: the first stays.

        @param language: the C{xml:lang} for stanzas of the component that have none (RFC 6120 §8.1.5).
        """

    def stanzaReceived(element: Element) -> None:
        """
        Route a stanza of the component.

        @param element: in C{jabber:client}; the component owns it from now on.
        @raise StreamError: if it ends the stream.
        """

    def streamLost(stream: IStream, final: bool) -> bool:
        """
        Note the end of a stream, and tell the L{IDomainObserver<muccore.interfaces.IDomainObserver>}s.
        Does nothing unless it is the present stream.

        @return: C{False}: the component cannot resume.
        """
