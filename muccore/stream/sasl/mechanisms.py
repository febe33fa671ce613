# -*- test-case-name: tests.stream.sasl.test_mechanisms,tests.stream.test_login -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How a client may prove who it is (RFC 6120 §6): L{MECHANISMS} is the table, L{SASL} knows which of them a client is
offered and begins them.

A user who does not exist is not told apart from a wrong password, neither by words nor by time.
"""

from __future__ import annotations

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
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.net.tls import ChannelBindings

implements = (
    Spec(4616, "The PLAIN SASL Mechanism", series="RFC"),
    Spec(5802, "SCRAM SASL Mechanisms", note="Server's side; SCRAM-SHA-1 and SCRAM-SHA-1-PLUS.", series="RFC"),
    Spec(7677, "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", series="RFC"),
)

class SASL:
    """
    The log-in of one domain: one of these serves every stream.

    @ivar accounts: who may log in.
    @ivar domain: the prepared domain.
    @ivar plainWithoutTLS: whether passwords may come in the clear.
    @ivar secret: see L{__init__}.
    """

    def __init__(
        self,
        accounts: IAuthBackend,
        domain: str,
        plainWithoutTLS: bool,
        secret: bytes | None = None,
        table: Sequence[Mechanism] | None = None,
    ) -> None:
        """
        @param secret: what the salts of users who do not exist are made from (see L{dummyKeys}). Without one, a new
            one is drawn, and who tries a name before and after a restart learns whether it is taken: give one that
            is kept.
        @param table: the mechanisms, strongest first; L{MECHANISMS} unless given.
        """
        self.accounts = accounts
        self.domain = domain
        self.plainWithoutTLS = plainWithoutTLS
        self.secret = secrets.token_bytes(32) if secret is None else secret
        self._table = {mechanism.name: mechanism for mechanism in (MECHANISMS if table is None else table)}

    def mechanisms(self, secure: bool, bindings: ChannelBindings | None) -> list[str]:
        """
        The mechanisms to offer, strongest first.

        @param secure: whether the stream is under TLS.
        @param bindings: the channel bindings of that TLS connection, or C{None}.
        """
        channel = SecurityLayer(secure, bindings)
        return [
            name for name, mechanism in self._table.items() if mechanism.unavailableCondition(self, channel) is None
        ]

    def begin(
        self, name: str, secure: bool, bindings: ChannelBindings | None, attempt: Attempt | None = None
    ) -> SASLExchange:
        """
        Begin a log-in.

        @param name: the mechanism that the client chose.
        @param secure: as for L{mechanisms}.
        @param bindings: as for L{mechanisms}.
        @param attempt: what has passwords checked; at once unless given.
        @raise SASLFailure: C{invalid-mechanism}, or C{encryption-required} if it would be offered under TLS.
        @raise BindingRefused: C{invalid-mechanism} if it would have bound the channel.
        """
        mechanism = self._table.get(name)
        if mechanism is None:
            raise SASLFailure("invalid-mechanism")
        channel = SecurityLayer(secure, bindings, attempt or attemptNow)
        refusal = mechanism.unavailableCondition(self, channel)
        if refusal is not None:
            raise BindingRefused(refusal, f"{name} is not offered.") if mechanism.binds else SASLFailure(refusal)
        return mechanism.exchange(self, channel)

    def offersBinding(self, channel: SecurityLayer) -> bool:
        """Whether a client is offered any mechanism that binds the channel."""
        return any(m.binds and m.unavailableCondition(self, channel) is None for m in self._table.values())


@dataclass(frozen=True)
class SecurityLayer:
    """
    What a log-in goes over.

    @ivar secure: whether that is TLS.
    @ivar bindings: its channel bindings, or C{None}.
    @ivar attempt: what has the passwords checked that come over it.
    """

    secure: bool
    bindings: ChannelBindings | None
    attempt: Attempt = attemptNow

    @property
    def canBind(self) -> bool:
        """Whether there is anything that a client could bind to."""
        return self.secure and self.bindings is not None and bool(self.bindings.types())


@dataclass(frozen=True)
class Mechanism:
    """
    A row of the table.

    @ivar name: as it is on the wire.
    @ivar unavailableCondition: why it is not to be had here, as a condition of L{SASLFailure}, or C{None} if it is.
    @ivar exchange: makes the exchange.
    @ivar binds: whether it binds the channel.
    """

    name: str
    unavailableCondition: Callable[[SASL, SecurityLayer], str | None]
    exchange: Callable[[SASL, SecurityLayer], SASLExchange]
    binds: bool = False


class ScramExchange(SASLExchange):
    """SCRAM by the keys that L{IAuthBackend.scramKeys} gives."""

    def __init__(
        self, sasl: SASL, hashName: str, conversation: ScramServer, attempt: Attempt = attemptNow
    ) -> None:
        super().__init__()
        self._sasl = sasl
        self._hashName = hashName
        self._attempt = attempt
        self._conversation = conversation
        self._user: str | None = None

    async def first(self, data: bytes) -> Outcome:
        """Find the user's keys, or make up some."""
        conversation = self._conversation
        conversation.first(data)
        self.claimed = conversation.user
        user = prepareUsername(conversation.user)
        checkAuthzid(conversation.authzid, user, self._sasl.domain)
        # Made for everyone, so that it takes as long for everyone.
        keys = dummyKeys(self._sasl.secret, self._hashName, conversation.user if user is None else user)
        if user is not None:
            found = await self._sasl.accounts.scramKeys(user, self._hashName)
            if found is not None:
                keys = found
                self._user = user
        self._next = self._final
        return Challenge(conversation.challenge(keys))

    async def _final(self, data: bytes) -> Outcome:
        async def check() -> Success:
            proof = self._conversation.final(data)
            if self._user is None:
                raise WrongCredentials
            return Success(self._user, proof)

        return await self._attempt(prepareUsername(self._conversation.user) or self._conversation.user, check)


class PlainExchange(SASLExchange):
    """
    PLAIN (RFC 4616): the password itself, checked by L{IAuthBackend.checkPassword}, which takes as long for a user who
    does not exist.
    """

    def __init__(self, sasl: SASL, attempt: Attempt = attemptNow) -> None:
        super().__init__()
        self._sasl = sasl
        self._attempt = attempt

    async def first(self, data: bytes) -> Outcome:
        """Check name and password."""
        parts = decodeUTF8(data).split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise SASLFailure("malformed-request", "The PLAIN message is malformed.")
        authzid, name, password = parts
        self.claimed = name
        user = prepareUsername(name)
        checkAuthzid(authzid, user, self._sasl.domain)

        async def check() -> Success:
            if user is None or not await self._sasl.accounts.checkPassword(user, password):
                raise WrongCredentials
            return Success(user)

        return await self._attempt(user or name, check)


def scram(hashName: str, binds: bool) -> Mechanism:
    """
    The row of one of the SCRAM mechanisms.

    @param hashName: as in L{muccore.xmpp.scramkeys.HASHES}.
    @param binds: whether it is the one with C{-PLUS}.
    """

    def refusal(sasl: SASL, channel: SecurityLayer) -> str | None:
        kept = hashName in sasl.accounts.hashes
        return None if kept and (channel.canBind or not binds) else "invalid-mechanism"

    def exchange(sasl: SASL, channel: SecurityLayer) -> SASLExchange:
        bindings = channel.bindings if binds else None
        return ScramExchange(
            sasl, hashName, ScramServer(hashName, bindings, sasl.offersBinding(channel)), channel.attempt
        )

    return Mechanism(f"SCRAM-{hashName}{'-PLUS' if binds else ''}", refusal, exchange, binds)


def _plainRefusal(sasl: SASL, channel: SecurityLayer) -> str | None:
    return None if channel.secure or sasl.plainWithoutTLS else "encryption-required"


MECHANISMS: Final = (
    scram("SHA-256", True),
    scram("SHA-1", True),
    scram("SHA-256", False),
    scram("SHA-1", False),
    Mechanism("PLAIN", _plainRefusal, lambda sasl, channel: PlainExchange(sasl, channel.attempt)),
)
"""Every mechanism, strongest first."""


__all__ = [
    "MECHANISMS",
    "SASL",
    "BindingRefused",
    "Challenge",
    "Mechanism",
    "PlainExchange",
    "SASLExchange",
    "SASLFailure",
    "ScramExchange",
    "SecurityLayer",
    "Success",
    "scram",
]
