# -*- test-case-name: tests.operations.test_audit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl audit}: who has moderated and configured rooms, also those that have ended."""

from __future__ import annotations

import argparse
from typing import Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import AuditEntry, AuditQuery
from muccore.log.eventlog import escape
from muccore.muc.extensions import auditcommand
from muccore.operations.refused import Refused
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import InvalidJID, parse

NAME: Final = "audit"
HELP: Final = "list who has moderated and configured rooms, the newest first"

_PAGE: Final = 1000


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("room", metavar="ROOM", nargs="?", help="the room, also one that has ended (all)")
    parser.add_argument("--who", metavar="JID", help="who has done it, or whom it concerns")
    parser.add_argument("--kind", help="what was done: " + ", ".join(kind for kind, _ in auditcommand.KINDS))
    parser.add_argument("--since", metavar="TIME", help="2026-11-29 or 2026-11-29T12:00:00Z")
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="how many at most (100); 0: all")


async def listEntries(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    List the entries that are asked for, one a line, with tabs between number, room, time, kind, actor, target, reason
    and details.

    @raise Refused: if there are none to be read, or an argument is wrong.
    @raise StoreError: if the store cannot be read.
    """
    room, who, since = _bare(options.room), _bare(options.who), None
    if options.since is not None:
        try:
            since = auditcommand.parseTime(options.since)
        except ValueError:
            raise Refused(f"{options.since!r} is neither a date such as 2026-11-29 nor a time") from None
    store = ServerStores(settings, globalReactor()).audit
    description = settings.storage.placeOf("audit")[1] or settings.storage.placeOf("rooms")[1]
    if store is None or description.startswith("memory:"):
        raise Refused(f"found {description!r}, which keeps no audit trails that can be read from here")
    left = options.limit or None
    before = None
    lines: list[str] = []
    await store.open()
    try:
        while left is None or left > 0:
            limit = _PAGE if left is None else min(left, _PAGE)
            query = AuditQuery(room=room, kind=options.kind, who=who, since=since, before=before, limit=limit)
            page = await store.query(query)
            lines += map(_line, page.entries)
            if page.complete:
                break
            before = page.entries[-1].id
            left = None if left is None else left - limit
    finally:
        await store.close()
    return lines


def _bare(text: str | None) -> str | None:
    try:
        return None if text is None else parse(text).bare
    except InvalidJID as e:
        raise Refused(f"{text!r} is no address: {e}") from None


def _line(entry: AuditEntry) -> str:
    number, *others = auditcommand.shown(entry)
    # What users choose must not imitate another line or column.
    return "\t".join(escape(value) or "-" for value in (number, entry.room, *others))
