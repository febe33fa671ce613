# -*- test-case-name: tests.session.test_savedsessions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Sessions over an orderly restart: those that can be resumed (XEP-0198) are saved at the end, with what their clients
have not acknowledged, and wait for their clients after the next start, for the rest of their time.

While the server ends, they handle nothing more, so that their clients know from the counter what to send again; what is
sent to them is kept as always, until they are saved. Nobody is told that they end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from muccore.interfaces import UserAgent
from muccore.log.logger import Logger
from muccore.session.registry import Sessions
from muccore.session.session import Session
from muccore.xmpp import jid
from muccore.xmpp.rendering import Rendered

LIMIT: Final = 64 * 1024 * 1024
"""Bytes of all sessions that are saved."""

_log: Final = Logger()


def save(sessions: Sessions, lasts: Callable[[Session], bool] = lambda session: True) -> list[tuple[Session, bytes]]:
    """
    Freeze the sessions that can be resumed, as they are now; end those above L{LIMIT}.

    @param lasts: whether a session goes on after a restart.
    @return: each with what is to be saved; C{thaw} it if that fails.
    """
    saved: list[tuple[Session, bytes]] = []
    size = ended = 0
    for session, until in sessions.resumptions.resumable():
        if not lasts(session):
            session.thaw()
            continue
        data = _dump(session, until)
        if size + len(data) > LIMIT:
            ended += 1
            session.thaw()
        else:
            size += len(data)
            session.freeze()
            saved.append((session, data))
    if ended:
        _log.warn(
            "{count} clients cannot resume their sessions after the restart: there is more to keep than {limit} MiB",
            count=ended,
            limit=LIMIT // 1024 // 1024,
        )
    return saved


def _dump(session: Session, until: float) -> bytes:
    management = session.management
    assert management is not None
    if session.stream is not None:
        management.detach()
        # What it was not sent while it was inactive is for the next stream (XEP-0352 §5.2).
        session.setActive(True)
    state = {
        "jid": session.fullText,
        "until": until,
        "language": session.language,
        "userAgent": session.userAgent,
        "priority": session.priority,
        "prioritySince": session.prioritySince,
        "presence": None if session.presence is None else session.presence.tail.decode(),
        "directed": list(session.directed),
        "interested": session.interested,
        "carbonsSince": session.carbonsSince,
        "notifiedNodes": sorted(session.notifiedNodes),
        "wantsBlockList": session.wantsBlockList,
        "management": management.dump(),
    }
    return json.dumps(state).encode()


def restore(sessions: Sessions, saved: Iterable[bytes]) -> list[Session]:
    """
    Add sessions that were saved, to be resumed. Those whose time is over end at once: what was not acknowledged is
    redelivered.
    """
    restored = []
    for data in saved:
        try:
            session = _restore(sessions, json.loads(data))
        except (KeyError, TypeError, ValueError, AttributeError):
            _log.failure("a session cannot be restored")
        else:
            if session is not None:
                restored.append(session)
    return restored


def _restore(sessions: Sessions, state: dict[str, Any]) -> Session | None:
    address = jid.parse(state["jid"])
    if sessions.byFullJID(address) is not None:
        return None
    management = state["management"]
    id, holdTime, until = str(management["id"]), float(management["holdTime"]), float(state["until"])
    presence, directed = state["presence"], {each: jid.parse(each) for each in state["directed"]}
    session = sessions.add(address, None)
    try:
        sessions.resumptions.restore(session, id, holdTime, management, until)
    except Exception:
        sessions.remove(session)
        raise
    session.language = state["language"]
    agent = state.get("userAgent")
    session.userAgent = None if agent is None else UserAgent(*map(str, agent))
    session.priority, session.prioritySince = state["priority"], state["prioritySince"]
    session.presence = None if presence is None else Rendered(b"<presence", presence.encode())
    session.directed = directed
    session.interested = bool(state.get("interested"))
    session.carbonsSince = state.get("carbonsSince")
    session.notifiedNodes = frozenset(map(str, state.get("notifiedNodes", ())))
    session.wantsBlockList = bool(state.get("wantsBlockList"))
    return session
