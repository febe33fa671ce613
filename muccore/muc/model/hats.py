# -*- test-case-name: tests.muc.model.test_hats -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The hats of a room (XEP-0317), and who has them: rows of the room's states, one for each hat and one for each user and
hat. A hat belongs to the account, whatever its nick and affiliation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import escapeAttribute

LIMIT: Final = 50
"""Maximum number of hats of a room."""

WORN_LIMIT: Final = 10
"""Maximum number of hats of one user, which all their presence carries."""

ASSIGNED_LIMIT: Final = 2000
"""Maximum number of pairs of user and hat in a room."""

_HATS: Final = "hats"
_ASSIGNED: Final = "hats-assigned"
_TITLE_LIMIT: Final = 64
_URI_LIMIT: Final = 256
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9!#$%&'()*+,./:;=?@\[\]_~-]+")
"""A URI by its characters (RFC 3986 §2, §3.1)."""

_HUE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,15})?")

Rows = Mapping[tuple[str, str], Any]
"""Changes of rows, as in L{muccore.interfaces.RoomChange}."""


@dataclass(frozen=True)
class Hat:
    """
    A hat.

    @ivar uri: what identifies it.
    @ivar title: its name for people.
    @ivar hue: its colour, an angle from 0 to 360 degrees (XEP-0392), or C{""}.
    """

    uri: str
    title: str
    hue: str = ""

    @classmethod
    def parse(cls, uri: str, title: str, hue: str) -> Hat:
        """
        Make a hat from what an admin has submitted.

        @raise ValueError: if something is not acceptable.
        """
        uri, title, hue = uri.strip(), " ".join(title.split()), hue.strip()
        if len(uri) > _URI_LIMIT or _URI.fullmatch(uri) is None:
            raise ValueError(f"hats#uri: not a URI of at most {_URI_LIMIT} characters")
        # The joiner is part of many emoji.
        plain = title.replace("\N{ZERO WIDTH JOINER}", "")
        if not plain or len(title) > _TITLE_LIMIT or not plain.isprintable():
            raise ValueError(f"hats#title: not a title of 1 to {_TITLE_LIMIT} characters")
        if hue and (_HUE.fullmatch(hue) is None or float(hue) > 360):
            raise ValueError("hats#hue: not an angle from 0 to 360")
        return cls(uri, title, hue)


def hatsOf(room: Room, account: str | None = None) -> list[Hat]:
    """All hats of a room, or those of a user by bare JID, in the order of their titles."""
    rows: Mapping[str, list[str]] = room.states.get(_HATS, {})
    if account is not None:
        assigned = room.states.get(_ASSIGNED) or ()
        rows = {uri: row for uri, row in rows.items() if _key(account, uri) in assigned} if assigned else {}
    return sorted((Hat(uri, *row) for uri, row in rows.items()), key=lambda hat: (hat.title, hat.uri))


def assignments(room: Room) -> list[tuple[str, Hat]]:
    """All pairs of a user, by bare JID, and a hat."""
    hats = {hat.uri: hat for hat in hatsOf(room)}
    pairs = sorted(_pair(key) for key in room.states.get(_ASSIGNED, ()))
    return [(account, hats[uri]) for account, uri in pairs]


def wearers(room: Room, uri: str) -> list[str]:
    """The bare JIDs of those who have a hat."""
    return [account for account, other in map(_pair, room.states.get(_ASSIGNED, ())) if other == uri]


def _key(account: str, uri: str) -> str:
    return f"{account} {uri}"


def _pair(key: str) -> tuple[str, str]:
    """The user and the URI in a key. Addresses have no spaces."""
    account, _, uri = key.partition(" ")
    return account, uri


def creation(room: Room, hat: Hat) -> Rows:
    """
    What creates a hat, or changes the one with its URI; empty if it is like this already.

    @raise StanzaError: C{resource-constraint} if there are too many.
    """
    rows, row = room.states.get(_HATS, {}), [hat.title, hat.hue]
    if hat.uri not in rows and len(rows) >= LIMIT:
        raise StanzaError("resource-constraint", "cancel", f"A room can have {LIMIT} hats.")
    return {} if rows.get(hat.uri) == row else {(_HATS, hat.uri): row}


def destruction(room: Room, uri: str) -> Rows:
    """What destroys a hat, and takes it from everybody."""
    return {(_HATS, uri): None, **{(_ASSIGNED, _key(account, uri)): None for account in wearers(room, uri)}}


def assignment(room: Room, account: str, uri: str) -> Rows:
    """
    What gives a user a hat; empty if they have it.

    @raise StanzaError: C{resource-constraint} if they have, or the room has assigned, too many; C{not-acceptable} for a
        domain, unless it is in the room itself.
    """
    assigned, key = room.states.get(_ASSIGNED, {}), _key(account, uri)
    if key in assigned:
        return {}
    if "@" not in account and not room.occupants.ofAccount(account):
        raise StanzaError("not-acceptable", text="Only users can have hats, not domains.")
    if len(hatsOf(room, account)) >= WORN_LIMIT:
        raise StanzaError("resource-constraint", "cancel", f"A user can have {WORN_LIMIT} hats.")
    if len(assigned) >= ASSIGNED_LIMIT:
        raise StanzaError("resource-constraint", "cancel", f"A room can assign {ASSIGNED_LIMIT} hats.")
    return {(_ASSIGNED, key): True}


def removal(room: Room, account: str, uri: str) -> Rows:
    """
    What takes a hat from a user.

    @raise StanzaError: C{item-not-found} if they do not have it.
    """
    key = _key(account, uri)
    if key not in room.states.get(_ASSIGNED, {}):
        raise StanzaError("item-not-found", text="This user does not have this hat.")
    return {(_ASSIGNED, key): None}


def digest(hats: Iterable[Hat]) -> str:
    """The hash of a list of hats. Another title or hue changes it, too, so that clients ask for the list again."""
    lines = "".join(f"{hat.uri} {hat.hue} {hat.title}\n" for hat in hats)
    return hashlib.sha256(lines.encode()).hexdigest()


def rendered(hats: Iterable[Hat]) -> bytes:
    """The C{<hats/>} of a presence; C{b""} without hats."""
    parts = []
    for hat in hats:
        hue = f" hue='{hat.hue}'" if hat.hue else ""
        parts.append(f"<hat title='{escapeAttribute(hat.title)}' uri='{escapeAttribute(hat.uri)}'{hue}/>")
    return f"<hats xmlns='{ns.HATS}'>{''.join(parts)}</hats>".encode() if parts else b""
