# -*- test-case-name: tests.xmpp.test_commandsessions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The sessions of ad-hoc commands (XEP-0050 §3.3), bounded in number, size and time.

A session id proves for whom it was made, so that one which has ended can be told from one that was never issued,
without a list of those that have ended.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

LIFETIME: Final = 600
"""Seconds for which a session waits for the next request."""

LIMIT: Final = 1000
"""Maximum number of sessions."""

ACCOUNT_LIMIT: Final = 5
"""Maximum number of sessions of one account; a further one ends the oldest."""

SIZE_LIMIT: Final = 16_384
"""Characters of the submitted values that a session keeps for later stages."""

_NONCE_BYTES: Final = 8
_MAC_BYTES: Final = 16


def refusal(condition: str, text: str) -> StanzaError:
    """
    The error for a request that cannot be accepted (XEP-0050 §4.4).

    @param condition: C{bad-action}, C{bad-locale}, C{bad-payload}, C{bad-sessionid} or C{malformed-action}; also
        C{session-expired}.
    """
    general = "not-allowed" if condition == "session-expired" else "bad-request"
    return StanzaError(general, text=text, appCondition=Element((ns.COMMANDS, condition)))


@dataclass
class CommandSession:
    """
    One execution of a command.

    @ivar requester: the full JID to which it belongs.
    @ivar answers: what was submitted, for each completed stage: values by the name of the field.
    @ivar deadline: when it ends, in seconds.
    """

    id: str
    requester: JID
    answers: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    deadline: float = 0


class CommandSessions:
    """The sessions of one set of commands."""

    def __init__(self, now: Callable[[], float]) -> None:
        """@param now: returns the time, in seconds."""
        self._now = now
        self._key = secrets.token_bytes(32)
        self._sessions: OrderedDict[str, CommandSession] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, requester: JID, responder: JID, node: str) -> CommandSession:
        """Make a session, which is not kept before L{keep}."""
        nonce = secrets.token_hex(_NONCE_BYTES)
        return CommandSession(nonce + self._mac(nonce, requester, responder, node), requester)

    def _mac(self, nonce: str, requester: JID, responder: JID, node: str) -> str:
        message = "\0".join((nonce, requester.full, responder.full, node)).encode()
        return hmac.digest(self._key, message, "sha256")[:_MAC_BYTES].hex()

    def find(self, id: str, requester: JID, responder: JID, node: str) -> CommandSession:
        """
        Find the session that goes on.

        @raise StanzaError: C{session-expired} if it has ended, C{bad-sessionid} if it was never that of this requester,
            responder and command.
        """
        nonce, mac = id[: 2 * _NONCE_BYTES], id[2 * _NONCE_BYTES :]
        if not hmac.compare_digest(mac.encode(), self._mac(nonce, requester, responder, node).encode()):
            raise refusal("bad-sessionid", "This is not the id of a session of yours with this command.")
        self._expire()
        session = self._sessions.get(id)
        if session is None:
            raise refusal("session-expired", "The session has been completed or cancelled, or has timed out.")
        return session

    def keep(self, session: CommandSession) -> None:
        """
        Keep a session until the next request.

        @raise StanzaError: C{bad-payload} if what was submitted is too large, C{resource-constraint} if there are too
            many sessions.
        """
        if sum(map(_sizeOf, session.answers)) > SIZE_LIMIT:
            raise refusal("bad-payload", f"The values are longer than {SIZE_LIMIT} characters.")
        self._expire()
        self.end(session)
        account = session.requester.bare
        if self._counts[account] >= ACCOUNT_LIMIT:
            self.end(next(each for each in self._sessions.values() if each.requester.bare == account))
        if len(self._sessions) >= LIMIT:
            raise StanzaError("resource-constraint", text="Too many commands are being executed; try again later.")
        session.deadline = self._now() + LIFETIME
        self._sessions[session.id] = session
        self._counts[account] += 1

    def end(self, session: CommandSession) -> None:
        """End a session, if it is kept."""
        if self._sessions.pop(session.id, None) is not None:
            account = session.requester.bare
            self._counts[account] -= 1
            if not self._counts[account]:
                del self._counts[account]

    def _expire(self) -> None:
        now = self._now()
        while self._sessions and next(iter(self._sessions.values())).deadline <= now:
            self.end(next(iter(self._sessions.values())))


def _sizeOf(values: Mapping[str, Any]) -> int:
    """Characters of names and values."""
    return sum(len(name) + _length(value) for name, value in values.items())


def _length(value: Any) -> int:
    return sum(map(_length, value)) if isinstance(value, tuple) else len(str(value))
