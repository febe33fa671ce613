# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the commands have in common: who may use them, the accounts that they are about, and their errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import (
    AccountBusy,
    IAccounts,
    IAdministration,
    NameReserved,
    NoSuchUser,
    NotManageable,
    StoreError,
    UserExists,
)
from muccore.log.eventlog import ADMINISTRATION
from muccore.log.logger import Logger
from muccore.xmpp import dataforms, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed
from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

ACCOUNT: Final = Field("jid-single", "accountjid", "The account", required=True)
ACCOUNTS: Final = Field("jid-multi", "accountjids", "The accounts", required=True)

_log: Final = Logger()


@dataclass(frozen=True)
class Subject:
    """
    What commands are carried out on.

    @ivar administration: the server.
    @ivar host: the domain that was addressed.
    """

    administration: IAdministration
    host: str

    def accountsOf(self, account: JID) -> IAccounts:
        """
        The accounts of the host that an account is at, whether it exists or not.

        @raise StanzaError: C{item-not-found} if it is at no host of this server.
        """
        found: IAccounts | None = self.administration.accounts.get(account.domain)
        if found is None or not account.local:
            raise StanzaError("item-not-found", text=f"{account.full} is no address of an account here.")
        return found


@contextmanager
def answering(account: str) -> Iterator[None]:
    """Answer with the error of XEP-0133 §5 for what L{IAccounts} and stores raise inside."""
    try:
        yield
    except UserExists:
        raise StanzaError("conflict", text=f"There is an account {account}.") from None
    except NoSuchUser:
        raise StanzaError("item-not-found", text=f"There is no account {account}.") from None
    except (AccountBusy, NameReserved) as e:
        raise StanzaError("conflict", text=f"{e}.") from None
    except NotManageable as e:
        raise StanzaError("not-allowed", text=f"{e}.") from None
    except ValueError as e:
        raise StanzaError("not-acceptable", text=f"This password cannot be used: {e}.") from None
    except StoreError as e:
        _log.error("a command of an admin failed: {error}", error=str(e))
        raise StanzaError("internal-server-error", "wait", "A store failed; try again later.") from None


class AdminCommand(Command[Subject]):
    """
    A command for admins; its node is that of XEP-0133.

    @cvar fields: the fields of its form.
    @cvar title: the title of its form.
    """

    raisesErrors = True
    fields: Sequence[Field] = ()

    def mayUse(self, subject: Subject, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return bool(subject.administration.isAdmin(requester.bareJID()))

    def values(self, subject: Subject) -> dict[str, Value]:
        """What is filled in already, by the name of the field."""
        return {}

    def form(self, request: CommandRequest[Subject], stage: int) -> CommandForm:
        """See L{Command.form}."""
        known = self.values(request.subject)
        return CommandForm(ns.ADMIN, [(each, known.get(each.var or "")) for each in self.fields], self.name)

    def carryOut(self, request: CommandRequest[Subject]) -> Deferred[Completed]:
        """See L{Command.carryOut}."""
        return Deferred.fromCoroutine(self._log(request))

    async def _log(self, request: CommandRequest[Subject]) -> Completed:
        outcome = await self.administer(request.subject, request.requester, request.values)
        target = request.values.get("accountjid") or request.values.get("accountjids") or ""
        shown = ", ".join(str(each) for each in target) if isinstance(target, tuple) else str(target)
        command = self.node.rpartition("#")[2]
        ADMINISTRATION.log(request.requester.bare, command=command, target=shown or request.subject.host)
        return outcome

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Do it."""
        raise NotImplementedError


async def forEach(
    accounts: Sequence[JID], act: Callable[[JID], Awaitable[Element | None]]
) -> Completed:
    """
    Do something for each account, whatever becomes of the others.

    @return: what was found, with a note about those for which it has failed.
    @raise StanzaError: if it has for all.
    """
    found: list[Element] = []
    failed: list[StanzaError] = []
    unique = list(dict.fromkeys(accounts))
    for account in unique:
        try:
            with answering(account.full):
                payload = await act(account)
        except StanzaError as e:
            failed.append(e)
        else:
            found.extend([] if payload is None else [payload])
    if len(failed) == len(unique):
        raise failed[0]
    if failed:
        return Completed(found, " ".join(each.text or each.condition for each in failed), "warn")
    return Completed(found, f"Done for {len(unique)} account{'s' if len(unique) > 1 else ''}.")


def result(*fields: tuple[Field, Value]) -> Element:
    """Make the form of a result."""
    return dataforms.form("result", ns.ADMIN, fields)
