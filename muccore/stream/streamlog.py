# -*- test-case-name: tests.stream.test_streamlog -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Log fields and lines about streams: TLS, log-in, and the reason of the end."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from muccore.interfaces import UserAgent
from muccore.log.eventlog import LOGIN, LOGIN_FAILED, SESSION_RESUMED, EventKind, Phrase, clean
from muccore.stream.negotiation import Negotiation
from muccore.xmpp.errors import StreamError

ORDERLY: Final = frozenset(["conflict", "reset", "system-shutdown"])
"""Conditions that are no fault of the client."""

_TOLD: Final = 32
"""Characters of each part of what a client has told about itself."""


def describeTLS(transport: Any, secure: bool) -> Phrase:
    """Version and cipher of a connection, if it is C{secure} by its own TLS."""
    if not secure:
        return Phrase("no TLS")
    connection = transport.getHandle()
    if not hasattr(connection, "get_cipher_name"):
        return Phrase("TLS of a proxy")
    return Phrase(f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}")


def describeError(error: StreamError) -> Phrase:
    """Condition and text of a stream error."""
    return Phrase(error.condition if error.text is None else f"{error.condition} ({error.text.rstrip('.')})")


def describeEnd(
    error: Phrase | None, clean: bool, lost: Failure | None, held: bool = False, peer: str = "client"
) -> Phrase:
    """
    The reason why a stream ended.

    @param error: the error that the server sent, if any, from L{describeError}.
    @param clean: whether the client closed the stream.
    @param lost: the reason of the lost connection, if the stream was open.
    @param held: whether the session waits to be resumed.
    @param peer: what is at the other end.
    """
    if error is not None:
        why: str = error
    elif clean:
        why = f"closed by the {peer}"
    elif lost is None:
        why = f"stream error from the {peer}"
    elif isinstance(lost.value, ConnectionAborted) and lost.value.args:
        why = lost.value.args[0]
    else:
        why = "disconnected" if isinstance(lost.value, ConnectionDone) else "connection lost"
    return Phrase(f"{why}, may be resumed" if held else why)


def describeClient(agent: UserAgent | None) -> str:
    """What a client has told about itself (XEP-0388), to be appended; only its user and operators may know."""
    told = [] if agent is None else [clean(each[:_TOLD]) for each in (agent.software, agent.device) if each]
    return ", " + " on ".join(told) if told else ""


def logLogin(host: str, transport: Any, negotiation: Negotiation, jid: str, resumed: bool) -> None:
    """Log a log-in, after which a resource was bound or a session resumed."""
    client = describeClient(negotiation.userAgent)
    _log(SESSION_RESUMED if resumed else LOGIN, host, transport, negotiation, client, jid=jid)


def logLoginFailed(host: str, transport: Any, negotiation: Negotiation, condition: str) -> None:
    """Log a failed log-in."""
    claimed = negotiation.login.claimed
    account = f"{claimed}@{negotiation.features.domain}" if claimed else "-"
    _log(LOGIN_FAILED, host, transport, negotiation, condition=condition, account=account)


def _log(kind: EventKind, host: str, transport: Any, negotiation: Negotiation, more: str = "", **fields: str) -> None:
    if kind.wanted():
        tls = Phrase(describeTLS(transport, negotiation.secure) + more)
        kind.log(host, mechanism=negotiation.login.mechanism or "-", tls=tls, **fields)
