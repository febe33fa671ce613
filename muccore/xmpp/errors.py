# -*- test-case-name: tests.xmpp.test_errors -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stanza errors (RFC 6120 §8.3) and stream errors (RFC 6120 §4.9), by condition.

L{StanzaError} extends Twisted's, which wokkel's handlers raise.
"""

from __future__ import annotations

from typing import Final

from twisted.words.protocols.jabber.error import StanzaError as _TwistedStanzaError
from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf, reply
from muccore.xmpp.rendering import render

STANZA_CONDITIONS: Final[dict[str, str]] = {
    "bad-request": "modify",
    "conflict": "cancel",
    "feature-not-implemented": "cancel",
    "forbidden": "auth",
    "gone": "cancel",
    "internal-server-error": "cancel",
    "item-not-found": "cancel",
    "jid-malformed": "modify",
    "not-acceptable": "modify",
    "not-allowed": "cancel",
    "not-authorized": "auth",
    "policy-violation": "modify",
    "recipient-unavailable": "wait",
    "redirect": "modify",
    "registration-required": "auth",
    "remote-server-not-found": "cancel",
    "remote-server-timeout": "wait",
    "resource-constraint": "wait",
    "service-unavailable": "cancel",
    "subscription-required": "auth",
    "undefined-condition": "cancel",
    "unexpected-request": "wait",
}
"""Every condition of RFC 6120 §8.3.3 with its usual type."""

STREAM_CONDITIONS: Final = frozenset(
    [
        "bad-format", "bad-namespace-prefix", "conflict", "connection-timeout", "host-gone", "host-unknown",
        "improper-addressing", "internal-server-error", "invalid-from", "invalid-namespace", "invalid-xml",
        "not-authorized", "not-well-formed", "policy-violation", "remote-connection-failed", "reset",
        "resource-constraint", "restricted-xml", "see-other-host", "system-shutdown", "undefined-condition",
        "unsupported-encoding", "unsupported-feature", "unsupported-stanza-type", "unsupported-version"
    ]
)
"""Every condition of RFC 6120 §4.9.3."""


class StanzaError(_TwistedStanzaError):
    """
    A stanza was refused. Raised by its handler; the domain turns it into an error stanza.

    @ivar condition: one of L{STANZA_CONDITIONS}.
    @ivar type: C{auth}, C{cancel}, C{continue}, C{modify} or C{wait}.
    @ivar text: a human-readable explanation, or C{None}.
    @ivar appCondition: an application-specific condition element, or C{None}.
    @ivar by: the address of the entity that refuses, if it is not the one addressed, or C{None}.
    @ivar uri: the new address in C{gone} or C{redirect}, or C{None} (RFC 6120 §8.3.3.5, §8.3.3.14).
    """

    by: str | None = None
    uri: str | None = None
    condition: str
    type: str
    text: str | None
    appCondition: Element | None

    def __init__(
        self, condition: str, type: str | None = None, text: str | None = None, appCondition: Element | None = None
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            condition, type or STANZA_CONDITIONS[condition], text, None, appCondition
        )


class StreamError(Exception):
    """
    A stream is refused or ended.

    @ivar condition: one of L{STREAM_CONDITIONS}.
    @ivar text: a human-readable explanation, or C{None}.
    @ivar appCondition: an application-specific condition element (RFC 6120 §4.9.4), or C{None}.
    """

    def __init__(self, condition: str, text: str | None = None, appCondition: Element | None = None) -> None:
        if condition not in STREAM_CONDITIONS:
            raise ValueError(f"not a stream error condition: {condition}")
        super().__init__(condition, text)
        self.condition = condition
        self.text = text
        self.appCondition = appCondition

    def render(self) -> bytes:
        """C{<stream:error>}, for a stream whose header binds the prefix C{stream}."""
        error = Element((None, "stream:error"))
        error.add(self.condition, ns.STREAM_ERRORS)
        if self.text:
            error.add("text", ns.STREAM_ERRORS, self.text).attributes[ns.XML, "lang"] = "en"
        if self.appCondition is not None:
            error.children.append(self.appCondition)
        return render(error)


def errorElement(error: _TwistedStanzaError, by: str | None = None) -> Element:
    """
    The C{<error/>} child of an error stanza.

    @param by: the address of the entity that refuses (RFC 6120 §8.3.2), if it is not the stanza's C{from}.
    """
    element = Element((ns.CLIENT, "error"))
    by = by or getattr(error, "by", None)
    if by is not None:
        element.attributes["by"] = by
    element.attributes["type"] = error.type or STANZA_CONDITIONS[error.condition]
    element.add(error.condition, ns.STANZA_ERRORS, getattr(error, "uri", None) or "")
    if error.text:
        element.add("text", ns.STANZA_ERRORS, error.text).attributes[ns.XML, "lang"] = "en"
    if error.appCondition is not None:
        element.children.append(error.appCondition)
    return element


def conditionOf(stanza: Element) -> str | None:
    """The condition of an error stanza: one of L{STANZA_CONDITIONS}; C{None} if it has none."""
    error = stanza.child("error")
    for child in () if error is None else error.childElements():
        if child.uri == ns.STANZA_ERRORS and child.name in STANZA_CONDITIONS:
            return child.name
    return None


def errorReply(refused: domish.Element, error: _TwistedStanzaError, by: str | None = None) -> Element:
    """
    The error stanza for a refused one: addresses swapped, its children included, C{<error/>} last.

    Not for a stanza that must not be answered: see L{mayReplyWithError}.
    """
    answer = reply(refused, "error")
    for child in refused.children:
        answer.children.append(child if isinstance(child, str) else copyOf(child))
    answer.children.append(errorElement(error, by))
    return answer


def mayReplyWithError(stanza: domish.Element) -> bool:
    """
    Whether an error may be sent for a stanza: not for an error, which could loop (RFC 6120 §8.3.1), the result of an IQ
    (RFC 6120 §8.2.3) or unavailable presence, whose sender's session may have ended.
    """
    type = stanza.attributes.get("type")
    return not (
        type == "error"
        or (type == "result" and stanza.name == "iq")
        or (type == "unavailable" and stanza.name == "presence")
        or "from" not in stanza.attributes
    )


def errorReplyOrNone(stanza: domish.Element, error: _TwistedStanzaError, by: str | None = None) -> Element | None:
    """The L{errorReply}, or C{None} if the refused stanza must be dropped silently."""
    return errorReply(stanza, error, by) if mayReplyWithError(stanza) else None
