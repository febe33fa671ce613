# -*- test-case-name: tests.xmpp.test_dialback -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Server dialback (XEP-0220): keys, and the elements that servers exchange. Who may do what is decided elsewhere."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NamedTuple

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import STANZA_CONDITIONS
from muccore.xmpp.jid import InvalidJID, prepareDomain
from muccore.xmpp.rendering import escapeAttribute, escapeText
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(185, "Dialback Key Generation and Validation", "1.0"),
    Spec(220, "Server Dialback", "1.1.1", "With errors; peers may multiplex. Off unless configured."),
)

DECLARATION: Final = f" xmlns:db='{ns.DIALBACK}'".encode()
"""What the header of a stream declares for the elements here."""

RESULT: Final = "result"
"""The name of a request for authorization, and of its answer."""

VERIFY: Final = "verify"
"""The name of a question whether a key is valid, and of its answer."""

_TYPES: Final = frozenset([None, "error", "invalid", "valid"])


class InvalidDialback(ValueError):
    """An element is no dialback that can be answered; C{str()} gives the reason."""


def makeKey(secret: bytes, receiving: str, originating: str, id: str) -> str:
    """
    Compute a key (XEP-0185 §2).

    @param receiving: the domain that is to accept the stream.
    @param originating: the domain that wants to send.
    @param id: the id that the receiving server gave the stream.
    """
    data = f"{receiving} {originating} {id}".encode()
    return hmac.digest(hashlib.sha256(secret).hexdigest().encode(), data, "sha256").hex()


def isKey(key: str, secret: bytes, receiving: str, originating: str, id: str) -> bool:
    """Whether a key is that of L{makeKey}, in constant time."""
    return hmac.compare_digest(key.encode(), makeKey(secret, receiving, originating, id).encode())


class Dialback(NamedTuple):
    """
    A dialback element.

    @ivar name: L{RESULT} or L{VERIFY}.
    @ivar sender: the prepared domain in C{from}.
    @ivar to: the prepared domain in C{to}.
    @ivar id: the id of a stream, for L{VERIFY}; otherwise C{""}.
    @ivar type: C{None} for a request; C{"valid"}, C{"invalid"} or C{"error"} for an answer.
    @ivar key: the key of a request.
    @ivar condition: the condition of an error, one of L{STANZA_CONDITIONS}.
    """

    name: str
    sender: str
    to: str
    id: str = ""
    type: str | None = None
    key: str = ""
    condition: str = ""

    def render(self) -> bytes:
        """Render it for a stream whose header has the L{DECLARATION}."""
        parts = [f"<db:{self.name} from='{escapeAttribute(self.sender)}' to='{escapeAttribute(self.to)}'"]
        if self.id:
            parts.append(f" id='{escapeAttribute(self.id)}'")
        if self.type is not None:
            parts.append(f" type='{self.type}'")
        content = escapeText(self.key)
        if self.condition:
            kind = STANZA_CONDITIONS[self.condition]
            content = f"<error type='{kind}'><{self.condition} xmlns='{ns.STANZA_ERRORS}'/></error>"
        parts.append(f">{content}</db:{self.name}>" if content else "/>")
        return "".join(parts).encode()

    def answer(self, type: str, condition: str = "") -> Dialback:
        """The answer to a request."""
        return Dialback(self.name, self.to, self.sender, self.id, type, condition=condition)


def parse(element: Element) -> Dialback:
    """
    Read an element of the namespace of dialback.

    @raise InvalidDialback: if it lacks an attribute, or has an invalid one.
    """
    attributes = element.attributes
    if element.name not in (RESULT, VERIFY):
        raise InvalidDialback(f"there is no dialback element {element.name[:64]}")
    try:
        sender, to = (prepareDomain(attributes.get(name, "")) for name in ("from", "to"))
    except (InvalidJID, UnicodeError):
        raise InvalidDialback("from and to must be domains") from None
    id, type = attributes.get("id", "") if element.name == VERIFY else "", attributes.get("type")
    if type not in _TYPES:
        raise InvalidDialback("the type is none of dialback")
    if element.name == VERIFY and not id:
        raise InvalidDialback("there is no id")
    key = element.text().strip() if type is None else ""
    if type is None and not key:
        raise InvalidDialback("there is no key")
    return Dialback(element.name, sender, to, id, type, key, _conditionIn(element) if type == "error" else "")


def _conditionIn(element: Element) -> str:
    for error in element.childElements():
        for child in error.childElements():
            if child.uri == ns.STANZA_ERRORS and child.name in STANZA_CONDITIONS:
                return child.name
    return "undefined-condition"
