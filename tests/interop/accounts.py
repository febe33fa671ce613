# Copyright (c) The muccore authors. See LICENSE for details.
"""
Accounts made and deleted by an administrator (XEP-0133 §4.1, §4.2), since the suite needs some of its own. Made for it
alone: there are no other commands, and nothing is checked that it does not do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from muccore.interfaces import IAccountStore, UserExists
from muccore.interfaces.handlers import HOST
from muccore.routing.handler import Handler, StanzaError
from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Commands, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element

ADMIN = "http://jabber.org/protocol/admin"


class _AdminCommand(Command["Accounts"]):
    """A command with one form, for the administrator."""

    stages = 1
    fields: tuple[Field, ...]

    def mayUse(self, subject: Accounts, requester: jid.JID) -> bool:
        """Only the administrator may."""
        return requester.bare == subject.administrator

    def form(self, request: CommandRequest[Accounts], stage: int) -> CommandForm:
        """The form, empty."""
        return CommandForm(ADMIN, [(field, None) for field in self.fields], self.name)


class AddUser(_AdminCommand):
    """XEP-0133 §4.1."""

    node, name = f"{ADMIN}#add-user", "Add user"
    fields = (
        Field("jid-single", "accountjid", required=True),
        Field("text-private", "password", required=True),
        Field("text-private", "password-verify", required=True),
    )

    def carryOut(self, request: CommandRequest[Accounts]) -> Deferred[Completed]:
        """Create the account."""
        values = request.values
        if values["password"] != values["password-verify"]:
            raise badPayload("password-verify: is not the same")
        created = request.subject.store.create(values["accountjid"].bare, values["password"])
        return created.addCallbacks(lambda _: Completed(), self._exists)

    @staticmethod
    def _exists(failure: Any) -> Completed:
        failure.trap(UserExists)
        raise StanzaError("conflict")


class DeleteUser(_AdminCommand):
    """XEP-0133 §4.2."""

    node, name = f"{ADMIN}#delete-user", "Delete user"
    fields = (Field("jid-multi", "accountjids", required=True),)

    def carryOut(self, request: CommandRequest[Accounts]) -> Deferred[Completed]:
        """Delete the accounts."""
        deleted = [request.subject.store.delete(each.bare) for each in request.values["accountjids"]]
        return gatherResults(deleted, consumeErrors=True).addCallback(lambda _: Completed())


class Accounts(Handler):
    """
    Answers the commands at the domain of the accounts.

    @ivar administrator: the bare JID of who may use them.
    @ivar store: where the accounts are.
    """

    features = (ns.COMMANDS,)

    def __init__(self, administrator: str, store: IAccountStore) -> None:
        super().__init__()
        self.administrator = administrator
        self.store = store

    def connectionInitialized(self) -> None:
        """Make the commands, now that there is a clock."""
        super().connectionInitialized()
        self._commands = Commands([AddUser(), DeleteUser()], self.parent.clock.seconds)

    def onCommand(self, iq: Element, to: jid.JID) -> Any:
        """Execute a command."""
        return self._commands.execute(self, iq, jid.parse(iq["from"]), to)

    iqs = {("set", HOST, ns.COMMANDS, "command"): onCommand}
