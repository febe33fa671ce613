# -*- test-case-name: tests.xmpp.test_refusal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""When a stanza that is refused is answered with an error, and when it is dropped."""

from __future__ import annotations

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from muccore.xmpp.element import Element
from muccore.xmpp.errors import errorReply


def mayReplyWithError(stanza: domish.Element) -> bool:
    """
    Whether an error may be sent for a stanza.

    Never for an error, since two entities could then go on for ever (RFC 6120 §8.3.1), never for the result of an IQ
    (RFC 6120 §8.2.3), and not for unavailable presence, which asks for nothing and may come from a session that has
    ended.
    """
    type = stanza.attributes.get("type")
    return not (
        type == "error"
        or (type == "result" and stanza.name == "iq")
        or (type == "unavailable" and stanza.name == "presence")
        or "from" not in stanza.attributes
    )


def errorReplyOrNone(stanza: domish.Element, error: StanzaError, by: str | None = None) -> Element | None:
    """
    The error stanza that answers a refused one, or C{None} if it is to be dropped.

    @param by: see L{errorReply}.
    """
    return errorReply(stanza, error, by) if mayReplyWithError(stanza) else None
