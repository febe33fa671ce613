# -*- test-case-name: tests.muc.model.test_lookalikes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Nicks that look alike (UTS #39 §4), by the table in C{confusables.txt}, which L{muccore.tools.confusables} makes.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from importlib import resources
from typing import Final
from unicodedata import normalize

from muccore.muc.model.nicks import comparisonForm
from muccore.xmpp.errors import StanzaError

_CACHE_SIZE: Final = 4096

Skeleton = str
"""With a first character that tells the kind: skeletons of different kinds are not compared."""


def _read() -> dict[int, str]:
    prototypes = {}
    for line in resources.files(__package__).joinpath("confusables.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            prototype, _, sources = line.partition(":")
            text = "".join(chr(int(code, 16)) for code in prototype.split())
            prototypes.update(dict.fromkeys((int(code, 16) for code in sources.split()), text))
    return prototypes


_PROTOTYPES: Final = _read()


_INKLESS: Final = {0x2800: " ", 0x1D159: ""}
"""Symbols that show nothing, which are in no table: the blank Braille pattern, the null note head."""


def _shown(nick: str) -> str:
    """A nick as it is shown: without the spaces around it and the symbols that show nothing."""
    return normalize("NFKC", " ".join(nick.translate(_INKLESS).split()))


def _skeleton(text: str) -> str:
    """The skeleton of UTS #39 §4."""
    return normalize("NFD", normalize("NFD", text).translate(_PROTOTYPES))


@lru_cache(_CACHE_SIZE)
def skeletons(nick: str) -> tuple[Skeleton, Skeleton]:
    """
    The skeletons of a nick as it is shown, and of its comparison form: nicks look alike if they share either.
    Skeletons of different kinds are not compared: Lan and Ian would share one.
    """
    shown = _shown(nick)
    return f"={_skeleton(shown)}", f"~{_skeleton(comparisonForm(shown))}"


class LookalikeIndex:
    """The users who have nicks, by the skeletons of these."""

    __slots__ = ("_users",)

    def __init__(self) -> None:
        # Mostly one user: their name needs less than a list of it.
        self._users: dict[Skeleton, str | list[str]] = {}

    def add(self, nick: str, user: str) -> None:
        """Add a nick of a user."""
        for skeleton in skeletons(nick):
            found = self._users.get(skeleton)
            if found is None:
                self._users[skeleton] = user
            elif isinstance(found, str):
                self._users[skeleton] = [found, user]
            else:
                found.append(user)

    def remove(self, nick: str, user: str) -> None:
        """Remove a nick of a user that was added."""
        for skeleton in skeletons(nick):
            found = self._users[skeleton]
            if isinstance(found, str):
                del self._users[skeleton]
            else:
                found.remove(user)
                if len(found) == 1:
                    [self._users[skeleton]] = found

    def users(self, nick: str) -> set[str]:
        """The users with nicks that look like this one."""
        users: set[str] = set()
        for skeleton in skeletons(nick):
            found = self._users.get(skeleton, ())
            users.update((found,) if isinstance(found, str) else found)
        return users


def check(
    user: str, nick: str, occupants: LookalikeIndex, reserved: LookalikeIndex, pending: Collection[str] = ()
) -> None:
    """
    Check that a nick does not look like another user's.

    @param user: a bare JID.
    @param pending: users whose reserved nicks are about to change.
    @raise StanzaError: C{conflict} if it does.
    """
    if occupants.users(nick) - {user}:
        raise StanzaError("conflict", text="This nickname looks like that of another occupant.")
    if reserved.users(nick) - {user, *pending}:
        raise StanzaError("conflict", text="This nickname looks like one that is reserved by another user.")
