# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The commands that make invitations (XEP-0401): for admins, and for all users if that is configured."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import IInvitations, IssuedInvitation
from muccore.services.administration.base import Subject
from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.jid import JID, InvalidJID

_FORM: Final = f"{ns.INVITE}#invitation"
_URI: Final = Field("text-single", "uri", "The invitation")
_EXPIRE: Final = Field("text-single", "expire", "When it expires")
_USERNAME: Final = Field("text-single", "username", "Username")
_SUBSCRIPTION: Final = Field("boolean", "roster-subscription", "Roster subscription")


def _issued(issued: IssuedInvitation) -> Completed:
    fields = [(_URI, issued.uri), (_EXPIRE, stamp(issued.expires))]
    return Completed([dataforms.form("result", _FORM, fields, "Invitation")])


def _invitations(subject: Subject) -> IInvitations | None:
    found: IInvitations | None = subject.administration.invitations.get(subject.host)
    return found if found is not None and found.allowed else None


class InviteUser(Command[Subject]):
    """Invites somebody to become a contact, and to register if they have no account (§6.1)."""

    node, name = f"{ns.INVITE}#invite", "Invite user"
    raisesErrors = True

    def mayUse(self, subject: Subject, requester: JID) -> bool:
        """See L{Command.mayUse}: users of the host itself."""
        invitations = _invitations(subject)
        if invitations is None or requester.domain != subject.host or not requester.local:
            return False
        return bool(invitations.allowsUser(requester) or subject.administration.isAdmin(requester.bareJID()))

    def carryOut(self, request: CommandRequest[Subject]) -> Deferred[Completed]:
        """Make the invitation at once."""
        invitations = _invitations(request.subject)
        assert invitations is not None, "it may be used"

        async def invite() -> Completed:
            return _issued(await invitations.inviteContact(request.requester.bareJID()))

        return Deferred.fromCoroutine(invite())


class CreateAccount(Command[Subject]):
    """Invites somebody to register, with a name perhaps (§6.4); for admins."""

    node, name, stages = f"{ns.INVITE}#create-account", "Create account", 1
    raisesErrors = True

    def mayUse(self, subject: Subject, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        admin = subject.administration.isAdmin(requester.bareJID())
        return bool(admin and _invitations(subject) is not None)

    def form(self, request: CommandRequest[Subject], stage: int) -> CommandForm:
        """Ask for the name."""
        return CommandForm(self.node, [(_USERNAME, None), (_SUBSCRIPTION, False)], self.name)

    def carryOut(self, request: CommandRequest[Subject]) -> Deferred[Completed]:
        """Make the invitation."""
        invitations, values = _invitations(request.subject), request.values
        assert invitations is not None, "it may be used"
        name: Any = values.get("username") or ""
        try:
            local = jid.prepareLocal(name) if name else ""
        except InvalidJID as e:
            raise badPayload(f"username: {e}") from None

        async def invite() -> Completed:
            subscribe = bool(values.get("roster-subscription"))
            return _issued(await invitations.inviteAccount(request.requester.bareJID(), local, subscribe))

        return Deferred.fromCoroutine(invite())


COMMANDS: Final = (InviteUser, CreateAccount)
"""All of them."""
