# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The commands about announcements to the users of the host that is addressed (XEP-0133 §4.23 to §4.28)."""

from __future__ import annotations

from typing import Any, Final

from muccore.interfaces import IAnnouncements
from muccore.services.administration.base import AdminCommand, Subject, answering
from muccore.xmpp import ns
from muccore.xmpp.commands import Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

TEXT_LIMIT: Final = 10_000
"""Characters of an announcement."""

ANNOUNCEMENT: Final = Field("text-multi", "announcement", "Announcement", required=True)
_MOTD: Final = Field("text-multi", "motd", "Message of the day", required=True)
_WELCOME: Final = Field("text-multi", "welcome", "Welcome message", required=True)


def textOf(lines: Any) -> str:
    """
    The text of a field.

    @raise StanzaError: C{not-acceptable} if it is empty or too long.
    """
    text = "\n".join(lines or ()).strip()
    if not text or len(text) > TEXT_LIMIT:
        raise StanzaError("not-acceptable", text=f"The text is empty, or longer than {TEXT_LIMIT} characters.")
    return text


class _MessageCommand(AdminCommand):
    """A command about announcements."""

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Change them."""
        with answering(subject.host):
            return Completed(note=await self.change(subject.administration.announcements[subject.host], values))

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Do it; return a note."""
        raise NotImplementedError


class Announce(_MessageCommand):
    """§4.23"""

    node, name, stages = f"{ns.ADMIN}#announce", "Send an announcement to online users", 1
    fields = (ANNOUNCEMENT,)

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Send it."""
        return f"It was sent to {announcements.announce(textOf(values['announcement']))} clients."


class SetMotd(_MessageCommand):
    """§4.24"""

    node, name, stages = f"{ns.ADMIN}#set-motd", "Set the message of the day", 1
    fields = (_MOTD,)

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Set it."""
        await announcements.setMessageOfTheDay(textOf(values["motd"]))
        return "The message of the day was set."


class EditMotd(_MessageCommand):
    """§4.25"""

    node, name, stages = f"{ns.ADMIN}#edit-motd", "Edit the message of the day", 1
    fields = (_MOTD,)

    def values(self, subject: Subject) -> dict[str, Any]:
        """See L{AdminCommand.values}."""
        return {"motd": tuple(subject.administration.announcements[subject.host].motd.splitlines())}

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Edit it."""
        await announcements.editMessageOfTheDay(textOf(values["motd"]))
        return "The message of the day was edited."


class DeleteMotd(_MessageCommand):
    """§4.26"""

    node, name = f"{ns.ADMIN}#delete-motd", "Delete the message of the day"

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Delete it."""
        await announcements.setMessageOfTheDay("")
        return "There is no message of the day any more."


class SetWelcome(_MessageCommand):
    """§4.27"""

    node, name, stages = f"{ns.ADMIN}#set-welcome", "Set the welcome message", 1
    fields = (_WELCOME,)

    def values(self, subject: Subject) -> dict[str, Any]:
        """See L{AdminCommand.values}."""
        return {"welcome": tuple(subject.administration.announcements[subject.host].welcome.splitlines())}

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Set it."""
        await announcements.setWelcome(textOf(values["welcome"]))
        return "The welcome message was set."


class DeleteWelcome(_MessageCommand):
    """§4.28"""

    node, name = f"{ns.ADMIN}#delete-welcome", "Delete the welcome message"

    async def change(self, announcements: IAnnouncements, values: Any) -> str:
        """Delete it."""
        await announcements.setWelcome("")
        return "There is no welcome message any more."


COMMANDS: Final = (Announce, SetMotd, EditMotd, DeleteMotd, SetWelcome, DeleteWelcome)
"""All of them."""
