# Copyright (c) The muccore authors. See LICENSE for details.
"""Sessions, as streams use them."""

from __future__ import annotations

from zope.interface import Attribute, Interface

from muccore.interfaces.routing import IRoute
from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


class ISession(IRoute):
    """One bound resource of an account."""

    jid = Attribute("The full L{JID}.")
    stream = Attribute("The L{IStream}, or C{None} while there is none.")
    language = Attribute(
        "The C{xml:lang} for stanzas of the client that have none (RFC 6120 §8.1.5), or C{None}; the stream sets it."
    )

    def stanzaReceived(element: Element) -> None:
        """
        Handle a stanza of the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if it ends the stream.
        """

    def streamLost(stream: IStream, clean: bool) -> None:
        """
        Note the end of a stream. Does nothing unless it is the session's present stream, so it is idempotent.

        @param clean: whether the client closed the stream.
        """


class ISessionBinder(Interface):
    """Binds a session to an authenticated stream (RFC 6120 §7)."""

    def bind(account: JID, resource: str | None, stream: IStream) -> ISession:
        """
        Bind a resource. A session that has it gets the stream error C{conflict}.

        @param account: the bare JID.
        @param resource: the resource requested, not yet prepared; C{None} has the server generate one.
        @raise StanzaError: C{bad-request} for an invalid resource, C{resource-constraint} above the limit of sessions.
        """
