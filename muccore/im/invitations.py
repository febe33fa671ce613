# -*- test-case-name: tests.server.test_newaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Invitations to register (XEP-0401, XEP-0445): tokens that can be used once, for a time. They are documents of the host's
own address, by the hash of the token, which is stored nowhere.

An invitation of a user is also a document of that user: with the account it becomes void.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from muccore.interfaces import DataTooLarge, IUserDataStore

INVITATION: Final = "invitation"
"""The kind of the invitations, by hash: JSON, see L{Invitation}."""

NAME: Final = "invitation-name"
"""The kind of the names that are kept for who is invited: the hash of the invitation, by local part."""

ISSUED: Final = "invitation-issued"
"""The kind of the documents of a user about invitations of theirs, by hash; their contents are empty."""

ACCOUNT_LIMIT: Final = 20
"""Invitations of one user that can be used."""

SIZE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of all invitations of a host."""

_TOKEN_BYTES: Final = 18
_REMEMBERED: Final = 10_000


class TooManyInvitations(Exception):
    """There are too many, of one user or in all."""


@dataclass(frozen=True)
class Invitation:
    """
    An invitation.

    @ivar until: when it expires, in seconds since the epoch.
    @ivar local: the local part that the account must have; C{""} for any.
    @ivar inviter: the bare JID of who has issued it; C{""} for C{muccorectl}.
    @ivar subscribe: whether inviter and account become contacts.
    @ivar claimed: the local part of the account for which it is being used; C{""} for none. If the server ended
        meanwhile, it has been used if there is that account.
    """

    until: float
    local: str = ""
    inviter: str = ""
    subscribe: bool = False
    claimed: str = ""


def hashOf(token: str) -> str:
    """What is stored in place of a token: it is random, so one round without salt is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class InvitationRecords:
    """The invitations of one host."""

    def __init__(self, store: IUserDataStore, host: str, now: Callable[[], float]) -> None:
        """@param now: returns the time of day, in seconds since the epoch."""
        self._store = store
        self._host = host
        self._now = now
        self._using: set[str] = set()
        # Since the start: a stream that has shown one may go on with it after it has expired, but not been used.
        self._used: dict[str, None] = {}

    async def add(self, invitation: Invitation) -> str:
        """
        Store an invitation; return its token.

        @raise TooManyInvitations: if it cannot be.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES).replace("-", "A").replace("_", "B")
        key = hashOf(token)
        if invitation.inviter:
            issued = await self._store.keys(invitation.inviter, ISSUED)
            usable = [each for each in issued if await self._load(each) is not None]
            if len(usable) >= ACCOUNT_LIMIT:
                raise TooManyInvitations()
            changes = {(ISSUED, each): None for each in issued if each not in usable}
            await self._store.change(invitation.inviter, {**changes, (ISSUED, key): b""})
        content = json.dumps(asdict(invitation)).encode()
        names = {(NAME, invitation.local): key.encode()} if invitation.local else {}
        try:
            await self._store.change(self._host, {(INVITATION, key): content, **names}, {INVITATION: SIZE_LIMIT})
        except DataTooLarge:
            raise TooManyInvitations() from None
        return token

    async def find(self, key: str) -> Invitation | None:
        """The invitation with a hash; C{None} if there is none that can be used, or it is being used."""
        found = await self._load(key)
        if found is None or self.isUsed(key):
            return None
        return None if found.inviter and key not in await self._store.keys(found.inviter, ISSUED) else found

    async def _load(self, key: str) -> Invitation | None:
        content = await self._store.get(self._host, INVITATION, key)
        if content is None:
            return None
        found = Invitation(**json.loads(content))
        if found.until <= self._now():
            await self.remove(key, found)
            return None
        return found

    async def claim(self, key: str, invitation: Invitation, local: str) -> bool:
        """
        Write down for which account an invitation is being used; L{release} or L{remove} must follow.

        @return: whether it can be: nobody else uses it, or has used it meanwhile.
        """
        if self.isUsed(key):
            return False
        self._using.add(key)
        content = json.dumps(asdict(replace(invitation, claimed=local))).encode()
        try:
            await self._store.change(self._host, {(INVITATION, key): content})
        except BaseException:
            self._using.discard(key)
            raise
        return True

    def release(self, key: str) -> None:
        """Let an invitation be used again: there was no account with its help."""
        self._using.discard(key)

    async def remove(self, key: str, invitation: Invitation) -> None:
        """Remove an invitation that was used, or has expired."""
        names = {(NAME, invitation.local): None} if invitation.local else {}
        await self._store.change(self._host, {(INVITATION, key): None, **names})
        if invitation.inviter:
            await self._store.change(invitation.inviter, {(ISSUED, key): None})
        if key in self._using:
            self._using.discard(key)
            self._used[key] = None
            while len(self._used) > _REMEMBERED:
                del self._used[next(iter(self._used))]

    async def forget(self, inviter: str) -> None:
        """Make the invitations of somebody void, a bare JID, who may have their account at another host."""
        issued = await self._store.keys(inviter, ISSUED)
        await self._store.change(inviter, {(ISSUED, key): None for key in issued})

    def isUsed(self, key: str) -> bool:
        """Whether an invitation is being used, or was since the start."""
        return key in self._using or key in self._used

    async def isReserved(self, local: str, key: str) -> bool:
        """Whether a name is kept for another invitation than the one with a hash."""
        holder = await self._store.get(self._host, NAME, local)
        return holder is not None and holder.decode() != key and await self._load(holder.decode()) is not None

    async def expire(self) -> None:
        """Remove those that have expired."""
        for key in await self._store.keys(self._host, INVITATION):
            await self._load(key)
