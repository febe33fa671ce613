# Copyright (c) The muccore authors. See LICENSE for details.
"""Sessions: as streams use them, as handlers of their domain see them, and what they ask of their domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zope.interface import Attribute, Interface

from muccore.interfaces.routing import IDomain, IRoute
from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID


class ISession(IRoute):
    """One bound resource of an account."""

    jid = Attribute("The full L{JID}.")
    account = Attribute("The bare L{JID}.")
    fullText = Attribute("C{jid} as text, the C{from} of everything that the client sends.")
    stream = Attribute("The L{IStream}, or C{None} while there is none.")
    ended = Attribute("C{bool}: whether it has ended.")
    language = Attribute(
        "The C{xml:lang} for stanzas of the client that have none (RFC 6120 §8.1.5), or C{None}; the stream sets it."
    )
    priority = Attribute("The priority of its presence; C{None} while unavailable. The presence handler sets it.")
    presence = Attribute(
        "Its latest broadcast presence, L{Rendered<muccore.xmpp.rendering.Rendered>}; C{None} while unavailable. The "
        "presence handler sets it."
    )
    directed = Attribute(
        "C{dict[str, JID]}: the addresses that have directed presence of this session, by full JID. The presence "
        "handler keeps it."
    )

    def stanzaReceived(element: Element) -> None:
        """
        Handle a stanza of the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if it ends the stream.
        """

    def sendError(element: Element, error: StanzaError, by: str | None = None) -> None:
        """
        Refuse a stanza of the client, or drop it if it must not be answered.

        @param by: the address of the entity that refuses, if it is not the one addressed.
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


class ISessions(ISessionBinder):
    """The sessions of all accounts, of every user domain of this server."""

    def __len__() -> int:
        """Count all sessions."""

    def __iter__() -> Iterator[ISession]:
        """Iterate over all sessions of this moment; they may end during the iteration."""

    def forAccount(account: str) -> Mapping[str, ISession]:
        """
        Get the sessions of an account by resource. Not a copy.

        @param account: the bare JID as text.
        """

    def byFullJID(jid: JID) -> ISession | None:
        """Get the session with a full JID, or C{None}."""

    def addDomain(domain: IUserDomain) -> None:
        """Add the domain of accounts, before their sessions are bound."""


class ISessionObserver(Interface):
    """A handler of a user domain that is told when sessions end."""

    def sessionEnded(session: ISession) -> None:
        """Note the end of a session, which is no longer among L{ISessions} and sends nothing any more."""


class IUserDomain(IDomain):
    """A domain of accounts, as its handlers see it and its sessions use it."""

    sessions = Attribute("The L{ISessions} of this server.")
    outbound = Attribute(
        "C{Mapping[str, tuple]}: the outbound filters for C{message}, C{presence} and C{iq}, so that a session calls "
        "L{filterOutbound} only if there are any. Not to be kept: it changes with the handlers."
    )

    def filterOutbound(session: ISession, element: Element, to: JID | None) -> Element | None:
        """
        Pass a stanza of a client through the outbound filters (L{muccore.interfaces.filters}).

        @param to: its address; C{None} for presence without one.
        @return: what is to be routed, or C{None} for nothing: a filter has consumed it, or it was refused.
        """

    def redeliver(element: Element, to: JID) -> None:
        """
        Deliver a stanza that a session has been given, but not its client, by RFC 6121 §8.5 to the other sessions, to
        the offline filters, or back. The inbound filters have had it.
        """

    def sessionEnded(session: ISession) -> None:
        """Tell the handlers that are L{ISessionObserver}s. Never fails."""
