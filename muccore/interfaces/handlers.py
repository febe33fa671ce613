# -*- test-case-name: tests.interfaces.test_handlers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Handlers: the tables in which they declare what they handle, which their domain merges, and how plugins make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Final, TypeVar

from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface import Attribute

from muccore.interfaces.stores import BadDescription, IStore
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID


class AddressType(IntEnum):
    """
    What a stanza is addressed to, as seen from the domain that handles it.

    @cvar HOST: the domain itself, with or without a resource (RFC 6120 §10.5.2).
    @cvar BARE: an account, a room: C{local@domain}.
    @cvar FULL: a session of an account, an occupant of a room: C{local@domain/resource}.
    """

    HOST = 0
    BARE = 1
    FULL = 2


HOST: Final = AddressType.HOST
BARE: Final = AddressType.BARE
FULL: Final = AddressType.FULL


def isFromAccount(element: Element, to: JID) -> bool:
    """Whether a stanza to an account comes from a session of that account."""
    try:
        return jid.parse(element.attributes.get("from", "")).bare == to.bare
    except InvalidJID:
        return False


ANY: Final = "*"
"""In a table of stanzas: every type without a line of its own."""


class Outcome(Enum):
    """
    What a method of a handler may return besides a payload.

    @cvar ANSWERED: from a method for an IQ: it has answered, or will answer, by itself.
    @cvar NOT_HANDLED: at once, from a method that is declared with L{mayDecline}: the stanza is not its own. The next
        handler with that key is asked, then stock handlers; in the end the domain acts as without handlers.
    """

    ANSWERED = 0
    NOT_HANDLED = 1


ANSWERED: Final = Outcome.ANSWERED
NOT_HANDLED: Final = Outcome.NOT_HANDLED


StanzaKey = tuple[str, "str | None", AddressType]
IQKey = tuple[str, AddressType, str, str]
Key = StanzaKey | IQKey
Function = Callable[..., Any]
"""Called with the handler, the stanza and its address: a function defined in the handler's class."""

StanzaTable = Mapping[StanzaKey, Function]
IQTable = Mapping[IQKey, Function]

_F = TypeVar("_F", bound=Function)


def mayDecline(function: _F) -> _F:
    """
    Declare (as a decorator) that a method may return L{NOT_HANDLED}, which lets other handlers have the same key.

    A L{Deferred} would be too late: the sender's next stanza must not overtake this one (RFC 6120 §10.1).
    """
    function.__dict__["mayDecline"] = True
    return function


def answersAnyone(function: _F) -> _F:
    """
    Declare (as a decorator) that a method for IQs to accounts answers others than the account's owner too. It must
    answer alike for accounts that do not exist.
    """
    function.__dict__["answersAnyone"] = True
    return function


def canDecline(function: Function) -> bool:
    """Whether a function is declared with L{mayDecline}."""
    return getattr(function, "mayDecline", False)


def shownKey(key: Key) -> str:
    """Format a key as in the source of a table."""
    return f"({', '.join(part.name if isinstance(part, AddressType) else repr(part) for part in key)})"


class InvalidHandler(ValueError):
    """A handler cannot be added to a domain; C{str()} of it is one line with the reason."""


class ITableHandler(IXMPPHandler):
    """
    A handler that declares in tables what it handles. A handler without them is a stock wokkel handler, which observes
    the domain's C{xmlstream}.

    A table holds functions, so in a class body it follows the methods; the domain binds them to the handler. A subclass
    that overrides a method needs a table of its own.

    The accounts' domain has keys with L{HOST}, and keys of IQs with L{BARE}, which get what accounts send to themselves
    unless the method is declared with L{answersAnyone}. What users send each other is delivered (RFC 6121 §8.5).
    """

    stanzas = Attribute(
        "C{{(name, type, AddressType): function}} for messages, presence and responses to IQs. A message without a "
        "type, or with an unknown one (RFC 6121 §5.2.2), has the type C{'normal'}; available presence has C{None}."
    )
    iqs = Attribute(
        "C{{(type, AddressType, namespace of the payload, its name): function}} for IQs of type get and set. Those "
        "with other payloads are looked up in C{stanzas} as C{('iq', type, AddressType)}, for handlers that relay."
    )


class InvalidOption(BadDescription):
    """The option C{key} of a handler is invalid; C{str()} says what was found and what is allowed."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True)
class HandlerContext:
    """
    What a plugin makes a handler from.

    @ivar argument: the text after the colon in C{extra_handlers}, or C{""}.
    @ivar options: the section C{[handler:NAME]} of the configuration, C{NAME} being the plugin's name; the lines of a
        value are separated by line feeds.
    @ivar base: the folder of the configuration file, which is the base of relative paths.
    @ivar reactor: for time, threads and connections.
    @ivar stores: see L{store}.
    @ivar domain: the domain that the handler is made for; a plugin makes one for each.
    """

    argument: str
    options: Mapping[str, str]
    base: FilePath[str]
    reactor: Any
    stores: Mapping[str, IStore] = field(default_factory=dict)
    domain: str = ""

    def store(self, kind: str) -> Any:
        """
        Get a store of the server. It is open while the handler has a domain.

        @param kind: C{"accounts"} (L{muccore.interfaces.IAuthBackend}), C{"rooms"}
            (L{muccore.interfaces.IRoomStore}), C{"archive"} (L{muccore.interfaces.IArchiveStore}), C{"userdata"} (of
            the domain's users, L{muccore.interfaces.IUserDataStore}) or C{"pubsub"} (their nodes,
            L{muccore.interfaces.IPubSubStore}), if it has one.
        @raise BadDescription: if the server has no store of this kind.
        """
        if kind not in self.stores:
            raise BadDescription(f"no store {kind!r}; allowed: {', '.join(sorted(self.stores)) or 'none'}")
        return self.stores[kind]

    def checkOptions(self, *known: str) -> None:
        """Refuse options that the handler does not have: L{InvalidOption} for the first that is not known."""
        for key in self.options:
            if key not in known:
                raise InvalidOption(key, f"no such key; allowed: {', '.join(known) or 'none'}")


class IHandlerFactory(IPlugin):
    """Makes handlers of one protocol; found with C{getPlugins}, named in the configuration."""

    name = Attribute("The word that names it in the configuration.")
    help = Attribute("One line for the configuration reference.")

    def makeHandler(context: HandlerContext) -> IXMPPHandler:
        """
        Make a handler for one domain. Called before the start, to find mistakes, and at the start: only make an
        object, and leave files, connections and the stores alone until the handler is added to its domain.

        @raise BadDescription: if the argument is invalid.
        @raise InvalidOption: if an option is invalid.
        """
