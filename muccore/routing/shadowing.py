# -*- test-case-name: tests.routing.test_shadowing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Finds stock handlers that never receive what they observe, because the tables of other handlers come first.

An observer has an XPath expression. Only the usual form is analyzed: a stanza, optionally with its type, a payload and
the namespace of that, as in C{/iq[@type='get']/query[@xmlns='jabber:iq:version']}. The observer is shadowed if methods
that do not decline take every such stanza to the domain itself (L{HOST}), which is what stock handlers are written for.
Other expressions, observers that are not methods of a handler, and stanzas to accounts and rooms are not considered.
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
    """Get the handler that takes the observed stanzas of a type to the domain itself, or C{None}."""
    stanza = match["stanza"]
    if stanza == "iq" and type in ("get", "set"):
        exact = match["uri"] and takers.get((type, HOST, match["uri"], match["name"]))
        return exact or takers.get(("iq", type, HOST))
    if stanza == "message" and type not in _TYPES["message"]:
        type = "normal"
    return takers.get((stanza, type, HOST)) or takers.get((stanza, ANY, HOST))
