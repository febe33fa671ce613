# Copyright (c) The muccore authors. See LICENSE for details.
"""
The interfaces between the floors, each with what it promises and the errors that belong to it.

Whatever may have to wait answers with a L{Deferred}, in memory too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from twisted.words.protocols.jabber.ijabber import IXMPPHandler, IXMPPHandlerCollection
from zope.interface import Attribute, Interface

from muccore.credentials import ScramKeys
from muccore.element import Element, Rendered
from muccore.errors import StreamError
from muccore.jid import JID

# Delivery


class IRoute(Interface):
    """
    Where a rendered stanza can go: a session here; later a link to a domain or to a node.
    """

    def deliver(stanza: Rendered, to: bytes) -> None:
        """
        Take one stanza for this route.

        Never fails, never waits and never calls back into the caller: what becomes of a broken connection is found
        out later.

        @param stanza: rendered once, for however many.
        @param to: the C{to} attribute for this one, from L{muccore.element.toAttribute}.
        """


class ICarrier(Interface):
    """
    What carries a session: a client's stream.
    """

    def write(data: bytes) -> None:
        """
        Send whole stanzas.
        """

    def close(error: StreamError | None) -> None:
        """
        End the stream: the error if there is one, the closing tag, then the connection.
        """


class ISession(IRoute):
    """
    One bound resource of one account.
    """

    jid = Attribute("The full L{JID}.")
    carrier = Attribute("The L{ICarrier}, or C{None} while there is none.")

    def received(element: Element) -> None:
        """
        A stanza has come from the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if the stream has to end for it.
        """

    def carrierLost(carrier: ICarrier, clean: bool) -> None:
        """
        A carrier is gone. Nothing happens if it is not the one that carries this session now, so calling it again
        changes nothing.

        @param clean: the client has closed its stream, rather than vanished.
        """


class IBinder(Interface):
    """
    Where a stream that has authenticated finds its session (RFC 6120 §7).
    """

    def bind(account: JID, resource: str | None, carrier: ICarrier) -> ISession:
        """
        Bind a resource. A session that had it gets the stream error C{conflict}.

        @param account: the bare JID.
        @param resource: the resource asked for, not yet prepared, or C{None}: the server makes one up.
        @raise StanzaError: C{bad-request} for a resource that may not be, C{resource-constraint} for one too many.
        """


class IRouter(Interface):
    """
    Finds the way for a stanza.
    """

    def route(element: Element, to: JID) -> None:
        """
        Give the stanza to whoever answers for C{to}; what cannot be delivered is answered with an error stanza.

        @param element: with C{from} and C{to}.
        @param to: its C{to}, parsed.
        """

    def routeTo(jid: JID) -> IRoute | None:
        """
        The route to a full JID, or C{None} if nobody is there.
        """


class IDomain(IXMPPHandlerCollection):
    """
    One host of this server and its handlers; a handler's C{parent}.
    """

    name = Attribute("The host name, C{str}.")
    clock = Attribute("An L{IReactorTime} provider; what its calls write is flushed when they return.")
    xmlstream = Attribute("The C{EventDispatcher} that stock wokkel handlers observe and C{send} to.")

    def received(element: Element, to: JID) -> None:
        """
        Handle a stanza that is addressed to this host or to an address at it.
        """

    def send(element: Element) -> None:
        """
        Route a stanza by its C{to}.
        """

    def routeTo(jid: JID) -> IRoute | None:
        """
        See L{IRouter.routeTo}.
        """

    def request(request: Any) -> Deferred[Element]:
        """
        Send an IQ request and wait for its answer, as wokkel's C{StreamManager.request} does.

        @param request: a C{wokkel.generic.Request}.
        """

    def shutDown() -> Deferred[None]:
        """
        The server is about to stop: let the handlers that have a C{shutDown} say goodbye to those whom they serve
        (XEP-0045 §11.2), and wait for them.
        """


# Accounts


class StoreError(Exception):
    """
    A store did not do what it was asked for. C{str()} of it is a line for the operator.
    """


class StoreUnavailable(StoreError):
    """
    The store cannot be opened, read or written.
    """


class SchemaTooNew(StoreError):
    """
    A newer muccore has written this store.
    """


class BadDescription(ValueError):
    """
    The argument of a describing string such as C{sqlite:PATH} is not understood; C{str()} of it says why and what is.
    """


class NoSuchUser(StoreError):
    """
    There is no account of that name.
    """


class UserExists(StoreError):
    """
    There is an account of that name already.
    """


class IStore(Interface):
    """
    Something durable that is opened at start and closed at the end.

    A store may have a method C{tryOut()} besides, without arguments: it is called before the server goes into the
    background, and raises L{StoreError} if the store could not be opened. It must leave nothing running.
    """

    def open() -> Deferred[None]:
        """
        Make ready; create or migrate the schema.

        @raise StoreUnavailable: (as failure) with a line that names the store and the trouble.
        @raise SchemaTooNew: (as failure) likewise.
        """

    def close() -> Deferred[None]:
        """
        Finish: when it fires, everything that was accepted is durable. Calling it twice is harmless.
        """


class IAccounts(IStore):
    """
    Who may log in. User names are prepared localparts.
    """

    hashes = Attribute(
        "C{frozenset[str]}: the SCRAM hashes whose keys it keeps, e.g. C{'SHA-256'}; empty if it only checks passwords."
    )
    loopbackOnly = Attribute("C{bool}: so permissive that it may serve loopback listeners only.")

    def scramKeys(user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        A user's keys for one hash, or C{None} if there is no such user.
        """

    def checkPassword(user: str, password: str) -> Deferred[bool]:
        """
        Whether the password is right. Takes as long for an unknown user as for a known one, and never blocks the
        reactor.

        @param password: not yet prepared by SASLprep.
        """


class IAccountStore(IAccounts):
    """
    Accounts that muccore itself keeps, as SCRAM keys only.
    """

    def create(user: str, password: str) -> Deferred[None]:
        """
        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if the password may not be (RFC 4013) or is empty.
        """

    def setPassword(user: str, password: str) -> Deferred[None]:
        """
        @raise NoSuchUser: (as failure)
        @raise ValueError: (as failure) as L{create}.
        """

    def delete(user: str) -> Deferred[None]:
        """
        @raise NoSuchUser: (as failure)
        """

    def users() -> Deferred[list[str]]:
        """
        All user names, sorted.
        """


# Rooms


@dataclass(frozen=True)
class Affiliate:
    """
    One entry of a room's list. Plain words, so that a store need not know what they mean.

    @ivar affiliation: C{owner}, C{admin}, C{member}, C{outcast} or C{none} (then there is only a nick).
    @ivar nick: the nick reserved for this user in this room, or C{None}.
    @ivar reason: why, as the one who gave it put it, or C{None}.
    """

    affiliation: str
    nick: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Subject:
    """
    A room's subject.

    @ivar text: the subject; C{""} if it was cleared.
    @ivar nick: the nick of who set it; C{""} for the room itself.
    @ivar stamp: when, in seconds since the epoch.
    """

    text: str
    nick: str
    stamp: float


@dataclass(frozen=True)
class RoomRecord:
    """
    A room as it is written down.

    @ivar settings: its configuration: names of L{muccore.muc.settings} to JSON values (C{str}, C{int}, C{bool},
        lists of C{str}).
    @ivar affiliates: bare JID or domain to L{Affiliate}.
    @ivar subject: its subject, or C{None} if it never had one.
    @ivar name: its natural-language name, for listing without reading the settings.
    @ivar public: whether it is listed.
    @ivar temporary: whether it ends when its last occupant leaves.
    """

    settings: Mapping[str, Any]
    affiliates: Mapping[str, Affiliate]
    subject: Subject | None = None
    name: str = ""
    public: bool = True
    temporary: bool = False


@dataclass(frozen=True)
class RoomChange:
    """
    What changes in a room that is stored, all of it or nothing.

    @ivar affiliates: bare JID or domain to its new entry; C{None} removes it.
    @ivar settings: the whole new configuration, or C{None} if it stays. With it come C{name}, C{public} and
        C{temporary}.
    @ivar subject: the new subject, or C{None} if it stays.
    """

    affiliates: Mapping[str, Affiliate | None] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = None
    name: str = ""
    public: bool = True
    temporary: bool = False
    subject: Subject | None = None


@dataclass(frozen=True)
class PublicRooms:
    """
    A page of the list of public rooms.

    @ivar rooms: C{(room, name)}, sorted by room.
    @ivar index: how many public rooms stand before the first of these.
    @ivar count: how many public rooms there are in all.
    """

    rooms: Sequence[tuple[str, str]]
    index: int
    count: int


class IRoomStore(IStore):
    """
    Rooms with their configuration and affiliations. A room is named by its bare JID.

    Calls for one room are carried out in the order in which they were made. A write's Deferred fires when it is
    durable; when it fails with L{StoreError}, nothing of it has been done.
    """

    def load(room: str) -> Deferred[RoomRecord | None]:
        """
        A room, or C{None} if it is not stored.
        """

    def save(room: str, record: RoomRecord) -> Deferred[None]:
        """
        Write a whole room, instead of whatever was stored under that name.
        """

    def change(room: str, change: RoomChange) -> Deferred[None]:
        """
        Change a stored room.

        @raise StoreError: (as failure) also if the room is not stored.
        """

    def destroy(room: str) -> Deferred[None]:
        """
        Forget a room and everything that belongs to it. Forgetting one that is not stored is no error.
        """

    def publicRooms(domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """
        A page of the public rooms of a domain, sorted by name: those right behind C{after}, or those right before
        C{before} (C{""}: the last ones), or the first ones.

        @param limit: how many at the most; 0 for none (only the count).
        """

    def temporaryRooms(domain: str) -> Deferred[list[str]]:
        """
        The temporary rooms of a domain that are stored.
        """


# Plugins


class IStoreFactory(IPlugin):
    """
    Makes stores of one kind; found with C{getPlugins}, chosen by C{scheme:argument}.
    """

    purpose = Attribute("C{'accounts'} (the stores provide L{IAccounts}) or C{'rooms'} (L{IRoomStore}).")
    scheme = Attribute("The word before the colon.")
    help = Attribute("One line for the configuration reference: what the argument means.")

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        """
        Make a store that is not open yet; touches no file.

        @param argument: what stands behind the colon.
        @param base: the folder that relative paths start from.
        @param reactor: for threads and time.
        @raise BadDescription: if the argument is not understood.
        """


class IHandlerFactory(IPlugin):
    """
    Makes handlers of one protocol; found with C{getPlugins}, named in the configuration.
    """

    name = Attribute("The word that names it in the configuration.")
    help = Attribute("One line for the configuration reference.")

    def makeHandler(argument: str) -> IXMPPHandler:
        """
        Make a handler for one domain.

        @param argument: what stands behind the colon in the configuration, or C{""}.
        @raise BadDescription: if the argument is not understood.
        """


__all__ = [
    "Affiliate",
    "BadDescription",
    "IAccountStore",
    "IAccounts",
    "IBinder",
    "ICarrier",
    "IDomain",
    "IHandlerFactory",
    "IReactorTime",
    "IRoomStore",
    "IRoute",
    "IRouter",
    "ISession",
    "IStore",
    "IStoreFactory",
    "IXMPPHandler",
    "NoSuchUser",
    "PublicRooms",
    "RoomChange",
    "RoomRecord",
    "SchemaTooNew",
    "StoreError",
    "StoreUnavailable",
    "Subject",
    "UserExists",
]
