# -*- test-case-name: tests.muc.extensions.test_hats -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Hats (XEP-0317): what distinguishes some users of a room, given by its admins with ad-hoc commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces import RoomChange
from muccore.muc.model import configuration, hats
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.hats import Hat, Rows
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomcommands import RoomCommand, accountOf
from muccore.muc.model.roomrecord import putRows
from muccore.muc.protocol import admin, disco
from muccore.xmpp import dataforms, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

_NAMESPACE: Final = "urn:xmpp:hats:commands"
_TITLE: Final = Field("text-single", "hats#title", "Hat Title", required=True)
_URI: Final = Field("text-single", "hats#uri", "Hat URI", required=True)
_HUE: Final = Field("text-single", "hats#hue", "Hat Hue")
_JID: Final = Field("jid-single", "hats#jid", "User Address", required=True)

Outcome = Completed | Deferred[Completed]


class Hats(RoomExtension):
    """The extension."""

    name = "hats"
    features = (ns.HATS,)
    implements = (Spec(317, "Hats", "0.3.1", "Titles without language; nothing inside of hats."),)

    def commands(self) -> Sequence[Command[Room]]:
        """Offer what XEP-0317 §3 describes."""
        return [Create(self), Destroy(self), List(self), Assign(self), Unassign(self), ListAssigned(self)]

    def infoFields(self, room: Room, sender: JID) -> Iterable[tuple[str, str, str, bool | str | tuple[str, ...]]]:
        """Tell the hash of the list of hats, if there are any."""
        found = hats.hatsOf(room)
        if found:
            yield "hats#hash", "text-single", "Hats hash", hats.digest(found)

    def stampPresence(self, room: Room, occupant: Occupant) -> bytes:
        """List the hats of an occupant."""
        return hats.rendered(hats.hatsOf(room, occupant.account.bare))

    def commit(self, request: CommandRequest[Room], rows: Rows, accounts: Iterable[str], act: ModerationAct) -> Outcome:
        """
        Commit changes of rows; then send the presence of the users concerned, and to all that the list of hats has
        changed unless the act has a target.

        @param accounts: their bare JIDs.
        """
        room = request.subject
        concerned = dict.fromkeys(accounts)

        def announce() -> Completed:
            putRows(room, rows)
            for account in concerned:
                for occupant in room.occupants.ofAccount(account):
                    room.restamp(occupant)
            if rows:
                if not act.target:
                    configuration.announce(room, (104,))
                tell(room.extensions.moderated, room, act)
            return Completed()

        writing = self.service.storeChange(room, RoomChange(states=rows))
        outcome: Outcome = self.service.commitThenAnnounce(room, request.requester.full, writing, announce)
        return outcome


class _HatCommand(RoomCommand):
    """A command of owners and admins with one form."""

    affiliation = Affiliation.ADMIN
    stages = 1

    done: str

    def __init__(self, extension: Hats) -> None:
        self.extension = extension

    def act(self, request: CommandRequest[Room], hat: Hat, user: str = "") -> ModerationAct:
        """
        What is done.

        @param user: their bare JID; C{""} if it concerns the hat itself.
        """
        details = {"done": self.done, "uri": hat.uri, "title": hat.title}
        return ModerationAct("hat", request.requester.bare, user, details=details)


class Create(_HatCommand):
    """Creates a hat, or changes its title and hue (XEP-0317 §3.2)."""

    node, name = f"{_NAMESPACE}:create", "Create or change a hat"
    done = "created or changed"

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask for the hat."""
        fields = [(_TITLE, None), (_URI, None), (_HUE, None)]
        return CommandForm(_NAMESPACE, fields, "Creating a Hat", ["Fill out this form to create a hat."])

    def carryOut(self, request: CommandRequest[Room]) -> Outcome:
        """Commit it."""
        room, values = request.subject, request.values
        try:
            hat = Hat.parse(values["hats#uri"], values["hats#title"], values.get("hats#hue", ""))
        except ValueError as e:
            raise badPayload(str(e)) from None
        wearers = hats.wearers(room, hat.uri)
        return self.extension.commit(request, hats.creation(room, hat), wearers, self.act(request, hat))


def _choice(room: Room) -> Field:
    """The field for one of the hats; C{item-not-found} if there are none."""
    options = tuple((hat.uri, hat.title) for hat in hats.hatsOf(room))
    if not options:
        raise StanzaError("item-not-found", text="This room has no hats.")
    return Field("list-single", "hats#uri", "The hat", options, required=True)


def _chosen(request: CommandRequest[Room]) -> Hat:
    """The chosen hat; that it is one of the options has been checked."""
    return next(hat for hat in hats.hatsOf(request.subject) if hat.uri == request.values["hats#uri"])


class Destroy(_HatCommand):
    """Destroys a hat (XEP-0317 §3.3)."""

    node, name = f"{_NAMESPACE}:destroy", "Destroy a hat"
    done = "destroyed"

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask which."""
        fields = [(_choice(request.subject), None)]
        return CommandForm(_NAMESPACE, fields, "Destroying a Hat", ["Fill out this form to destroy a hat."])

    def carryOut(self, request: CommandRequest[Room]) -> Outcome:
        """Commit it."""
        room, hat = request.subject, _chosen(request)
        wearers = hats.wearers(room, hat.uri)
        return self.extension.commit(request, hats.destruction(room, hat.uri), wearers, self.act(request, hat))


class _UserCommand(_HatCommand):
    """A command about a user and a hat."""

    title: str
    instructions: str

    def change(self, room: Room, account: str, uri: str) -> Rows:
        """Make the change, or refuse it."""
        raise NotImplementedError

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask who and which."""
        fields = [(_JID, None), (_choice(request.subject), None)]
        return CommandForm(_NAMESPACE, fields, self.title, [self.instructions])

    def carryOut(self, request: CommandRequest[Room]) -> Outcome:
        """Commit it."""
        room, hat = request.subject, _chosen(request)
        account = accountOf(room, request.values["hats#jid"]).bare
        return self.extension.commit(
            request, self.change(room, account, hat.uri), [account], self.act(request, hat, account)
        )


class Assign(_UserCommand):
    """Gives a user a hat (XEP-0317 §3.5)."""

    node, name = f"{_NAMESPACE}:assign", "Assign a hat to a user"
    done = "given"
    title, instructions = "Assigning a Hat", "Fill out this form to assign a hat."
    change = staticmethod(hats.assignment)


class Unassign(_UserCommand):
    """Takes a hat from a user (XEP-0317 §3.6)."""

    node, name = f"{_NAMESPACE}:unassign", "Remove a hat from a user"
    done = "taken away"
    title, instructions = "Removing a Hat", "Fill out this form to remove a hat."
    change = staticmethod(hats.removal)


class List(_HatCommand):
    """Lists the hats of a room, for those who may know what is in it (XEP-0317 §3.4)."""

    node, name, stages = f"{_NAMESPACE}:list", "List the hats of this room", 0

    def mayUse(self, room: Room, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return disco.mayKnowContents(room, requester)

    def carryOut(self, request: CommandRequest[Room]) -> Completed:
        """Make the table."""
        rows = [(hat.title, hat.uri, hat.hue) for hat in hats.hatsOf(request.subject)]
        return Completed([dataforms.table("Hats List", (_TITLE, _URI, _HUE), rows)])


class ListAssigned(_HatCommand):
    """Lists who has which hat, for those who may see the list of members (XEP-0317 §3.7)."""

    node, name, stages = f"{_NAMESPACE}:list-assigned", "List who has hats", 0

    def mayUse(self, room: Room, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return Affiliation.MEMBER in admin.visibleLists(room, requester)

    def carryOut(self, request: CommandRequest[Room]) -> Completed:
        """Make the table."""
        pairs = hats.assignments(request.subject)
        rows = [(account, hat.uri, hat.title, hat.hue) for account, hat in pairs]
        return Completed([dataforms.table("Assigned Hats List", (_JID, _URI, _TITLE, _HUE), rows)])
