# -*- test-case-name: tests.stream.sasl.test_mechanisms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
SASL exchanges (RFC 6120 §6): a L{SASLExchange} takes the messages of the client, and answers with a L{Challenge} or a
L{Success}, or fails with a L{SASLFailure}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from muccore.interfaces import StoreError
from muccore.log.eventlog import limit
from muccore.log.logger import Logger
from muccore.xmpp import jid
from muccore.xmpp.scramkeys import ScramKeys

SASL_CONDITIONS: Final = frozenset(
    [
        "aborted", "account-disabled", "credentials-expired", "encryption-required", "incorrect-encoding",
        "invalid-authzid", "invalid-mechanism", "malformed-request", "mechanism-too-weak", "not-authorized",
        "temporary-auth-failure",
    ]
)  # fmt: skip
"""Every condition of RFC 6120 §6.5."""

MESSAGE_LIMIT: Final = 4096
"""Limit for a message of the client, in bytes: more than PLAIN needs with all parts at their maximum length."""


class SASLFailure(Exception):
    """
    A failed log-in. Contains nothing that the client sent or may not know.

    @ivar condition: one of L{SASL_CONDITIONS}.
    @ivar text: a sentence for the user, or C{None}.
    """

    def __init__(self, condition: str, text: str | None = None) -> None:
        """@raise ValueError: for an undefined condition."""
        if condition not in SASL_CONDITIONS:
            raise ValueError(f"no SASL failure condition: {condition}")
        super().__init__(condition if text is None else f"{condition}: {text}")
        self.condition = condition
        self.text = text


class BindingRefused(SASLFailure):
    """A mismatch of channel bindings, which says nothing about the password."""


class WrongCredentials(SASLFailure):
    """A wrong password or an unknown user."""

    def __init__(self) -> None:
        super().__init__("not-authorized")


@dataclass(frozen=True)
class Challenge:
    """A challenge to the client; its data is not in base64."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Success:
    """
    A successful log-in.

    @ivar user: the prepared localpart.
    @ivar data: additional data with success (RFC 6120 §6.3.10), not in base64, or C{None}.
    @ivar keys: the keys of the password that was right, if it was one by SCRAM.
    """

    user: str
    data: bytes | None = field(default=None, repr=False)
    keys: ScramKeys | None = field(default=None, repr=False, compare=False)


_T = TypeVar("_T")

Outcome = Challenge | Success

Check = Callable[[], Awaitable[Success]]
"""Checks a password, and raises L{WrongCredentials}."""

Attempt = Callable[[str, Check], Awaitable[Success]]
"""Runs a password check for that account, possibly after a delay."""


async def attemptNow(account: str, check: Check) -> Success:
    """The L{Attempt} without delay."""
    return await check()


def begin(coroutine: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """
    Run a coroutine, as C{Deferred.fromCoroutine} does, which costs several times as much if the coroutine ends without
    waiting for anything.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as e:
        return succeed(e.value)
    except Exception:
        return fail()
    return Deferred.fromCoroutine(_goOn(coroutine, awaited))


@coroutine
def _goOn(begun: Coroutine[Any, Any, _T], awaited: Any) -> Generator[Any, Any, _T]:
    """Go on with a coroutine that waits for something."""
    while True:
        try:
            try:
                value = yield awaited
            except GeneratorExit:
                begun.close()
                raise
            except BaseException as e:
                awaited = begun.throw(e)
            else:
                awaited = begun.send(value)
        except StopIteration as e:
            result: _T = e.value
            return result


_log = Logger()


async def guarded(step: Awaitable[_T]) -> _T:
    """
    Take a step of a log-in.

    @raise SASLFailure: as the step does; C{aborted} if it is cancelled, C{temporary-auth-failure} if it fails by
        itself, which is logged.
    """
    try:
        return await step
    except SASLFailure:
        raise
    except CancelledError:
        raise SASLFailure("aborted") from None
    except StoreError as e:
        # Anybody can try to log in.
        if limit.admits("accounts", "-"):
            _log.error("Log-ins fail, because the accounts are unavailable: {error}", error=str(e))
    except Exception:
        _log.failure("A log-in failed with an internal error")
    raise SASLFailure("temporary-auth-failure")


class SASLExchange:
    """
    One log-in by one client-first mechanism.

    A mechanism overrides L{first}, which before returning a L{Challenge} sets C{self._next} to the next step. Steps
    raise L{SASLFailure}; other exceptions are internal errors, and hidden from the client.

    @ivar claimed: the user name as sent by the client; C{None} before.
    """

    def __init__(self) -> None:
        self.claimed: str | None = None
        self._next: Callable[[bytes], Awaitable[Outcome]] | None = self.first

    async def first(self, data: bytes) -> Outcome:
        """Handle the client's first message."""
        raise NotImplementedError

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """
        Begin the exchange.

        @param initial: the initial response; without one, an empty challenge asks for it (RFC 6120 §6.4.2).
        @return: fires with a L{Challenge} or a L{Success}, or fails with L{SASLFailure}, which ends the exchange.
        """
        return succeed(Challenge(b"")) if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Deferred[Outcome]:
        """Handle the client's response to the last challenge, as L{start}; cancelled, it fails with C{aborted}."""
        return begin(self.take(data))

    async def take(self, data: bytes | None) -> Outcome:
        """
        Take a step, as L{start} and L{respond}: for coroutines, since a failure that comes out of a Deferred refers to
        itself, and by its traceback to everything that has led to it.
        """
        if data is None:
            return Challenge(b"")
        # Cleared first: each step runs once, and none while another waits.
        step, self._next = self._next, None
        if step is None:
            raise SASLFailure("malformed-request", "No response is expected.")
        if len(data) > MESSAGE_LIMIT:
            raise SASLFailure("malformed-request", "The message is too long.")
        return await guarded(step(data))


def decodeUTF8(data: bytes) -> str:
    """Decode a text message; C{malformed-request} if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SASLFailure("malformed-request", "The message is not UTF-8.") from None


def prepareUsername(name: str) -> str | None:
    """Prepare a user name sent by a client; C{None} if it is invalid."""
    try:
        return jid.prepareLocal(name)
    except jid.InvalidJID:
        return None


def checkAuthzid(authzid: str | None, user: str | None, domain: str, claimed: str | None = None) -> None:
    """
    Check an authorization identity (RFC 6120 §6.3.8).

    @param user: from L{prepareUsername}.
    @param claimed: the bare JID in the C{from} of the stream, if that counts (XEP-0388 §2.3).
    @raise SASLFailure: C{invalid-authzid} if it is not the user's bare JID, or not the claimed one.
    """
    if not authzid:
        return
    try:
        wanted = jid.parse(authzid)
    except jid.InvalidJID:
        wanted = None
    own = wanted is not None and user is not None and wanted == jid.JID(user, domain, "")
    if not own or (claimed is not None and wanted is not None and wanted.full != claimed):
        raise SASLFailure("invalid-authzid", "The authorization identity must be the user's own JID.")
