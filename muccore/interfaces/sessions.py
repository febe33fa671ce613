# Copyright (c) The muccore authors. See LICENSE for details.
"""Sessions, as streams use them."""

from __future__ import annotations

from zope.interface import Attribute, Interface

from muccore.interfaces.routing import IRoute
from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


class ISession(IRoute):
    """One bound resource of one account."""

    jid = Attribute("The full L{JID}.")
    stream = Attribute("The L{IStream}, or C{None} while there is none.")
    language = Attribute(
        "The C{xml:lang} for stanzas of the client that have none (RFC 6120 §8.1.5), or C{None}; the carrier sets it."
    )

    def stanzaReceived(element: Element) -> None:
        """
        A stanza has come from the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if the stream has to end for it.
        """

    def streamLost(carrier: IStream, clean: bool) -> None:
        """
        A carrier is gone. Nothing happens if it is not the one that carries this session now, so calling it again
        changes nothing.

        @param clean: the client has closed its stream, rather than vanished.
        """


class ISessionBinder(Interface):
    """Where a stream that has authenticated finds its session (RFC 6120 §7)."""

    def bind(account: JID, resource: str | None, carrier: IStream) -> ISession:
        """
        Bind a resource. A session that had it gets the stream error C{conflict}.

        @param account: the bare JID.
        @param resource: the resource asked for, not yet prepared, or C{None}: the server makes one up.
        @raise StanzaError: C{bad-request} for a resource that may not be, C{resource-constraint} for one too many.
        """
