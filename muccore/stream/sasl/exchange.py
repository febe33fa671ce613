# -*- test-case-name: tests.stream.sasl.test_mechanisms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What every SASL mechanism is to the stream: an L{SASLExchange}, which is told what the client sends and answers with a
L{Challenge} or a L{Success}, or fails with a L{SASLFailure} (RFC 6120 §6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed

from muccore.interfaces import StoreError
from muccore.log.logger import Logger
from muccore.xmpp import jid

SASL_CONDITIONS: Final = frozenset(
    [
        "aborted",
        "account-disabled",
        "credentials-expired",
        "encryption-required",
        "incorrect-encoding",
        "invalid-authzid",
        "invalid-mechanism",
        "malformed-request",
        "mechanism-too-weak",
        "not-authorized",
        "temporary-auth-failure",
    ]
)
"""Every condition of RFC 6120 §6.5."""

MESSAGE_LIMIT: Final = 4096
"""Longest message of a client that is looked at, in bytes. The longest that makes sense in PLAIN, with an
authorization identity and all parts as long as they may be, is shorter."""


class SASLFailure(Exception):
    """
    A log-in fails. Says no more than the client may know, and nothing of what the client sent.

    @ivar condition: one of L{SASL_CONDITIONS}.
    @ivar text: a sentence for the user's eyes, or C{None}.
    """

    def __init__(self, condition: str, text: str | None = None) -> None:
        """@raise ValueError: if there is no such condition."""
        if condition not in SASL_CONDITIONS:
            raise ValueError(f"no SASL failure condition: {condition}")
        super().__init__(condition if text is None else f"{condition}: {text}")
        self.condition = condition
        self.text = text


class BindingRefused(SASLFailure):
    """Client and server do not agree on a channel binding. Says nothing about the password, right or wrong."""


class WrongCredentials(SASLFailure):
    """The password is wrong, or nobody has that name: a guess."""

    def __init__(self) -> None:
        super().__init__("not-authorized")


@dataclass(frozen=True)
class Challenge:
    """
    The client has to answer.

    @ivar data: what it has to answer to, not yet in base64.
    """

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Success:
    """
    The client is who it says it is.

    @ivar user: the prepared localpart.
    @ivar data: what goes to the client with the success (RFC 6120 §6.4.6), not yet in base64, or C{None}.
    """

    user: str
    data: bytes | None = field(default=None, repr=False)


Outcome = Challenge | Success

Check = Callable[[], Awaitable[Success]]
"""Checks a password; raises L{WrongCredentials}."""

Attempt = Callable[[str, Check], Awaitable[Success]]
"""Has a password checked that is for the user of that name, when the time for it has come."""


async def attemptNow(user: str, check: Check) -> Success:
    """The L{Attempt} that never waits."""
    return await check()



class SASLExchange:
    """
    One log-in by one mechanism in which the client speaks first.

    A mechanism overrides L{first}; if that gives a L{Challenge}, it names the step that takes the answer as
    C{self._next}. Steps raise L{SASLFailure}; what else they raise is the server's trouble and not told to the
    client.

    @ivar claimed: the user name that the client has sent, as it sent it; C{None} before.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.claimed: str | None = None
        self._next: Callable[[bytes], Awaitable[Outcome]] | None = self.first

    async def first(self, data: bytes) -> Outcome:
        """The client's first message."""
        raise NotImplementedError

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """
        Begin.

        @param initial: the initial response, or C{None} if the client sent none: then an empty challenge asks for it
            (RFC 6120 §6.4.2).
        @return: fires with a L{Challenge} or a L{Success}, or fails with L{SASLFailure}; then the exchange is over.
        """
        return succeed(Challenge(b"")) if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Deferred[Outcome]:
        """
        Go on with the client's answer to the last challenge. Cancelling what this gives fails it with C{aborted}.

        @return: as L{start}.
        """
        # Taken away first: a step runs once, and nothing runs beside a step that waits.
        step, self._next = self._next, None
        return Deferred.fromCoroutine(self._take(step, data))

    async def _take(self, step: Callable[[bytes], Awaitable[Outcome]] | None, data: bytes) -> Outcome:
        if step is None:
            raise SASLFailure("malformed-request", "No response was asked for.")
        if len(data) > MESSAGE_LIMIT:
            raise SASLFailure("malformed-request", "The message is too long.")
        try:
            return await step(data)
        except SASLFailure:
            raise
        except CancelledError:
            raise SASLFailure("aborted") from None
        except StoreError as e:
            self._log.error("Nobody can log in, the accounts do not answer: {error}", error=str(e))
        except Exception:
            self._log.failure("A log-in failed by a fault of the server")
        raise SASLFailure("temporary-auth-failure")


def decodeUTF8(data: bytes) -> str:
    """
    A message of a mechanism whose messages are text.

    @raise SASLFailure: C{malformed-request} if it is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SASLFailure("malformed-request", "The message is not UTF-8.") from None


def prepareUsername(name: str) -> str | None:
    """The user name that a client means by what it sent, or C{None} if nobody can be called that."""
    try:
        return jid.prepareLocal(name)
    except jid.InvalidJID:
        return None


def checkAuthzid(authzid: str | None, user: str | None, domain: str) -> None:
    """
    Check that a client that asks for an authorization identity asks for its own (RFC 6120 §6.3.8).

    @param user: as L{prepareUsername} gives it.
    @raise SASLFailure: C{invalid-authzid} if it is anything but the user's own bare JID.
    """
    if not authzid:
        return
    try:
        wanted = jid.parse(authzid)
    except jid.InvalidJID:
        wanted = None
    if wanted is None or user is None or wanted != jid.JID(user, domain, ""):
        raise SASLFailure("invalid-authzid", "A user may only act as himself.")


__all__ = [
    "MESSAGE_LIMIT",
    "SASL_CONDITIONS",
    "Attempt",
    "BindingRefused",
    "Challenge",
    "Check",
    "Outcome",
    "SASLExchange",
    "SASLFailure",
    "Success",
    "WrongCredentials",
    "attemptNow",
    "checkAuthzid",
    "decodeUTF8",
    "prepareUsername",
]
