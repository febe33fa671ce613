# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The commands that count and list users of the host that is addressed (XEP-0133 §4.13 to §4.22)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from muccore.services.administration.base import AdminCommand, Subject, answering, result
from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.jid import JID

LIST_LIMIT: Final = 1000
"""Accounts in a list; more are not shown, and C{none} is not more."""

_SIZES: Final = tuple((size, size) for size in ("25", "50", "75", "100", "150", "200"))
_MAX_ITEMS: Final = Field("list-single", "max_items", "Maximum number of items to show", (*_SIZES, ("none", "None")))

_Find = Callable[[Subject], Awaitable[Sequence[str]]]


async def _registered(subject: Subject) -> Sequence[str]:
    return await subject.administration.users(subject.host)


async def _disabled(subject: Subject) -> Sequence[str]:
    return subject.administration.disabled(subject.host)


async def _online(subject: Subject) -> Sequence[str]:
    return sorted(subject.administration.online(subject.host))


async def _active(subject: Subject) -> Sequence[str]:
    return sorted(each for each, active in subject.administration.online(subject.host).items() if active)


async def _idle(subject: Subject) -> Sequence[str]:
    return sorted(each for each, active in subject.administration.online(subject.host).items() if not active)


class CountUsers(AdminCommand):
    """Counts the users of a kind."""

    def __init__(self, node: str, kind: str, var: str, find: _Find) -> None:
        self.node, self.name = f"{ns.ADMIN}#{node}", f"Count {kind} users"
        self._field = Field("text-single", var, f"The number of {kind} users")
        self._find = find

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Count them."""
        with answering(subject.host):
            found = await self._find(subject)
        return Completed([result((self._field, str(len(found))))])


class ListUsers(AdminCommand):
    """Lists the users of a kind, sorted."""

    stages = 1
    fields = (_MAX_ITEMS,)

    def __init__(self, node: str, kind: str, var: str, find: _Find) -> None:
        self.node, self.name = f"{ns.ADMIN}#{node}", f"List {kind} users"
        self._field = Field("jid-multi", var, f"The list of all {kind} users")
        self._find = find

    def values(self, subject: Subject) -> dict[str, Any]:
        """See L{AdminCommand.values}."""
        return {"max_items": "100"}

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """List them."""
        with answering(subject.host):
            found = await self._find(subject)
        chosen = values.get("max_items") or "none"
        limit = LIST_LIMIT if chosen == "none" else int(chosen)
        note = f"The first {limit} of {len(found)} are shown." if len(found) > limit else ""
        return Completed([result((self._field, tuple(jid.parse(each) for each in found[:limit])))], note)


def commands() -> Iterator[AdminCommand]:
    """All of them. The names of the last two lists are those of the text, and so is the field of the last one."""
    for kind, find, numNode, num, listNode, listed in (
        ("registered", _registered, "get-registered-users-num", "registeredusersnum", "get-registered-users-list",
         "registereduserjids"),
        ("disabled", _disabled, "get-disabled-users-num", "disabledusersnum", "get-disabled-users-list",
         "disableduserjids"),
        ("online", _online, "get-online-users-num", "onlineusersnum", "get-online-users-list", "onlineuserjids"),
        ("active", _active, "get-active-users-num", "activeusersnum", "get-active-users", "activeuserjids"),
        ("idle", _idle, "get-idle-users-num", "idleusersnum", "get-idle-users", "activeuserjids"),
    ):  # fmt: skip
        yield CountUsers(numNode, kind, num, find)
        yield ListUsers(listNode, kind, listed, find)
