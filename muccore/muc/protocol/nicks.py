# -*- test-case-name: tests.muc.protocol.test_nicks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Nicks that clients choose."""

from __future__ import annotations

from typing import Final

from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import InvalidJID, prepareResource

NICK_LIMIT: Final = 256
"""Bytes of a nick in UTF-8, which every stanza of its occupant repeats to all."""


def prepareNick(nick: str) -> str:
    """Prepare a nick from an attribute or a form; C{not-acceptable} if it is invalid, blank or too long."""
    try:
        prepared = prepareResource(nick).strip()
    except InvalidJID as e:
        raise StanzaError("not-acceptable", "modify", str(e)) from None
    if not prepared:
        raise StanzaError("not-acceptable", "modify", "A nickname must not be blank.")
    checkLength(prepared)
    return prepared


def requestedNick(address: str, resource: str) -> tuple[str, bool]:
    """
    The nick of a request to enter, stripped, and whether preparation changed it (status 210).

    @param address: the C{to} of the presence, as it was sent.
    @param resource: its prepared resource.
    @raise StanzaError: C{jid-malformed} for a blank nick (XEP-0045 §17.1), C{not-acceptable} if it is too long.
    """
    nick = resource.strip()
    if not nick:
        raise StanzaError("jid-malformed", text="A nickname must not be blank.")
    checkLength(nick)
    return nick, address.partition("/")[2] != nick


def checkLength(nick: str) -> None:
    """@raise StanzaError: C{not-acceptable} for more than L{NICK_LIMIT}."""
    if len(nick.encode("utf-8")) > NICK_LIMIT:
        raise StanzaError("not-acceptable", "modify", f"A nickname may be at most {NICK_LIMIT} bytes long.")
