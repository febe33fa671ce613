# -*- test-case-name: tests.server.test_control -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the running server does for C{muccorectl}, by the names of the commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from muccore.im.accounts import Accounts
from muccore.im.newaccounts import NewAccounts
from muccore.interfaces import AccountBusy, NoSuchUser, NotManageable, UserExists
from muccore.muc.protocol.personremoval import MESSAGES, REMOVE, RETRACT, removePerson
from muccore.server.assembly import ServerComponents
from muccore.server.control import ControlRefused, Operation
from muccore.xmpp import jid
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

ACTOR: Final = "muccorectl"
"""Who it is that changes accounts, in the log."""

LINKS_LIMIT: Final = 5000
"""Links that are listed."""

WAS_RESERVED: Final = "an account of this name was removed before; the new one has nothing of it"


NO_REGISTRATION: Final = "accounts cannot be registered there; set [registration] mode to invited"


async def _addUser(accounts: Accounts, account: JID, password: str) -> list[str]:
    reserved = await accounts.records.isReserved(account.local, accounts.parent.now())
    await accounts.create(account, password, ACTOR, override=True)
    return [f"{account}: added", *([f"{account}: {WAS_RESERVED}"] if reserved else [])]


async def _setPassword(accounts: Accounts, account: JID, password: str) -> list[str]:
    await accounts.setPassword(account, password, ACTOR)
    return [f"{account}: password changed"]


async def _deleteUser(accounts: Accounts, account: JID, password: str) -> list[str]:
    if await accounts.remove(account, ACTOR):
        return [f"{account}: deleted"]
    return [f"{account}: deleted; a store has failed, so what is left of it is removed later (see the log)"]


async def _disableUser(accounts: Accounts, account: JID, password: str) -> list[str]:
    await accounts.setDisabled(account, True, ACTOR)
    return [f"{account}: disabled"]


async def _enableUser(accounts: Accounts, account: JID, password: str) -> list[str]:
    await accounts.setDisabled(account, False, ACTOR)
    return [f"{account}: enabled"]


async def _checkUser(accounts: Accounts, account: JID, password: str) -> list[str]:
    if not await accounts.has(account):
        raise NoSuchUser
    return []


async def _checkNew(accounts: Accounts, account: JID, password: str) -> list[str]:
    if await accounts.has(account):
        raise UserExists
    return []


async def _invite(registrar: NewAccounts, account: JID) -> list[str]:
    if not registrar.allowed:
        raise ControlRefused(NO_REGISTRATION)
    try:
        issued = await registrar.inviteAccount(None, account.local, False)
    except StanzaError as e:
        raise ControlRefused(f"{account}: {e.text}") from None
    return [issued.uri]


_OPERATIONS: Final[Mapping[str, Callable[[Accounts, JID, str], Awaitable[list[str]]]]] = {
    "adduser": _addUser,
    "passwd": _setPassword,
    "deluser": _deleteUser,
    "disableuser": _disableUser,
    "enableuser": _enableUser,
    "checkuser": _checkUser,
    "checknew": _checkNew,
}


def operations(components: ServerComponents) -> Mapping[str, Operation]:
    """The operations, on the components of a server."""
    found: dict[str, Operation] = {
        name: partial(_carryOut, components, function) for name, function in _OPERATIONS.items()
    }
    return {
        **found,
        "invite": partial(_carryOutInvitation, components),
        "purgeuser": partial(_purgeUser, components),
        "links": partial(_listLinks, components),
    }


async def _listLinks(components: ServerComponents, request: Mapping[str, Any]) -> list[str]:
    federation = components.federation.federation
    found = [link.describe() for link in federation.used()] + [peer.describe() for peer in federation.peers()]
    found.sort()
    more = len(found) - LINKS_LIMIT
    return found if more <= 0 else [*found[:LINKS_LIMIT], f"and {more} more"]


async def _carryOutInvitation(components: ServerComponents, request: Mapping[str, Any]) -> list[str]:
    account = jid.parse(str(request["account"]))
    for host in components.hosts:
        if host.domain == account.domain and host.handlers.registrar is not None:
            return await _invite(host.handlers.registrar, account)
    raise ControlRefused(NO_REGISTRATION)


async def _purgeUser(components: ServerComponents, request: Mapping[str, Any]) -> list[str]:
    """Remove everything of a person: the account, if there is one here, and what rooms have."""
    person, how = jid.parse(str(request["account"])), str(request["messages"])
    if how and how not in MESSAGES:
        raise ValueError(how)
    lines: list[str] = []
    for host in components.hosts:
        accounts = host.handlers.accounts
        if host.domain == person.domain and accounts is not None:
            lines += await _purgeAccount(accounts, person)
    rooms = messages = 0
    try:
        for host in components.hosts:
            for service in host.handlers.muc.values():
                removed = await removePerson(service, person, how)
                rooms += removed.rooms
                messages += removed.messages
    except StanzaError as e:
        raise ControlRefused(f"{person}: a room cannot be changed: {e.text or e.condition}; try again") from None
    return [*lines, toldOfRooms(person, rooms, messages, how)]


def toldOfRooms(person: JID, rooms: int, messages: int, how: str) -> str:
    """A line about what was removed from rooms."""
    done = {RETRACT: f"; {messages} messages retracted", REMOVE: f"; {messages} messages removed"}.get(how, "")
    return f"{person}: removed from {rooms} rooms{done}"


async def _purgeAccount(accounts: Accounts, account: JID) -> list[str]:
    try:
        if not accounts.manageable:
            await accounts.removeData(account, ACTOR)
            return [f"{account}: what is kept of the account is deleted; the account itself is kept elsewhere"]
        if not await accounts.has(account) and await accounts.records.removal(account.local) is None:
            return []
        return await _deleteUser(accounts, account, "")
    except AccountBusy:
        raise ControlRefused(f"{account}: the account is being changed or removed; try again later") from None


async def _carryOut(
    components: ServerComponents,
    function: Callable[[Accounts, JID, str], Awaitable[list[str]]],
    request: Mapping[str, Any],
) -> list[str]:
    account, password = jid.parse(str(request["account"])), str(request.get("password", ""))
    for host in components.hosts:
        if host.domain == account.domain and host.handlers.accounts is not None:
            try:
                return await function(host.handlers.accounts, account, password)
            except UserExists:
                raise ControlRefused(f"{account}: the account exists already; passwd changes its password") from None
            except NoSuchUser:
                raise ControlRefused(f"{account}: there is no such account; adduser adds it") from None
            except AccountBusy:
                raise ControlRefused(f"{account}: the account is being changed or removed; try again later") from None
            except NotManageable as e:
                raise ControlRefused(f"{account}: {e}") from None
            except ValueError as e:
                raise ControlRefused(f"{account}: this password cannot be used: {e}") from None
    raise ControlRefused(f"{account}: the running server has no accounts there that can be changed")
