# -*- test-case-name: tests.muc.model.test_occupants -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The occupants of a room by nick: exactly, in any spelling (RFC 8266), and by what nicks look like; and by account.
"""

from __future__ import annotations

from collections.abc import Callable

from muccore.muc.model.lookalikes import LookalikeIndex
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.occupant import Occupant


class Occupants(dict[str, Occupant]):
    """
    The occupants by exact nick, in the order in which they entered. It is changed by its own methods only.

    @ivar lookalikes: the nicks by what they look like.
    """

    __slots__ = ("_byAccount", "_byForm", "lookalikes")

    def __init__(self) -> None:
        super().__init__()
        self._byForm: dict[str, Occupant] = {}
        self._byAccount: dict[str, tuple[Occupant, ...]] = {}
        self.lookalikes = LookalikeIndex()

    def add(self, occupant: Occupant) -> None:
        """Add an occupant."""
        self[occupant.nick] = self._byForm[occupant.form] = occupant
        account = occupant.account.bare
        self._byAccount[account] = (*self.ofAccount(account), occupant)
        self.lookalikes.add(occupant.nick, account)

    def discard(self, occupant: Occupant) -> None:
        """Remove an occupant, before their nick changes."""
        del self[occupant.nick], self._byForm[occupant.form]
        account = occupant.account.bare
        left = tuple(each for each in self._byAccount.pop(account) if each is not occupant)
        if left:
            self._byAccount[account] = left
        self.lookalikes.remove(occupant.nick, account)

    def find(self, nick: str) -> Occupant | None:
        """The occupant with a nick in any spelling, or C{None}."""
        return self._byForm.get(comparisonForm(nick))

    def ofDomain(self, domain: str, isExempt: Callable[[str], bool]) -> list[Occupant]:
        """
        The occupants of a domain, and the domain itself.

        @param isExempt: whether a user, by bare JID, is left out.
        """
        of = [occupant for occupant in self.values() if occupant.account.domain == domain]
        return [each for each in of if each.account.bare == domain or not isExempt(each.account.bare)]

    def ofAccount(self, bare: str) -> tuple[Occupant, ...]:
        """The occupants of a user, who can have several nicks, in the order in which they entered."""
        return self._byAccount.get(bare, ())

    def forget(self) -> None:
        """Remove all occupants."""
        self.clear()
        self._byForm.clear()
        self._byAccount.clear()
        self.lookalikes = LookalikeIndex()
