# -*- test-case-name: tests.routing.test_component,tests.routing.federation.test_incoming -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stanzas from streams that carry those of a whole domain, components and other servers, and what comes back."""

from __future__ import annotations

from muccore.interfaces import IRouter
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.stanzas import ID_LIMIT, iqProblem


def routeFromOutside(
    router: IRouter, element: Element, sender: JID, language: str | None, by: str | None = None
) -> Element | None:
    """
    Route a stanza whose sender is checked, or refuse it.

    @param element: with C{to}; the caller gives it away.
    @param sender: its C{from}, parsed.
    @param language: the C{xml:lang} of its stream, or C{None} (RFC 6120 §8.1.5).
    @param by: the address that refuses, if it is not the one addressed.
    @return: the answer if it is refused and may be answered.
    """
    attributes = element.attributes
    # As the rest of the server writes it: rooms compare addresses.
    attributes["from"] = sender.full
    if language is not None:
        attributes.setdefault((ns.XML, "lang"), language)
    error = None
    if len(attributes.get("id", "")) > ID_LIMIT:
        error = StanzaError("policy-violation", text="the id is too long")
    else:
        try:
            to = jid.parse(attributes["to"])
        except InvalidJID as e:
            error = StanzaError("jid-malformed", text=str(e))
        else:
            problem = iqProblem(element) if element.name == "iq" else None
            if problem is not None:
                error = StanzaError("bad-request", text=problem)
    if error is not None:
        return errorReplyOrNone(element, error, by)
    router.route(element, to)
    return None


def sendBack(router: IRouter, element: Element, error: StanzaError) -> None:
    """Return a stanza to its sender with an error, unless it must not be answered (RFC 6120 §8.3.1)."""
    answer = errorReplyOrNone(element, error)
    if answer is None:
        return
    try:
        sender = jid.parse(answer.attributes["to"])
    except InvalidJID:
        return
    # An error is never answered: should the sender be unreachable too, this ends here.
    router.route(answer, sender)
