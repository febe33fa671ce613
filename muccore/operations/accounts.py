# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The operations on accounts: what the running server is asked for, and what is done in its place while none runs.

The latter removes the account itself, and what its user has stored; the rest of a removal is written down, and finished
by the server when it starts (docs/design/0029).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.im.accountrecords import AccountRecords
from muccore.im.invitations import Invitation, InvitationRecords, TooManyInvitations
from muccore.interfaces import IAccountStore, IArchiveStore, IUserDataStore, NoSuchUser, UserExists
from muccore.operations.refused import Refused
from muccore.server.controloperations import NO_REGISTRATION, WAS_RESERVED
from muccore.xmpp.jid import JID
from muccore.xmpp.uris import xmppURI


@dataclass(frozen=True)
class Argument:
    """An argument of an operation, described in one line; a secret must not stand on the command line."""

    name: str
    help: str
    secret: bool = False
    optional: bool = False


@dataclass(frozen=True)
class OfflineAccounts:
    """
    The stores of the accounts of a host, while no server runs; they are open.

    @ivar accounts: the accounts.
    @ivar documents: what their users store, with the records of the host; C{None} if there is no such store.
    @ivar host: the domain of the host.
    @ivar tombstoneTime: seconds for which nobody may register the name of a removed account.
    @ivar invitationTime: seconds for which an invitation can be used; 0 if the host takes no registrations.
    @ivar archive: the archives, not open; C{None} if there is no such store.
    """

    accounts: IAccountStore
    documents: IUserDataStore | None
    host: str
    tombstoneTime: float
    invitationTime: float
    archive: IArchiveStore | None = None

    @property
    def records(self) -> AccountRecords | None:
        """The records of the host."""
        return None if self.documents is None else AccountRecords(self.documents, self.host)


@dataclass(frozen=True)
class Operation:
    """
    An operation on the accounts.

    @ivar help: what it does, in one line.
    @ivar arguments: the arguments of C{function} after the stores, in order.
    @ivar function: does it while no server runs; returns lines of output.
    @ivar check: raises what C{function} would if it cannot be done; called before asking for a password.
    @ivar remoteCheck: the same, as an operation of the running server.
    @ivar direct: whether it is done in any case by the stores: it only reads.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    function: Callable[..., Coroutine[Deferred[Any], Any, list[str]]]
    check: Callable[..., Coroutine[Deferred[Any], Any, None]] | None = None
    remoteCheck: str = ""
    direct: bool = False


async def _exists(accounts: IAccountStore, user: JID) -> bool:
    for hashName in accounts.hashes:
        return await accounts.scramKeys(user.bare, hashName) is not None
    return user.bare in await accounts.users(user.domain)


async def _checkNew(stores: OfflineAccounts, user: JID) -> None:
    if await _exists(stores.accounts, user):
        raise UserExists
    records = stores.records
    removal = None if records is None else await records.removal(user.local)
    if removal is not None and removal.credentials:
        raise Refused(f"{user}: an account of this name is being removed; finish that by deluser")


async def _checkExisting(stores: OfflineAccounts, user: JID) -> None:
    if not await _exists(stores.accounts, user):
        raise NoSuchUser


async def _addUser(stores: OfflineAccounts, user: JID, password: str) -> list[str]:
    records = stores.records
    reserved = records is not None and await records.isReserved(user.local, time.time())
    await stores.accounts.create(user.bare, password)
    await _deleteArchive(stores, user)
    if records is not None:
        await records.clearTombstone(user.local)
    return [f"{user}: added", *([f"{user}: {WAS_RESERVED}"] if reserved else [])]


async def _setPassword(stores: OfflineAccounts, user: JID, password: str) -> list[str]:
    await stores.accounts.setPassword(user.bare, password)
    return [f"{user}: password changed"]


async def _checkRemovable(stores: OfflineAccounts, user: JID) -> None:
    records = stores.records
    removal = None if records is None else await records.removal(user.local)
    if removal is None or not removal.credentials:
        await _checkExisting(stores, user)


async def _deleteUser(stores: OfflineAccounts, user: JID) -> list[str]:
    records, documents = stores.records, stores.documents
    if records is None or documents is None:
        await stores.accounts.delete(user.bare)
        await _deleteArchive(stores, user)
        return [f"{user}: deleted"]
    await records.beginRemoval(user.local, time.time() + stores.tombstoneTime)
    # Perhaps a removal that was begun before is finished.
    with suppress(NoSuchUser):
        await stores.accounts.delete(user.bare)
    await records.credentialsRemoved(user.local)
    await documents.removeAccount(user.bare)
    await _deleteArchive(stores, user)
    return [f"{user}: deleted; contacts and rooms are told when the server starts"]


async def _deleteArchive(stores: OfflineAccounts, user: JID) -> None:
    if stores.archive is not None:
        await stores.archive.deleteUnopened(user.bare)


async def _setDisabled(stores: OfflineAccounts, user: JID, disabled: bool) -> None:
    await _checkExisting(stores, user)
    if stores.records is None:
        raise Refused(f"{user}: there is no store to write that down in; set [storage] userdata")
    await stores.records.setDisabled(user.local, disabled)


async def _disableUser(stores: OfflineAccounts, user: JID) -> list[str]:
    await _setDisabled(stores, user, True)
    return [f"{user}: disabled"]


async def _enableUser(stores: OfflineAccounts, user: JID) -> list[str]:
    await _setDisabled(stores, user, False)
    return [f"{user}: enabled"]


async def _invite(stores: OfflineAccounts, user: JID) -> list[str]:
    if stores.documents is None or not stores.invitationTime:
        raise Refused(NO_REGISTRATION)
    records = InvitationRecords(stores.documents, stores.host, time.time)
    if user.local and (await _exists(stores.accounts, user) or await records.isReserved(user.local, "")):
        raise Refused(f"{user}: there is such an account, or an invitation to it")
    until = float(int(time.time() + stores.invitationTime))
    try:
        token = await records.add(Invitation(until, user.local))
    except TooManyInvitations:
        raise Refused("too many invitations can still be used") from None
    return [xmppURI(user, f"register;preauth={token}")]


async def _listUsers(stores: OfflineAccounts) -> list[str]:
    return await stores.accounts.users()


USER: Final = Argument("user", "the account: name@domain, or its name alone if there is one domain")
"""An account, passed to operations as its bare L{JID}."""

INVITED: Final = Argument(
    "user", "the account that can be registered with it; without, any of the only domain", optional=True
)
"""Who is invited, passed to operations as a bare L{JID}, or that of the domain."""

PASSWORD: Final = Argument("password", "its password", secret=True)
"""A password, passed to operations as it was entered, not prepared."""

OPERATIONS: Final = (
    Operation("adduser", "add an account", (USER, PASSWORD), _addUser, _checkNew, "checknew"),
    Operation(
        "passwd", "change the password of an account", (USER, PASSWORD), _setPassword, _checkExisting, "checkuser"
    ),
    Operation(
        "deluser", "delete an account and all that is kept of it; its sessions end", (USER,), _deleteUser,
        _checkRemovable,
    ),
    Operation("disableuser", "let an account not log in; its sessions end", (USER,), _disableUser),
    Operation("enableuser", "let an account log in again that was disabled", (USER,), _enableUser),
    Operation(
        "invite", "print the URI of an invitation to register an account, which can be used once", (INVITED,), _invite,
    ),
    Operation("listusers", "list all accounts, one a line", (), _listUsers, direct=True),
)  # fmt: skip
"""All operations."""
