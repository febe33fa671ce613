# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The commands about single users (XEP-0133 §4.1 to §4.10)."""

from __future__ import annotations

from typing import Any, Final

from muccore.interfaces import NoSuchUser
from muccore.services.administration.base import ACCOUNT, ACCOUNTS, AdminCommand, Subject, answering, forEach, result
from muccore.xmpp import ns
from muccore.xmpp.commands import Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID

_PASSWORD: Final = Field("text-private", "password", "The password for this account", required=True)
_VERIFY: Final = Field("text-private", "password-verify", "Retype password")
_LAST_LOGIN: Final = Field("text-single", "lastlogin", "The last login time")
_ADDRESSES: Final = Field("list-multi", "ipaddresses", "The IP addresses of an account's online sessions", open=True)
_SIZE: Final = Field("text-single", "rostersize", "Number of roster items for an account")
_RESOURCES: Final = Field("text-multi", "onlineresources", "The names of an account's online sessions")


def _notOwn(account: JID, requester: JID) -> None:
    """@raise StanzaError: for the account of the admin, who would not hear the outcome."""
    if account.bare == requester.bare:
        raise StanzaError("not-allowed", text="You cannot do this to your own account.")


class AddUser(AdminCommand):
    """§4.1"""

    node, name, stages = f"{ns.ADMIN}#add-user", "Add a user", 1
    fields = (ACCOUNT, _PASSWORD, _VERIFY)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Add it, also if one of this name was removed a short time ago."""
        account, password = values["accountjid"].bareJID(), values["password"]
        if values.get("password-verify") not in (None, "", password):
            raise StanzaError("not-acceptable", text="The two passwords differ.")
        with answering(account.full):
            await subject.accountsOf(account).create(account, password, requester.bare, override=True)
        return Completed(note=f"{account.full} was added.")


class ChangePassword(AdminCommand):
    """§4.7"""

    node, name, stages = f"{ns.ADMIN}#change-user-password", "Change the password of a user", 1
    fields = (ACCOUNT, _PASSWORD)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Change it."""
        account = values["accountjid"].bareJID()
        with answering(account.full):
            await subject.accountsOf(account).setPassword(account, values["password"], requester.bare)
        return Completed(note=f"The password of {account.full} was changed.")


class DeleteUser(AdminCommand):
    """§4.2"""

    node, name, stages = f"{ns.ADMIN}#delete-user", "Delete users", 1
    fields = (ACCOUNTS,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Delete them."""

        async def delete(account: JID) -> None:
            _notOwn(account, requester)
            await subject.accountsOf(account).remove(account.bareJID(), requester.bare)

        return await forEach(values["accountjids"], delete)


class DisableUser(AdminCommand):
    """§4.3"""

    node, name, stages = f"{ns.ADMIN}#disable-user", "Disable users", 1
    fields = (ACCOUNTS,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Disable them."""

        async def disable(account: JID) -> None:
            _notOwn(account, requester)
            await subject.accountsOf(account).setDisabled(account.bareJID(), True, requester.bare)

        return await forEach(values["accountjids"], disable)


class ReEnableUser(AdminCommand):
    """§4.4"""

    node, name, stages = f"{ns.ADMIN}#reenable-user", "Enable users again", 1
    fields = (ACCOUNTS,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Enable them."""

        async def enable(account: JID) -> None:
            await subject.accountsOf(account).setDisabled(account.bareJID(), False, requester.bare)

        return await forEach(values["accountjids"], enable)


class EndUserSession(AdminCommand):
    """§4.5"""

    node, name, stages = f"{ns.ADMIN}#end-user-session", "End sessions of users", 1
    fields = (ACCOUNTS,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """End all sessions of an account, or the one with a full JID."""

        async def end(account: JID) -> None:
            if account in (requester, requester.bareJID()):
                _notOwn(account, requester)
            error = StreamError("policy-violation", "An admin has ended this session.")
            if not subject.accountsOf(account).endSessions(account, error):
                raise StanzaError("item-not-found", text=f"{account.full} has no session.")

        return await forEach(values["accountjids"], end)


class _Lookup(AdminCommand):
    """A command that looks something up about accounts that exist."""

    stages = 1
    fields = (ACCOUNTS,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Look it up."""

        async def look(account: JID) -> Element:
            if not await subject.accountsOf(account).has(account.bareJID()):
                raise NoSuchUser
            return await self.look(subject, account.bareJID())

        return await forEach(values["accountjids"], look)

    async def look(self, subject: Subject, account: JID) -> Element:
        """The form with it."""
        raise NotImplementedError


class GetUserRoster(_Lookup):
    """§4.8"""

    node, name = f"{ns.ADMIN}#get-user-roster", "Show the rosters of users"

    async def look(self, subject: Subject, account: JID) -> Element:
        """The roster is a child of the form, as in the example."""
        form = result((ACCOUNTS, (account,)))
        query = form.add("query", ns.ROSTER)
        for contact, item in sorted((await subject.administration.roster(account)).items()):
            named = {"name": item.name} if item.name else {}
            entry = query.add("item", ns.ROSTER, jid=contact, subscription=item.subscription, **named)
            for group in item.groups:
                entry.add("group", ns.ROSTER, group)
        return form


class GetUserLastLogin(_Lookup):
    """§4.9"""

    node, name = f"{ns.ADMIN}#get-user-lastlogin", "Show when users have logged in last"

    async def look(self, subject: Subject, account: JID) -> Element:
        """The time is missing if it is not known."""
        time = await subject.administration.lastLogin(account)
        return result((ACCOUNTS, (account,)), (_LAST_LOGIN, None if time is None else stamp(time)))


class UserStats(AdminCommand):
    """§4.10"""

    node, name, stages = f"{ns.ADMIN}#user-stats", "Show what is known of a user", 1
    fields = (ACCOUNT,)

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Show it."""
        account = values["accountjid"].bareJID()
        with answering(account.full):
            if not await subject.accountsOf(account).has(account):
                raise NoSuchUser
            found = await subject.administration.statistics(account)
        form = result(
            (ACCOUNT, account), (_ADDRESSES, found.addresses), (_SIZE, str(found.contacts)),
            (_RESOURCES, found.resources),
        )  # fmt: skip
        return Completed([form])


COMMANDS: Final = (
    AddUser, DeleteUser, DisableUser, ReEnableUser, EndUserSession, ChangePassword, GetUserRoster, GetUserLastLogin,
    UserStats,
)  # fmt: skip
"""All of them."""
