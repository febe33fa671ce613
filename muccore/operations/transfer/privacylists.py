# -*- test-case-name: tests.operations.transfer.test_privacylists -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Privacy lists (XEP-0016) of other servers: the block list (XEP-0191) that the default one amounts to. This server has
nothing else that they could become.
"""

from __future__ import annotations

from typing import Final

from muccore.xmpp.element import Element
from muccore.xmpp.jid import InvalidJID, parse

_STANZAS: Final = frozenset(["message", "iq", "presence-in", "presence-out"])


def blockedIn(query: Element) -> tuple[frozenset[str], list[str]]:
    """
    Find whom the default list blocks.

    @param query: the lists of an account.
    @return: the addresses, prepared, and what cannot come.
    """
    default = query.child("default")
    name = None if default is None else default.get("name")
    blocked: set[str] = set()
    problems = []
    for each in query.childElements():
        if each.name != "list":
            continue
        if each.get("name") != name:
            problems.append(f"{each.get('name')}: it is not the default, and there is only one list here")
            continue
        for item in sorted(each.childElements(), key=_order):
            if item.get("action") == "allow" and item.get("type") is None:
                # What follows it is never looked at (XEP-0016 §2.2).
                break
            problem = _block(item, blocked)
            if problem:
                problems.append(f"{name}: {problem}")
    return frozenset(blocked), problems


def _order(item: Element) -> int:
    order = item.get("order") or ""
    return int(order) if order.isascii() and order.isdigit() and len(order) < 12 else 0


def _block(item: Element, blocked: set[str]) -> str:
    """Add what an item blocks; return why it cannot come, or C{""}."""
    kind, action = item.get("type"), item.get("action")
    named = {child.name for child in item.childElements()}
    if action != "deny" or kind != "jid" or (named and not named >= _STANZAS):
        return "only items that deny everything from and to an address can come"
    try:
        blocked.add(parse(item.get("value") or "").full)
    except InvalidJID as e:
        return f"{item.get('value')!r} is no address: {e}"
    return ""
