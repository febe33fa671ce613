# Copyright (c) The muccore authors. See LICENSE for details.
"""Sessions: as streams use them, as handlers of their domain see them, and what they ask of their domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from zope.interface import Attribute, Interface

from muccore.interfaces.routing import IDomain, IRoute
from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered


class UserAgent(NamedTuple):
    """
    What a client has told about itself when it logged in (XEP-0388 §2.3). Nobody but its user may learn of it.

    @ivar id: a UUID of this installation, in lower case; C{""} for none.
    @ivar software: its name, as the client gives it.
    @ivar device: what it runs on, likewise.
    """

    id: str = ""
    software: str = ""
    device: str = ""


class ISession(IRoute):
    """One bound resource of an account."""

    jid = Attribute("The full L{JID}.")
    account = Attribute("The bare L{JID}.")
    fullText = Attribute("C{jid} as text, the C{from} of everything that the client sends.")
    stream = Attribute("The L{IStream}, or C{None} while there is none.")
    ended = Attribute("C{bool}: whether it has ended.")
    management = Attribute("Its L{IStreamManagement}, or C{None} while that is not enabled.")
    language = Attribute(
        "The C{xml:lang} for stanzas of the client that have none (RFC 6120 §8.1.5), or C{None}; the stream sets it."
    )
    userAgent = Attribute("The L{UserAgent} of its client, or C{None} if it has told nothing.")
    priority = Attribute("The priority of its presence; C{None} while unavailable. The presence handler sets it.")
    prioritySince = Attribute("When the priority was set, in seconds since the epoch. The presence handler sets it.")
    presence = Attribute(
        "Its latest broadcast presence, L{Rendered<muccore.xmpp.rendering.Rendered>}; C{None} while unavailable. The "
        "presence handler sets it."
    )
    interested = Attribute(
        "C{bool}: whether it has requested the roster, and so gets its changes (RFC 6121 §2.1.6). The roster handler "
        "sets it."
    )
    carbonsSince = Attribute(
        "Since when it gets copies of messages (XEP-0280), in seconds since the epoch, or C{None}. The carbons handler "
        "sets it."
    )
    userState = Attribute(
        "What is kept in memory of its account, an L{IUserState<muccore.interfaces.IUserState>}; C{None} until its "
        "first stanza is handled. The handler of these states sets it."
    )
    notifiedNodes = Attribute(
        "C{frozenset[str]}: the publish-subscribe nodes of whose events it is notified by its capabilities (XEP-0163), "
        "while it is available. The handler of personal eventing sets it."
    )
    wantsBlockList = Attribute(
        "C{bool}: whether it has requested the block list, and so gets its changes (XEP-0191). The blocking handler "
        "sets it."
    )
    accountArchive = Attribute("C{IUserDomain.accountArchive} of its domain.")
    directed = Attribute(
        "C{dict[str, JID]}: the addresses that have directed presence of this session, by full JID. The presence "
        "handler keeps it; a room adds itself if a place in it is taken back by something else than presence."
    )

    active = Attribute("C{bool}: whether it has a stream, and its client has not said that it is inactive (XEP-0352).")

    def deliverTracked(stanza: Rendered, to: bytes, tag: str) -> None:
        """
        Deliver a message, as L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}, that somebody keeps until the client
        has it: the L{IDeliveryObserver}s of the domain are told what has become of it.

        With stream management the client has it when it has acknowledged it, over however many streams; the tag is
        saved with the session. Without, when the kernel has taken all that waits for the client, which promises less.
        If the session ends before, it is not redelivered.

        @param tag: names it to those who are told.
        """

    def stanzaReceived(element: Element) -> None:
        """
        Handle a stanza of the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if it ends the stream.
        """

    def charge(sent: int, delay: float) -> None:
        """See L{IStream.charge<muccore.interfaces.IStream.charge>}."""

    def sendError(element: Element, error: StanzaError, by: str | None = None) -> None:
        """
        Refuse a stanza of the client, or drop it if it must not be answered.

        @param by: the address of the entity that refuses, if it is not the one addressed.
        """

    def setActive(active: bool) -> None:
        """
        Note whether somebody is using the client (XEP-0352). While nobody is, it is sent presence and chat states
        later; at the latest when somebody is again, or when its stream is lost.
        """

    def enableManagement(resumable: bool, maximum: int | None) -> IStreamManagement:
        """
        Enable stream management (XEP-0198), once.

        @param resumable: whether the client wants to resume the session.
        @param maximum: the time for which it wants that, in seconds.
        """

    def moveTo(stream: IStream) -> None:
        """Go on with another stream, instead of the one that it was bound with."""

    def streamLost(stream: IStream, final: bool) -> bool:
        """
        Note the end of a stream. Does nothing unless it is the session's present stream, so it is idempotent.

        @param final: whether the session ends in any case: the client has closed the stream, or the server has ended it
            with an error.
        @return: whether the session waits to be resumed.
        """


class IStreamManagement(Interface):
    """Stream management (XEP-0198) of a session."""

    id = Attribute("The SM-ID, or C{None} if the session cannot be resumed.")
    holdTime = Attribute("Seconds for which the session waits to be resumed.")
    handled = Attribute("C{int}: the stanzas received from the client since it was enabled, not reduced to 32 bits.")
    tracked = Attribute(
        "C{list[str]}: the tags of L{ISession.deliverTracked} that the client has not acknowledged, in order."
    )

    def acknowledge(handled: int) -> None:
        """
        Handle an acknowledgement.

        @param handled: the client's counter, modulo 2^32.
        @raise StreamError: C{undefined-condition} if it was not sent as many.
        """

    def checkAcknowledgements(tick: int, silence: int) -> bool:
        """
        Request an acknowledgement if something is not acknowledged.

        @param tick: the tick (L{muccore.net.timingwheel}).
        @param silence: ticks since the client has sent anything.
        @return: whether the client is not overdue with an earlier one.
        """

    def mark() -> None:
        """
        Note the time, since which sessions of the account get messages that they did not get before: what is sent from
        now on is known to be later, when it is to be redelivered.
        """

    def attach(stream: IStream) -> None:
        """Send on a resumed stream what was not acknowledged, and everything from now on."""


class ResumptionFailed(Exception):
    """
    A session cannot be resumed.

    @ivar condition: the condition of a stanza error.
    @ivar handled: the counter of stanzas received in that session, if it is remembered.
    """

    def __init__(self, condition: str, handled: int | None = None) -> None:
        super().__init__(condition)
        self.condition = condition
        self.handled = handled


class ISessionBinder(Interface):
    """Binds a session to an authenticated stream (RFC 6120 §7)."""

    def bind(account: JID, resource: str | None, stream: IStream, client: str = "") -> ISession:
        """
        Bind a resource. A session that has it gets the stream error C{conflict}.

        @param account: the bare JID.
        @param resource: the resource requested, not yet prepared; C{None} has the server generate one.
        @param client: the id of the L{UserAgent}: earlier sessions of the same client end as well (XEP-0386 §3.2).
        @raise StanzaError: C{bad-request} for an invalid resource, C{resource-constraint} above the limit of sessions.
        """

    def resume(account: JID, id: str, handled: int, stream: IStream) -> ISession:
        """
        Resume a session (XEP-0198). Its present stream, if there is one, gets the stream error C{conflict}. Nothing is
        sent before L{IStreamManagement.attach}.

        @param account: the bare JID.
        @param id: the SM-ID.
        @param handled: the client's counter, modulo 2^32.
        @raise ResumptionFailed: C{item-not-found} if there is no such session of that account, or too much is missing;
            C{feature-not-implemented} if sessions cannot be resumed.
        @raise StreamError: as L{IStreamManagement.acknowledge}.
        """


class ISessions(ISessionBinder):
    """The sessions of all accounts, of every user domain of this server."""

    def __len__() -> int:
        """Count all sessions."""

    def __iter__() -> Iterator[ISession]:
        """Iterate over all sessions of this moment; they may end during the iteration."""

    def forAccount(account: str) -> Mapping[str, ISession]:
        """Get the sessions of an account, a bare JID as text, by resource. Not a copy."""

    def isInUse(account: str) -> bool:
        """Whether an account, a bare JID as text, has sessions, or some of whose end its domain is still to be told."""

    def isRedelivering(account: str) -> bool:
        """Whether what sessions of an account, a bare JID as text, have not acknowledged is still being redelivered."""

    def byFullJID(jid: JID) -> ISession | None:
        """Get the session with a full JID, or C{None}."""

    def postpone(domain: IUserDomain, element: Element, to: JID) -> bool:
        """
        Have a stanza L{received<IUserDomain.receive>} later if its account is being redelivered earlier ones, to keep
        their order (RFC 6120 §10.1).

        @return: whether it was postponed.
        """

    def terminate(session: ISession, error: StreamError) -> None:
        """End a session for good, even if it waits to be resumed; its stream is closed with an error."""

    def addDomain(domain: IUserDomain) -> None:
        """Add the domain of accounts, before their sessions are bound."""


class ISessionObserver(Interface):
    """A handler of a user domain that is told when sessions end."""

    def sessionEnded(session: ISession) -> None:
        """
        Note the end of a session, which is no longer among L{ISessions} and sends nothing any more. It ended in an
        earlier turn of the reactor, unless another session is about to have its JID.
        """


class IDeliveryObserver(Interface):
    """A handler of a user domain that is told what has become of tracked messages."""

    def deliverySettled(session: ISession, tags: Sequence[str], delivered: bool) -> None:
        """
        Note what has become of messages of L{ISession.deliverTracked}; they may be those of others.

        @param tags: their tags, in order.
        @param delivered: whether the client has them; otherwise they are lost if nobody delivers them again.
        """


class IHeldMessageObserver(Interface):
    """A handler of a user domain that is told of messages to clients that are away."""

    def messageHeld(session: ISession, message: Rendered) -> None:
        """
        Note a message that a session keeps since it has no stream, or sends to a client that is not active (XEP-0352).
        What the session has asked for itself is none of these. Called for each session: it must not take long.
        """


class IUserDomain(IDomain):
    """A domain of accounts, as its handlers see it and its sessions use it."""

    sessions = Attribute("The L{ISessions} of this server.")
    accountArchive = Attribute(
        "The L{IAccountArchive<muccore.interfaces.IAccountArchive>} of its accounts, or C{None}: the first of its "
        "handlers that provides it."
    )
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

    def receive(element: Element, to: JID) -> None:
        """Filter and deliver a stanza to an account or a session: one that was postponed, when its turn has come."""

    def redeliver(element: Element, to: JID) -> None:
        """
        Deliver a stanza that a session has been given, but not its client, by RFC 6121 §8.5 to the other sessions, to
        the offline filters, or back. The inbound filters have had it; those for what is redelivered get it.
        """

    def sessionEnded(session: ISession) -> None:
        """Tell the handlers that are L{ISessionObserver}s. Never fails."""

    def deliverySettled(session: ISession, tags: Sequence[str], delivered: bool) -> None:
        """Tell the handlers that are L{IDeliveryObserver}s. Never fails."""

    def messageHeld(session: ISession, message: Rendered) -> None:
        """Tell the handlers that are L{IHeldMessageObserver}s. Never fails."""
