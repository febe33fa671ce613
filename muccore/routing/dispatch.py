# -*- test-case-name: tests.routing.test_dispatch -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Merges the tables of a domain's handlers, so that one or two lookups find what handles a stanza.

A stanza is offered to the handlers with its exact key, then to those with the wider one: L{ANY} for the type or, for a
request, C{("iq", type, address type)} without the payload. Among handlers with one key, the methods declared with
L{muccore.interfaces.handlers.mayDecline} come first, in the order in which the handlers were added; the one that is not
declared comes last and takes whatever it gets. Two such methods of different handlers for one stanza are a conflict,
since one of them would never be asked. Hence the order in the configuration does not decide which handlers are reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from twisted.words.protocols.jabber.ijabber import IXMPPHandler

from muccore.interfaces.handlers import (
    ANSWERED,
    ANY,
    NOT_HANDLED,
    AddressType,
    Function,
    InvalidHandler,
    IQKey,
    ITableHandler,
    Key,
    StanzaKey,
    canDecline,
    shownKey,
)
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.stanzas import STANZAS

Method = Callable[[Element, JID], Any]
Bind = Callable[[Any, Key, Function], Method]
"""Binds the function of a key to its handler; raises L{InvalidHandler} for a key that the domain does not have."""

_REQUESTS: Final = frozenset(["get", "set"])


def handlerName(handler: Any) -> str:
    """Get the class of a handler with its module, for errors and log lines."""
    return f"{type(handler).__module__}.{type(handler).__qualname__}"


class _Entry(NamedTuple):
    handler: Any
    method: Method
    declines: bool


class Tables(NamedTuple):
    """
    The merged tables.

    @ivar stanzas: what handles stanzas.
    @ivar iqs: what handles requests by their payload.
    @ivar takers: by key, the handler whose method takes whatever it gets, if there is one.
    """

    stanzas: dict[StanzaKey, Method]
    iqs: dict[IQKey, Method]
    takers: dict[Key, Any]


class _Chain:
    """Offers a stanza to methods in turn until one does not decline."""

    __slots__ = ("_methods", "_otherwise")

    def __init__(self, methods: Sequence[Method], otherwise: Callable[[Element, JID], None]) -> None:
        self._methods = methods
        self._otherwise = otherwise

    def __call__(self, element: Element, to: JID) -> Any:
        for method in self._methods:
            result = method(element, to)
            if result is not NOT_HANDLED:
                return result
        self._otherwise(element, to)
        return ANSWERED


def merge(handlers: Iterable[IXMPPHandler], bind: Bind, otherwise: Callable[[Element, JID], None]) -> Tables:
    """
    Merge the tables of handlers, in the order in which they were added. No function of a handler is called.

    @param bind: called for each line of the tables.
    @param otherwise: takes what all handlers have declined.
    @raise InvalidHandler: if a line is invalid, or two handlers are in conflict.
    """
    entries: dict[Key, list[_Entry]] = {}
    for handler in handlers:
        if not ITableHandler.providedBy(handler):
            continue
        for table, isValid in ((handler.stanzas, _isStanzaKey), (handler.iqs, _isIQKey)):
            for key, function in table.items():
                if not isValid(key):
                    raise InvalidHandler(f"{handlerName(handler)} has {key!r} in a table, which is no key of it")
                if not callable(function):
                    raise InvalidHandler(
                        f"{handlerName(handler)} has {function!r} for {shownKey(key)}; a table holds functions"
                    )
                entry = _Entry(handler, bind(handler, key, function), canDecline(function))
                entries.setdefault(key, []).append(entry)
    stanzas: dict[Any, Method] = {}
    iqs: dict[Any, Method] = {}
    takers: dict[Key, Any] = {}
    for key in entries:
        asked = _asked(entries, key)
        # What takes all that it gets costs no more than its own call.
        method = _Chain([entry.method for entry in asked], otherwise) if asked[0].declines else asked[0].method
        (iqs if _isIQKey(key) else stanzas)[key] = method
        if not asked[-1].declines:
            takers[key] = asked[-1].handler
    return Tables(stanzas, iqs, takers)


def _asked(entries: dict[Key, list[_Entry]], key: Key) -> list[_Entry]:
    """List who is asked about a key, in order; L{InvalidHandler} if two handlers both take what has it."""
    own, wider = entries[key], entries.get(_wider(key), [])
    taking = [entry for entry in (*own, *wider) if not entry.declines]
    for entry in taking[1:]:
        if entry.handler is not taking[0].handler:
            names = f"{handlerName(taking[0].handler)} and {handlerName(entry.handler)}"
            raise InvalidHandler(f"{names} both handle {shownKey(key)}, and neither is declared with mayDecline")
    asked = sorted(own, key=lambda entry: not entry.declines)
    return asked if not asked[-1].declines else asked + sorted(wider, key=lambda entry: not entry.declines)


def _isStanzaKey(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) == 3 and key[0] in STANZAS and isinstance(key[2], AddressType)


def _isIQKey(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) == 4 and key[0] in _REQUESTS and isinstance(key[1], AddressType)


def _wider(key: Any) -> Any:
    """Get the key that is looked up after this one."""
    if len(key) == 4:
        return ("iq", key[0], key[1])
    name, type, kind = key
    # ANY stands for the answers among the IQs.
    return None if type == ANY or (name == "iq" and type in _REQUESTS) else (name, ANY, kind)
