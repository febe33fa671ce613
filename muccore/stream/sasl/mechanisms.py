# -*- test-case-name: tests.stream.sasl.test_mechanisms,tests.stream.test_login -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
SASL mechanisms (RFC 6120 §6): the table L{MECHANISMS}, and L{SASL}, which offers and begins them.

A user who does not exist cannot be told from a wrong password, neither by the answer nor by its time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muccore.interfaces import IAuthBackend
from muccore.stream.sasl.exchange import (
    Attempt,
    BindingRefused,
    Challenge,
    Outcome,
    SASLExchange,
    SASLFailure,
    Success,
    WrongCredentials,
    attemptNow,
    checkAuthzid,
    decodeUTF8,
    prepareUsername,
)
from muccore.stream.sasl.scram import ScramServer, dummyKeys
from muccore.xmpp.scramkeys import HASHES, ScramKeys
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.net.tls import ChannelBindings
    from muccore.stream.sasl.tokens import Tokens

implements = (
    Spec(4616, "The PLAIN SASL Mechanism", series="RFC"),
    Spec(5802, "SCRAM SASL Mechanisms", note="Server's side; SCRAM-SHA-1 and SCRAM-SHA-512, with -PLUS.", series="RFC"),
    Spec(7677, "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", series="RFC"),
    Spec(474, "SASL SCRAM Downgrade Protection", "0.5.0"),
)


class SASL:
    """
    The log-in of one domain, shared by its streams. It does not change: what a client was offered stays valid.

    @ivar domain: the prepared domain.
    @ivar hashes: the hashes for SCRAM.
    @ivar tokens: the tokens that clients may log in with, or C{None}.
    @ivar plainWithoutTLS: whether PLAIN is offered without TLS.
    """

    def __init__(
        self,
        accounts: IAuthBackend,
        domain: str,
        plainWithoutTLS: bool,
        secret: bytes | None = None,
        table: Sequence[Mechanism] | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        """
        @param secret: derives the salts of users who do not exist, see L{dummyKeys}. It should survive restarts:
            otherwise, as with the random default, a salt that changes by a restart reveals an unknown user.
        @param table: the mechanisms, strongest first; default L{MECHANISMS}.
        @param tokens: the tokens for L{muccore.stream.sasl2.fast}; C{None} for none.
        """
        self.accounts = accounts
        self.hashes = frozenset(accounts.hashes)
        self.domain = domain
        self.tokens = tokens
        self.plainWithoutTLS = plainWithoutTLS
        self.secret = secrets.token_bytes(32) if secret is None else secret
        self._offerHashes: dict[tuple[str, bool, tuple[str, ...] | None], bytes] = {}
        self._table = {mechanism.name: mechanism for mechanism in (MECHANISMS if table is None else table)}

    def account(self, user: str) -> str:
        """The account of a user name, as the backend and the throttle know it: a bare JID."""
        return f"{user}@{self.domain}"

    def mechanisms(self, secure: bool, bindings: ChannelBindings | None) -> list[str]:
        """
        The mechanisms to offer, strongest first.

        @param secure: whether the stream is under TLS.
        @param bindings: the channel bindings of the TLS connection, or C{None}.
        """
        layer = SecurityLayer(secure, bindings)
        return [name for name, row in self._table.items() if row.unavailableCondition(self, layer) is None]

    def bindingTypes(self, secure: bool, bindings: ChannelBindings | None) -> tuple[str, ...]:
        """The types of channel binding to announce (XEP-0440): none without a mechanism that uses them."""
        binds = any(self._table[name].binds for name in self.mechanisms(secure, bindings))
        return bindings.types() if binds and bindings is not None else ()

    def offerHash(self, hashName: str, secure: bool, bindings: ChannelBindings | None) -> bytes:
        """
        Hash what is offered, by which clients notice if somebody has removed mechanisms or types of channel binding
        from it (XEP-0474 §5.1).
        """
        key = (hashName, secure, None if bindings is None else bindings.types())
        found = self._offerHashes.get(key)
        if found is None:
            text = "\x1e".join(sorted(self.mechanisms(secure, bindings)))
            types = self.bindingTypes(secure, bindings)
            if types:
                text += "\x1f" + "\x1e".join(sorted(types))
            found = self._offerHashes[key] = hashlib.new(HASHES[hashName], text.encode("ascii")).digest()
        return found

    def begin(
        self,
        name: str,
        secure: bool,
        bindings: ChannelBindings | None,
        attempt: Attempt | None = None,
        claimed: str | None = None,
    ) -> SASLExchange:
        """
        Begin a log-in.

        @param attempt: runs password checks; default L{attemptNow}.
        @param claimed: the bare JID that any authorization identity must be, or C{None}.
        @raise SASLFailure: C{invalid-mechanism}, or C{encryption-required} if it is offered under TLS only.
        @raise BindingRefused: C{invalid-mechanism} for an unavailable mechanism with channel binding.
        """
        mechanism = self._table.get(name)
        if mechanism is None:
            raise SASLFailure("invalid-mechanism")
        layer = SecurityLayer(secure, bindings, attempt or attemptNow, claimed)
        condition = mechanism.unavailableCondition(self, layer)
        if condition is not None:
            raise BindingRefused(condition, f"{name} is not offered.") if mechanism.binds else SASLFailure(condition)
        return mechanism.exchange(self, layer)

    def offersBinding(self, layer: SecurityLayer) -> bool:
        """Whether any mechanism with channel binding is offered."""
        return any(row.binds and row.unavailableCondition(self, layer) is None for row in self._table.values())


@dataclass(frozen=True)
class SecurityLayer:
    """
    The connection of a log-in.

    @ivar secure: whether it is under TLS.
    @ivar bindings: its channel bindings, or C{None}.
    @ivar attempt: runs its password checks.
    @ivar claimed: the bare JID that an authorization identity must be, or C{None}.
    """

    secure: bool
    bindings: ChannelBindings | None
    attempt: Attempt = attemptNow
    claimed: str | None = None

    @property
    def canBind(self) -> bool:
        """Whether there is a channel binding."""
        return self.secure and self.bindings is not None and bool(self.bindings.types())


@dataclass(frozen=True)
class Mechanism:
    """
    A row of the table.

    @ivar unavailableCondition: returns the condition of the L{SASLFailure} if it is unavailable, else C{None}.
    @ivar binds: whether it uses channel binding.
    """

    name: str
    unavailableCondition: Callable[[SASL, SecurityLayer], str | None]
    exchange: Callable[[SASL, SecurityLayer], SASLExchange]
    binds: bool = False


class ScramExchange(SASLExchange):
    """SCRAM with the keys from L{IAuthBackend.scramKeys}."""

    def __init__(self, sasl: SASL, hashName: str, server: ScramServer, layer: SecurityLayer) -> None:
        super().__init__()
        self._sasl = sasl
        self._hashName = hashName
        self._offered = sasl.offerHash(hashName, layer.secure, layer.bindings)
        self._attempt = layer.attempt
        self._claimed = layer.claimed
        self._server = server
        self._user: str | None = None
        self._keys: ScramKeys | None = None

    async def first(self, data: bytes) -> Outcome:
        """Look up the user's keys, or make dummy keys."""
        server = self._server
        server.first(data)
        self.claimed = server.user
        user = prepareUsername(server.user)
        checkAuthzid(server.authzid, user, self._sasl.domain, self._claimed)
        # Made for every user, so that it takes the same time.
        keys = dummyKeys(self._sasl.secret, self._hashName, user or server.user)
        if user is not None:
            found = await self._sasl.accounts.scramKeys(self._sasl.account(user), self._hashName)
            if self._hashName not in self._sasl.accounts.hashes:
                # It was offered before that was known (IAuthBackend.hashes).
                raise SASLFailure("temporary-auth-failure", "This mechanism is no longer offered; connect again.")
            if found is not None:
                self._keys = keys = found
                self._user = user
        self._next = self._final
        return Challenge(server.challenge(keys, self._offered))

    async def _final(self, data: bytes) -> Outcome:
        async def check() -> Success:
            proof = self._server.final(data)
            if self._user is None:
                raise WrongCredentials
            return Success(self._user, proof, self._keys)

        name = self._server.user
        return await self._attempt(self._sasl.account(prepareUsername(name) or name), check)


class PlainExchange(SASLExchange):
    """PLAIN (RFC 4616), by L{IAuthBackend.checkPassword}, which takes the same time for unknown users."""

    def __init__(self, sasl: SASL, layer: SecurityLayer) -> None:
        super().__init__()
        self._sasl = sasl
        self._attempt = layer.attempt
        self._claimed = layer.claimed

    async def first(self, data: bytes) -> Outcome:
        """Check name and password."""
        parts = decodeUTF8(data).split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise SASLFailure("malformed-request", "The PLAIN message is malformed.")
        authzid, name, password = parts
        self.claimed = name
        user = prepareUsername(name)
        sasl = self._sasl
        checkAuthzid(authzid, user, sasl.domain, self._claimed)

        async def check() -> Success:
            if user is None or not await sasl.accounts.checkPassword(sasl.account(user), password):
                raise WrongCredentials
            return Success(user)

        return await self._attempt(sasl.account(user or name), check)


def scram(hashName: str, binds: bool) -> Mechanism:
    """
    Create the row of a SCRAM mechanism.

    @param hashName: as in L{muccore.xmpp.scramkeys.HASHES}.
    @param binds: whether it is the variant with C{-PLUS}.
    """

    def unavailableCondition(sasl: SASL, layer: SecurityLayer) -> str | None:
        available = hashName in sasl.hashes and (layer.canBind or not binds)
        return None if available else "invalid-mechanism"

    def exchange(sasl: SASL, layer: SecurityLayer) -> SASLExchange:
        server = ScramServer(hashName, layer.bindings if binds else None, sasl.offersBinding(layer))
        return ScramExchange(sasl, hashName, server, layer)

    return Mechanism(f"SCRAM-{hashName}{'-PLUS' if binds else ''}", unavailableCondition, exchange, binds)


def _plainUnavailable(sasl: SASL, layer: SecurityLayer) -> str | None:
    return None if layer.secure or sasl.plainWithoutTLS else "encryption-required"


MECHANISMS: Final = (
    scram("SHA-512", True),
    scram("SHA-256", True),
    scram("SHA-1", True),
    scram("SHA-512", False),
    scram("SHA-256", False),
    scram("SHA-1", False),
    Mechanism("PLAIN", _plainUnavailable, PlainExchange),
)
"""Every mechanism, strongest first."""
