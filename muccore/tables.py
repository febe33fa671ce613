# -*- test-case-name: tests.test_tables -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The words in which a handler says what it handles: two tables that a domain merges and looks stanzas up in.

They stand on floor 0, because a handler (floor 4) writes them and a domain (floor 3) reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final

from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface import Attribute

from muccore import jid
from muccore.element import Element
from muccore.jid import JID, InvalidJID


class Kind(IntEnum):
    """
    What a stanza is addressed to, seen from the domain that handles it.

    @cvar HOST: the domain itself. An address such as C{domain/resource} counts as it too: RFC 6120 §10.5.2 treats
        both alike, and a handler that cares finds the resource in the address it is given.
    @cvar BARE: an account, a room: C{local@domain}.
    @cvar FULL: a session of an account, an occupant of a room: C{local@domain/resource}.
    """

    HOST = 0
    BARE = 1
    FULL = 2


HOST: Final = Kind.HOST
BARE: Final = Kind.BARE
FULL: Final = Kind.FULL


def kindOf(to: JID) -> Kind:
    """
    Which kind of address it is.
    """
    if not to.local:
        return HOST
    return FULL if to.resource else BARE


def fromOwner(element: Element, to: JID) -> bool:
    """
    Whether a stanza to an account comes from that account itself: a client that speaks to its own server about
    itself.
    """
    try:
        return jid.parse(element.attributes.get("from", "")).bare == to.bare
    except InvalidJID:
        return False


ANY: Final = "*"
"""In a table of stanzas: whatever type has no line of its own."""


class Answered:
    """
    The class of L{ANSWERED}.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANSWERED"


ANSWERED: Final = Answered()
"""What a method for an IQ returns when it has answered, or will answer, by itself."""


StanzaKey = tuple[str, "str | None", Kind]
IQKey = tuple[str, Kind, str, str]
Function = Callable[..., Any]
"""Called with the handler, the stanza and its address: what C{def} in the handler's class has made."""

StanzaTable = Mapping[StanzaKey, Function]
IQTable = Mapping[IQKey, Function]


class ITables(IXMPPHandler):
    """
    A handler that says by tables what it handles. One without them is a stock wokkel handler: it observes the
    domain's C{xmlstream}.

    A table holds functions, not names: in a class body it stands below the methods. The domain binds them to the
    handler. A subclass that overrides a method needs a table of its own, since that of the base class holds the
    function of the base class.
    """

    stanzas = Attribute(
        "C{{(name, type, Kind): function}} for messages, presence and the answers to IQs. A message without a type, "
        "or with one that RFC 6121 §5.2.2 does not know, has the type C{'normal'}; available presence has C{None}. "
        "L{ANY} stands for all types that have no line of their own."
    )
    iqs = Attribute(
        "C{{(type, Kind, namespace of the payload, its name): function}} for IQs of type get and set. One whose "
        "payload has no line here is looked up in C{stanzas} as C{('iq', type, Kind)}, for those who pass requests on."
    )


__all__ = [
    "ANSWERED",
    "ANY",
    "BARE",
    "FULL",
    "HOST",
    "Answered",
    "IQKey",
    "IQTable",
    "ITables",
    "Kind",
    "StanzaKey",
    "StanzaTable",
    "fromOwner",
    "kindOf",
]
