# -*- test-case-name: tests.muc.protocol.test_nicks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Nicks that clients choose."""

from __future__ import annotations

from typing import Final
from unicodedata import category

from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import InvalidJID, prepareResource

NICK_LIMIT: Final = 256
"""Bytes of a nick in UTF-8, which every stanza of its occupant repeats to all."""

_HIDDEN: Final = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
_BLANK: Final = frozenset(("Zs", "Mn", "Me"))
_BLANK_SYMBOLS: Final = "\u2800\U0001d159"
"""Symbols without ink: the blank Braille pattern, the null note head."""


def prepareNick(nick: str) -> str:
    """Prepare a nick from an attribute or a form; C{not-acceptable} if it is no resource or fails L{check}."""
    try:
        prepared = prepareResource(nick).strip()
    except InvalidJID as e:
        raise StanzaError("not-acceptable", "modify", str(e)) from None
    check(prepared)
    return prepared


def requestedNick(address: str, resource: str) -> tuple[str, bool]:
    """
    The nick of a request to enter, stripped, and whether preparation changed it (status 210).

    @param address: the C{to} of the presence, as it was sent.
    @param resource: its prepared resource.
    @raise StanzaError: as L{check}.
    """
    nick = resource.strip()
    check(nick)
    return nick, address.partition("/")[2] != nick


def check(nick: str) -> None:
    """
    Check a prepared nick.

    @raise StanzaError: C{not-acceptable} if it shows nothing (XEP-0045 §17.1), contains what shows nothing or what
        Unicode has not assigned (RFC 8264 §4.3.3), or is longer than L{NICK_LIMIT}.
    """
    categories = {category(character) for character in nick if character not in _BLANK_SYMBOLS}
    if categories <= _BLANK:
        raise StanzaError("not-acceptable", "modify", "A nickname must not be blank.")
    if categories & _HIDDEN:
        raise StanzaError(
            "not-acceptable", "modify", "A nickname must not contain invisible or unassigned characters."
        )
    if len(nick.encode("utf-8")) > NICK_LIMIT:
        raise StanzaError("not-acceptable", "modify", f"A nickname may be at most {NICK_LIMIT} bytes long.")
