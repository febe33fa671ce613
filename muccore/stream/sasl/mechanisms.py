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

from muccore.interfaces import IAccounts
from muccore.stream.sasl.exchange import (
    Attempt,
    BindingRefused,
    Challenge,
    Exchange,
    Outcome,
    SASLFailure,
    Success,
    WrongCredentials,
    attemptNow,
    checkAuthzid,
    decoded,
    userNamed,
)
from muccore.stream.sasl.scram import Conversation, fakeKeys
from muccore.xmpp.specs import XEP

if TYPE_CHECKING:
    from muccore.net.tls import ChannelBindings

implements = (
    XEP(4616, "The PLAIN SASL Mechanism", series="RFC"),
    XEP(5802, "SCRAM SASL Mechanisms", note="Server's side; SCRAM-SHA-1 and SCRAM-SHA-1-PLUS.", series="RFC"),
    XEP(7677, "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", series="RFC"),
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
        accounts: IAccounts,
        domain: str,
        plainWithoutTLS: bool,
        secret: bytes | None = None,
        table: Sequence[Mechanism] | None = None,
    ) -> None:
        """
        @param secret: what the salts of users who do not exist are made from (see L{fakeKeys}). Without one, a new
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
        channel = Channel(secure, bindings)
        return [name for name, mechanism in self._table.items() if mechanism.refusal(self, channel) is None]

    def begin(
        self, name: str, secure: bool, bindings: ChannelBindings | None, attempt: Attempt | None = None
    ) -> Exchange:
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
        channel = Channel(secure, bindings, attempt or attemptNow)
        refusal = mechanism.refusal(self, channel)
        if refusal is not None:
            raise BindingRefused(refusal, f"{name} is not offered.") if mechanism.binds else SASLFailure(refusal)
        return mechanism.exchange(self, channel)

    def offersBinding(self, channel: Channel) -> bool:
        """
        Whether a client is offered any mechanism that binds the channel.
        """
        return any(m.binds and m.refusal(self, channel) is None for m in self._table.values())


@dataclass(frozen=True)
class Channel:
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
    def bindable(self) -> bool:
        """
        Whether there is anything that a client could bind to.
        """
        return self.secure and self.bindings is not None and bool(self.bindings.types())


@dataclass(frozen=True)
class Mechanism:
    """
    A row of the table.

    @ivar name: as it is on the wire.
    @ivar refusal: why it is not to be had here, as a condition of L{SASLFailure}, or C{None} if it is.
    @ivar exchange: makes the exchange.
    @ivar binds: whether it binds the channel.
    """

    name: str
    refusal: Callable[[SASL, Channel], str | None]
    exchange: Callable[[SASL, Channel], Exchange]
    binds: bool = False


class ScramExchange(Exchange):
    """
    SCRAM by the keys that L{IAccounts.scramKeys} gives.
    """

    def __init__(
        self, sasl: SASL, hashName: str, conversation: Conversation, attempt: Attempt = attemptNow
    ) -> None:
        super().__init__()
        self._sasl = sasl
        self._hashName = hashName
        self._attempt = attempt
        self._conversation = conversation
        self._user: str | None = None

    async def first(self, data: bytes) -> Outcome:
        """
        Find the user's keys, or make up some.
        """
        conversation = self._conversation
        conversation.first(data)
        self.claimed = conversation.user
        user = userNamed(conversation.user)
        checkAuthzid(conversation.authzid, user, self._sasl.domain)
        # Made for everyone, so that it takes as long for everyone.
        keys = fakeKeys(self._sasl.secret, self._hashName, conversation.user if user is None else user)
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

        return await self._attempt(userNamed(self._conversation.user) or self._conversation.user, check)


class PlainExchange(Exchange):
    """
    PLAIN (RFC 4616): the password itself, checked by L{IAccounts.checkPassword}, which takes as long for a user who
    does not exist.
    """

    def __init__(self, sasl: SASL, attempt: Attempt = attemptNow) -> None:
        super().__init__()
        self._sasl = sasl
        self._attempt = attempt

    async def first(self, data: bytes) -> Outcome:
        """
        Check name and password.
        """
        parts = decoded(data).split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise SASLFailure("malformed-request", "The PLAIN message is malformed.")
        authzid, name, password = parts
        self.claimed = name
        user = userNamed(name)
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

    def refusal(sasl: SASL, channel: Channel) -> str | None:
        kept = hashName in sasl.accounts.hashes
        return None if kept and (channel.bindable or not binds) else "invalid-mechanism"

    def exchange(sasl: SASL, channel: Channel) -> Exchange:
        bindings = channel.bindings if binds else None
        return ScramExchange(
            sasl, hashName, Conversation(hashName, bindings, sasl.offersBinding(channel)), channel.attempt
        )

    return Mechanism(f"SCRAM-{hashName}{'-PLUS' if binds else ''}", refusal, exchange, binds)


def _plainRefusal(sasl: SASL, channel: Channel) -> str | None:
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
    "Channel",
    "Exchange",
    "Mechanism",
    "PlainExchange",
    "SASLFailure",
    "ScramExchange",
    "Success",
    "scram",
]
