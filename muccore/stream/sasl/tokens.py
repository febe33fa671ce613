# -*- test-case-name: tests.stream.sasl.test_tokens -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The tokens with which clients log in again (XEP-0484): made, checked, rotated and invalidated.

Theory of operation
===================

A client, known by the id of its user agent, has two slots (§5.1). A new token is put into the slot C{new}, and moves to
C{current} when it is used first; so a client that never got it can go on with the one before. A token is for one
mechanism, and bound to the account's keys: with another password, or another account of the same name, it has expired.

The mechanisms are HMACs with the token, so the store must have it. It is worth as much as a password, but for this
account, this client and a limited time only.

What is told to a client was stored before. The requests about an account wait for each other: a counter counts once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from twisted.internet.defer import DeferredLock

from muccore.interfaces import IAccountStore, IAuthBackend, IUserDataStore
from muccore.stream.sasl.exchange import SASLFailure, WrongCredentials
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.scramkeys import HASHES, ScramKeys

KIND: Final = "fast"
"""The kind of the documents, whose keys are the ids of clients."""

CLIENTS: Final = 32
"""Clients of one account that have tokens; with another one, the one that got its last token first loses it."""

ROTATION: Final = 24 * 60 * 60.0
"""Seconds after which a token is replaced, or half its lifetime if that is less."""

LIFETIME: Final = 21 * 24 * 60 * 60.0
"""Default for the lifetime of a token, in seconds."""

_SECRET_BYTES: Final = 32
_DOCUMENT_SIZE: Final = 1024
_NOTHING: Final = secrets.token_urlsafe(_SECRET_BYTES)
"""What is compared where there is no token, so that it takes as long."""


@dataclass(frozen=True)
class Token:
    """
    A token.

    @ivar secret: what the client is given.
    @ivar mechanism: the mechanism that it is for.
    @ivar issued: when it was made, and C{expires}, until when it is valid, in seconds since the epoch.
    @ivar credentials: identifies the keys of the account at that time.
    @ivar count: the highest counter that was used with it (§3.4).
    """

    secret: str = field(repr=False)
    mechanism: str
    issued: float
    expires: float
    credentials: str = field(repr=False)
    count: int = 0


Slots = dict[str, Token]
"""The tokens of a client: C{new} and C{current}, if there are any."""


class Tokens:
    """
    The tokens of the accounts of one backend.

    @ivar lifetime: of new tokens, in seconds.
    @ivar guests: whether the domain has guests, who get none.
    """

    guests = False

    def __init__(
        self, store: IUserDataStore, accounts: IAuthBackend, now: Callable[[], float], lifetime: float = LIFETIME
    ) -> None:
        """@param now: the time of day, in seconds since the epoch."""
        self.lifetime = lifetime
        self._store = store
        self._accounts = accounts
        self._now = now
        self._locks: dict[str, DeferredLock] = {}

    async def check(
        self,
        account: str,
        client: str,
        mechanism: str,
        matches: Callable[[str], bool],
        count: int | None = None,
        invalidate: bool = False,
    ) -> Token:
        """
        Check a token, which is then the client's current one.

        @param client: the id of the client.
        @param matches: whether the client has proved that it knows this secret.
        @param count: the client's counter, which must be higher than any before (§3.4).
        @param invalidate: whether the client shall have no token any more.
        @raise WrongCredentials: if it is not the client's, or for another mechanism, or a counter is repeated.
        @raise SASLFailure: C{credentials-expired} if it is not valid any more.
        """
        async with self._lock(account):
            slots = _load(await self._store.get(account, KIND, client))
            found = None
            for name in ("new", "current"):
                # Both, whatever the first one says: the time reveals nothing.
                token = slots.get(name)
                matched = matches(_NOTHING if token is None else token.secret)
                if matched and token is not None and found is None:
                    found = token
            if found is None or found.mechanism != mechanism:
                raise WrongCredentials
            if found.expires <= self._now() or found.credentials != await self._credentials(account):
                await self._save(account, client, {name: each for name, each in slots.items() if each is not found})
                raise SASLFailure("credentials-expired", "The token is not valid any more; log in with the password.")
            if count is not None:
                if count <= found.count:
                    raise WrongCredentials
                found = replace(found, count=count)
            kept = {} if invalidate else _used(slots, found)
            if kept != slots:
                await self._save(account, client, kept)
            return found

    def isDue(self, token: Token) -> bool:
        """Whether a token should be replaced."""
        return self._now() - token.issued >= min(ROTATION, (token.expires - token.issued) / 2)

    async def issue(
        self, account: str, client: str, mechanism: str, proved: ScramKeys | Token | None = None
    ) -> Token | None:
        """
        Make a token for a client that has logged in; its others stay valid until that is used, unless they were never
        used (§3.5).

        @param proved: the keys or the token that it has logged in with, if that is known.
        @return: C{None} if there is no such account: guests have none; or if the password was changed meanwhile.
        """
        if self.guests and isGuestName(account.partition("@")[0]):
            # Some backends say of everybody that they exist.
            return None
        async with self._lock(account):
            credentials = await self._credentials(account)
            if credentials is None:
                return None
            if isinstance(proved, Token) and proved.credentials != credentials:
                return None
            if isinstance(proved, ScramKeys) and await self._accounts.scramKeys(account, proved.hashName) != proved:
                return None
            content = await self._store.get(account, KIND, client)
            slots = _load(content)
            now = self._now()
            token = Token(secrets.token_urlsafe(_SECRET_BYTES), mechanism, now, now + self.lifetime, credentials)
            dropped = {} if content is not None else await self._oldest(account)
            await self._save(account, client, {**slots, "new": token}, dropped)
            return token

    async def revoke(self, account: str, client: str = "") -> None:
        """
        Invalidate all tokens of an account, or those of one client. Not needed where muccore keeps the account: with
        its password or itself they end anyway.
        """
        async with self._lock(account):
            clients = [client] if client else await self._store.keys(account, KIND)
            await self._store.change(account, {(KIND, each): None for each in clients})

    @asynccontextmanager
    async def _lock(self, account: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(account, DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(account, None)

    async def _credentials(self, account: str) -> str | None:
        """
        Identify the keys of an account, by the weakest hash: others may be added. A backend that only checks passwords
        can tell no more than that there is such an account.
        """
        accounts = self._accounts
        known = accounts.hashes | (accounts.missingHashes if IAccountStore.providedBy(accounts) else frozenset())
        for hashName in HASHES:
            keys = await accounts.scramKeys(account, hashName) if hashName in known else None
            if keys is not None:
                return hashlib.sha256(hashName.encode() + keys.salt + keys.storedKey).hexdigest()
        return "" if not known and await accounts.hasAccount(account) else None

    async def _oldest(self, account: str) -> dict[tuple[str, str], None]:
        """Which clients lose their tokens for another one: those beyond the limit, oldest first."""
        clients = await self._store.keys(account, KIND)
        if len(clients) < CLIENTS:
            return {}
        ages = []
        for each in clients:
            slots = _load(await self._store.get(account, KIND, each))
            ages.append((max((token.issued for token in slots.values()), default=0.0), each))
        return {(KIND, each): None for _, each in sorted(ages)[: len(ages) - CLIENTS + 1]}

    async def _save(
        self, account: str, client: str, slots: Slots, dropped: dict[tuple[str, str], None] | None = None
    ) -> None:
        content = json.dumps({name: asdict(token) for name, token in slots.items()}).encode() if slots else None
        changes: dict[tuple[str, str], bytes | None] = {**(dropped or {}), (KIND, client): content}
        await self._store.change(account, changes, {KIND: CLIENTS * _DOCUMENT_SIZE})


def _used(slots: Slots, found: Token) -> Slots:
    """What a client has after it has used a token (§5.1)."""
    new = slots.get("new")
    if new is None or new.secret == found.secret:
        return {"current": found}
    return {"new": new, "current": found}


def _load(content: bytes | None) -> Slots:
    if content is None:
        return {}
    loaded: dict[str, dict[str, Any]] = json.loads(content)
    return {name: Token(**token) for name, token in loaded.items()}
