# -*- test-case-name: tests.muc.extensions.test_invitationpreferences -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An ad-hoc command of the service by which users choose whether strangers may invite them to rooms: those who are not in
their roster and with whom they are in no room at the time, and to rooms in which they have no affiliation.

What they choose holds for invitations by rooms and by users, at all services of the host, and is stored. Who invites
is answered as if nobody were there, so that nobody learns who has chosen what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.log.logger import Logger
from muccore.muc.model.extension import RoomExtension
from muccore.muc.protocol.base import RoomHandler
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.jid import JID

NODE: Final = "urn:x-muccore:invitations"
"""The node of the command, and the C{FORM_TYPE} of its form."""

NAME: Final = "refuse-invitations"
"""The name under which it is stored who wants none from strangers."""

_STRANGERS: Final = Field("boolean", "strangers", "Accept invitations from strangers")


class ChooseInvitations(Command[RoomHandler]):
    """The command, for the users of the host."""

    node, name, stages = NODE, "Choose who may invite you to rooms", 1

    def mayUse(self, subject: RoomHandler, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return requester.domain == subject.options.localDomain

    def form(self, request: CommandRequest[RoomHandler], stage: int) -> CommandForm:
        """Ask for the choice."""
        refusing = request.requester.bare in request.subject.invitations.refusing
        instructions = [
            "Strangers are those who are not among your contacts and share no room with you.",
            "What you choose holds in all rooms. Members of a room are invited to it in any case.",
        ]
        return CommandForm(NODE, [(_STRANGERS, not refusing)], self.name, instructions)

    def carryOut(self, request: CommandRequest[RoomHandler]) -> Deferred[Completed]:
        """Store it."""
        service, user = request.subject, request.requester.bare
        wanted = request.values.get("strangers", user not in service.invitations.refusing)

        def stored(_: object) -> Completed:
            refusing = service.invitations.refusing
            if wanted:
                refusing.discard(user)
                return Completed(note="Everybody may invite you to rooms.")
            refusing.add(user)
            return Completed(note="Only contacts, and users who share a room with you, may invite you to rooms.")

        writing: Deferred[Any] = service.rooms.store.setPreference(NAME, user, None if wanted else True)
        return writing.addCallbacks(stored, storeFailed)


class InvitationPreferences(RoomExtension):
    """The extension that offers the command."""

    name = NAME
    _log = Logger()

    def start(self) -> None:
        """Load who has chosen what."""
        policy, store = self.service.invitations, self.service.rooms.store
        self.service.rooms.loader.load(
            "who refuses invitations", lambda: store.preferences(NAME).addCallback(policy.refusing.update)
        )

    def serviceCommands(self) -> Sequence[Command[RoomHandler]]:
        """See L{RoomExtension.serviceCommands}."""
        return [ChooseInvitations()]
