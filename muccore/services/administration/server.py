# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The commands about the server itself (XEP-0133 §4.29 to §4.31)."""

from __future__ import annotations

from typing import Any, Final

from muccore.interfaces import NoSuchUser
from muccore.services.administration.base import AdminCommand, Subject, answering
from muccore.services.administration.messages import textOf
from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

ADMINS_LIMIT: Final = 100

_ADMINS: Final = Field("jid-multi", "adminjids", "The admin list")
_DELAYS: Final = (
    ("30", "30 seconds"), ("60", "60 seconds"), ("90", "90 seconds"), ("120", "2 minutes"), ("180", "3 minutes"),
    ("240", "4 minutes"), ("300", "5 minutes"),
)  # fmt: skip
_DELAY: Final = Field("list-single", "delay", "Time delay", _DELAYS, required=True)
_ANNOUNCEMENT: Final = Field("text-multi", "announcement", "Announcement")


class EditAdmin(AdminCommand):
    """§4.29"""

    node, name, stages = f"{ns.ADMIN}#edit-admin", "Edit the list of admins", 1
    fields = (_ADMINS,)

    def values(self, subject: Subject) -> dict[str, Any]:
        """See L{AdminCommand.values}."""
        return {"adminjids": tuple(jid.parse(each) for each in subject.administration.admins())}

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Set it; those of the configuration stay. Admins have accounts at this server: names can be given away."""
        wanted = sorted({each.bare for each in values.get("adminjids") or ()})
        if len(wanted) > ADMINS_LIMIT:
            raise StanzaError("not-acceptable", text=f"There may be {ADMINS_LIMIT} admins.")
        known = subject.administration.admins()
        for each in wanted:
            account = jid.parse(each)
            accounts = subject.accountsOf(account)
            with answering(each):
                if each not in known and not await accounts.has(account):
                    raise NoSuchUser
        with answering(subject.host):
            kept = await subject.administration.setAdmins(wanted)
        if kept:
            return Completed(note=f"These stay, since the configuration has them: {', '.join(kept)}.", noteType="warn")
        return Completed(note="The list of admins was changed.")


class _Stop(AdminCommand):
    """A command that ends the server."""

    stages = 1
    fields = (_DELAY, _ANNOUNCEMENT)
    restart: bool

    def values(self, subject: Subject) -> dict[str, Any]:
        """See L{AdminCommand.values}."""
        return {"delay": "60"}

    async def administer(self, subject: Subject, requester: JID, values: Any) -> Completed:
        """Tell the users of all hosts, and end it when the time has passed."""
        lines, delay = values.get("announcement"), int(values["delay"])
        if any(lines or ()):
            text = textOf(lines)
            for announcements in subject.administration.announcements.values():
                announcements.announce(text)
        subject.administration.stop(delay, self.restart, requester.bare)
        return Completed(note=f"The server ends in {delay} seconds.")


class Restart(_Stop):
    """§4.30"""

    node, name, restart = f"{ns.ADMIN}#restart", "Restart the server", True

    def mayUse(self, subject: Subject, requester: JID) -> bool:
        """See L{Command.mayUse}: only where something starts it again."""
        return super().mayUse(subject, requester) and bool(subject.administration.canRestart)


class ShutDown(_Stop):
    """§4.31"""

    node, name, restart = f"{ns.ADMIN}#shutdown", "Shut the server down", False

    def mayUse(self, subject: Subject, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return super().mayUse(subject, requester) and bool(subject.administration.canStop)


COMMANDS: Final = (EditAdmin, Restart, ShutDown)
"""All of them."""
