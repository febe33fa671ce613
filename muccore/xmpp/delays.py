# -*- test-case-name: tests.xmpp.test_delays -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Delay stamps (XEP-0203) on messages that are delivered late."""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.rendering import Rendered, escapeAttribute
from muccore.xmpp.specs import Spec

implements: Final = (Spec(203, "Delayed Delivery", "2.0"),)

_DELAY: Final = ns.DELAY.encode()


def withDelay(stanza: Rendered, by: str, when: float) -> Rendered:
    """
    Stamp a stanza that was to be delivered earlier.

    @param by: the address of the entity that delays it.
    @param when: since when, in seconds since the epoch.
    @return: the stanza itself if it is no message, or has a stamp, which is of an earlier delay (§4).
    """
    tail = stanza.tail
    if stanza.head != b"<message" or (_DELAY in tail and stanza.element.child("delay", ns.DELAY) is not None):
        return stanza
    return stanza.extended(f"<delay xmlns='{ns.DELAY}' from='{escapeAttribute(by)}' stamp='{stamp(when)}'/>".encode())
