# -*- test-case-name: tests.muc.model.test_costs -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What the acts of occupants cost: the bytes that a room sends because of them. See docs/design/0020.

The allowance of each account in a room is a token bucket, as is that of the room. While the room's is overdrawn, acts
cost the accounts more: those who act without end are slowed down, and those who act seldom have enough for the price.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

HIGHEST_PRICE: Final = 8.0
"""How much more acts cost at most in a room whose own bucket is overdrawn."""

LOG_INTERVAL: Final = 60.0
"""Seconds without debt after which the next one of an account is logged again."""

REMEMBERED: Final = 10_000
"""Accounts that are remembered in a room; above it the ones who acted least recently are forgotten."""


class CostRates(NamedTuple):
    """
    Rates in bytes per second, and bursts in bytes.

    @ivar occupantRate: of each account in each room; 0 for no limits at all.
    @ivar roomRate: of all accounts in a room together; 0 for no limit.
    """

    occupantRate: int
    occupantBurst: int
    roomRate: int
    roomBurst: int


class _Account:
    """
    The bucket of an account, as the time at which it is full again.

    @ivar inDebt: when it was in debt last.
    """

    __slots__ = ("full", "inDebt")

    def __init__(self, now: float) -> None:
        self.full = now
        self.inDebt = now - LOG_INTERVAL


class Debt(NamedTuple):
    """
    The debt of an account.

    @ivar seconds: the time until it is paid.
    @ivar isNew: whether there was none for L{LOG_INTERVAL}.
    """

    seconds: float
    isNew: bool


class Costs:
    """
    The costs in one room. Times are in seconds.

    @ivar indebted: whether any account may be in debt: otherwise L{debt} need not be asked.
    """

    __slots__ = ("_accounts", "_full", "_until", "indebted")

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] | None = None
        self._full = self._until = 0.0
        self.indebted = False

    def add(self, account: str, cost: int, now: float, rates: CostRates, longest: float = math.inf) -> Debt | None:
        """
        Charge an account for an act.

        @param account: the bare JID.
        @param cost: bytes sent.
        @param longest: seconds of debt that it makes at most.
        @return: C{None} if it is not in debt.
        """
        if not rates.occupantRate:
            return None
        price = self._price(cost, now, rates)
        accounts = self._accounts
        if accounts is None:
            accounts = self._accounts = {}
        entry = accounts.pop(account, None)
        if entry is None:
            entry = _Account(now)
        # The order is that of use.
        accounts[account] = entry
        burst = rates.occupantBurst / rates.occupantRate
        full = max(entry.full, now) + cost * price / rates.occupantRate
        entry.full = max(entry.full, min(full, now + burst + longest))
        if len(accounts) > 2:
            self._forget(accounts, now)
        late = entry.full - now - burst
        if late <= 0:
            return None
        isNew = now - entry.inDebt >= LOG_INTERVAL
        entry.inDebt = now
        self.indebted = True
        self._until = max(self._until, now + late)
        return Debt(late, isNew)

    def debt(self, account: str, now: float, rates: CostRates) -> float:
        """The seconds until the debt of an account is paid; 0 without debt."""
        if now >= self._until:
            self.indebted = False
        entry = self._accounts.get(account) if self._accounts is not None and rates.occupantRate else None
        return 0.0 if entry is None else max(0.0, entry.full - now - rates.occupantBurst / rates.occupantRate)

    def forgive(self, account: str) -> None:
        """Forget what an account owes."""
        if self._accounts is not None:
            self._accounts.pop(account, None)

    def _price(self, cost: int, now: float, rates: CostRates) -> float:
        """Charge the room; return how much more the account is charged, by what the room owed before."""
        if not rates.roomRate:
            return 1.0
        burst = rates.roomBurst / rates.roomRate
        price = max(1.0, 1 + self._full - now - burst)
        # The debt is limited to what brings the highest price: when a crowd has entered, that is soon over.
        self._full = min(max(self._full, now) + cost / rates.roomRate, now + burst + HIGHEST_PRICE - 1)
        return price

    @staticmethod
    def _forget(accounts: dict[str, _Account], now: float) -> None:
        """Forget some whose bucket is full: two at most, so that an act costs little, and more go than come."""
        for _ in range(2):
            oldest = next(iter(accounts))
            if accounts[oldest].full > now and len(accounts) <= REMEMBERED:
                break
            del accounts[oldest]
