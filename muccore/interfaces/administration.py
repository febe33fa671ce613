# Copyright (c) The muccore authors. See LICENSE for details.
"""Administration of the server by its admins (XEP-0133), as the commands for it see the server."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from zope.interface import Attribute, Interface

from muccore.xmpp.jid import JID


class UserStatistics(NamedTuple):
    """
    What is known of a user.

    @ivar addresses: the addresses of their clients.
    @ivar contacts: the size of their roster.
    @ivar resources: their sessions.
    """

    addresses: Sequence[str]
    contacts: int
    resources: Sequence[str]


class IAdministration(Interface):
    """A server with all its hosts. Methods fail with L{StoreError} if a store does."""

    accounts = Attribute("C{Mapping[str, IAccounts]}: the accounts by host.")
    announcements = Attribute("C{Mapping[str, IAnnouncements]}: the announcements by host.")
    invitations = Attribute("C{Mapping[str, IInvitations]}: the invitations by host.")
    canStop = Attribute("C{bool}: whether the server may be ended by command.")
    canRestart = Attribute("C{bool}: whether something starts it again then.")

    def isAdmin(jid: JID) -> bool:
        """Whether somebody may administer the server."""

    def admins() -> Sequence[str]:
        """The admins, by bare JID, sorted."""

    def setAdmins(admins: Sequence[str]) -> Awaitable[Sequence[str]]:
        """
        Set the admins besides those of the configuration, who stay.

        @return: the admins of the configuration that are not among C{admins}.
        """

    def users(host: str) -> Awaitable[Sequence[str]]:
        """The accounts of a host, by bare JID, sorted; those that are disabled included."""

    def disabled(host: str) -> Sequence[str]:
        """The disabled accounts of a host, by bare JID, sorted."""

    def online(host: str) -> Mapping[str, bool]:
        """The accounts of a host that have sessions, by bare JID, and whether a client of theirs is active."""

    def roster(account: JID) -> Awaitable[Mapping[str, Any]]:
        """The roster of an account: L{RosterItem<muccore.interfaces.RosterItem>}s by contact."""

    def lastLogin(account: JID) -> Awaitable[float | None]:
        """When an account became available last, in seconds since the epoch; C{None} if that is not known."""

    def statistics(account: JID) -> Awaitable[UserStatistics]:
        """What is known of a user."""

    def stop(delay: float, restart: bool, by: str) -> None:
        """
        End the server.

        @param delay: after so many seconds; an earlier request is replaced.
        @param restart: whether to start again.
        """


class IAnnouncements(Interface):
    """
    What the server tells the users of a host.

    @ivar motd: the message of the day; C{""} for none.
    @ivar welcome: the message to new users; C{""} for none.
    """

    motd = Attribute("C{str}")
    welcome = Attribute("C{str}")

    def announce(text: str) -> int:
        """Tell all who are online, in slices; return how many sessions these are."""

    def setMessageOfTheDay(text: str) -> Awaitable[None]:
        """Tell everybody once: those who are online now, others when they are next. C{""}: no longer."""

    def editMessageOfTheDay(text: str) -> Awaitable[None]:
        """Tell those who were not told yet something else."""

    def setWelcome(text: str) -> Awaitable[None]:
        """Tell those who get an account from now on, when they are available first. C{""}: no longer."""
