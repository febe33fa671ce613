# -*- test-case-name: tests.routing.test_shadowing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Finds stock handlers that never receive what they observe, because the tables of other handlers come first.

What a stock handler observes is an XPath expression, of which only the usual form is understood: a kind of stanza,
then perhaps its type, a payload and the namespace of that, as in C{/iq[@type='get']/query[@xmlns='jabber:iq:version']}.
An observer is shadowed if one method, not declared with L{muccore.interfaces.handlers.mayDecline}, takes every such
stanza to the domain itself (L{HOST}), which is what stock handlers are written for. Nothing is said of other
expressions, of functions that are no handler's methods, and of observers that only lack stanzas to accounts or rooms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from muccore.interfaces.handlers import ANY, HOST, Key
from muccore.routing.dispatch import handlerName

_OBSERVED: Final = re.compile(
    r"/(?P<stanza>message|presence|iq)"
    r"(?:\[@type=(?P<q1>['\"])(?P<type>[a-z]+)(?P=q1)\])?"
    r"(?:/(?P<name>[\w.-]+)(?:\[@xmlns=(?P<q2>['\"])(?P<uri>[^'\"]+)(?P=q2)\])?)?\Z"
)
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("chat", "error", "groupchat", "headline", "normal"),
    "presence": (ANY,),
    "iq": ("get", "set", "result", "error"),
}
"""The types that stand for every stanza of a kind."""


def findShadowed(observers: Iterable[tuple[Any, Callable[..., Any]]], takers: Mapping[Key, Any]) -> dict[Any, str]:
    """
    Find the handlers that have shadowed observers.

    @param observers: each an XPath expression (or C{XPathQuery}, or the name of an event) and what it calls.
    @param takers: the handler that takes what has a key, from L{muccore.routing.dispatch.merge}.
    @return: for each of the handlers, what it never receives and who takes it, in words.
    """
    found: dict[Any, list[str]] = {}
    for event, function in observers:
        handler = getattr(function, "__self__", None)
        expression = str(getattr(event, "queryStr", event))
        match = _OBSERVED.match(expression)
        if handler is None or match is None:
            continue
        types = (match["type"],) if match["type"] else _TYPES[match["stanza"]]
        taking = [_taker(takers, match, type) for type in types]
        if None not in taking:
            names = " and ".join(dict.fromkeys(map(handlerName, taking)))
            found.setdefault(handler, []).append(f"{expression} (taken by {names})")
    return {handler: "; ".join(texts) for handler, texts in found.items()}


def _taker(takers: Mapping[Key, Any], match: re.Match[str], type: str) -> Any:
    """The handler that takes the observed stanzas of a type to the domain itself, or C{None}."""
    stanza = match["stanza"]
    if stanza == "iq" and type in ("get", "set"):
        exact = match["uri"] and takers.get((type, HOST, match["uri"], match["name"]))
        return exact or takers.get(("iq", type, HOST))
    if stanza == "message" and type not in _TYPES["message"]:
        type = "normal"
    return takers.get((stanza, type, HOST)) or takers.get((stanza, ANY, HOST))
