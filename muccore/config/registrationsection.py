# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[registration]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from muccore.config.option import option as _option
from muccore.config.types import Boolean, Choice, Duration, Integer, ListOf, Text

CLOSED: Final = "closed"
INVITED: Final = "invited"
OPEN: Final = "open"


@dataclass(frozen=True)
class RegistrationSection:
    """What users may do with accounts: register one, change their password, remove their account (XEP-0077)."""

    mode: str = _option(
        Choice(CLOSED, INVITED, OPEN),
        CLOSED,
        "Who may register an account by a client, over an encrypted connection: nobody, who has an invitation "
        "(XEP-0445), or everybody. Where the accounts cannot be changed by the server, nobody can.",
    )
    redirectUrl: str = _option(
        Text(),
        "",
        "The address of a web page where people get an account. Clients show it who may not register themselves. "
        "Without it, they are offered nothing.",
    )
    attemptsPerAddress: int = _option(
        Integer(1, 100000), "10", "The maximum of attempts to register an account in an hour from one IP address."
    )
    attempts: int = _option(
        Integer(1, 1000000), "200", "The maximum of attempts in an hour from all addresses, for each domain."
    )
    nameLength: int = _option(Integer(1, 1023), "64", "The most bytes of a name that can be registered.")
    reservedNames: tuple[str, ...] = _option(
        ListOf(Text()),
        "abuse\nadmin\nadministrator\nhostmaster\ninfo\nnoc\npostmaster\nroot\nsecurity\nsupport\nwebmaster",
        "Names that nobody can register; muccorectl adds them.",
    )
    minimumLength: int = _option(
        Integer(1, 100),
        "8",
        "The least characters of a password that a user chooses. It must not be the name of the account either. "
        "muccorectl takes any.",
    )
    tombstoneTime: float = _option(
        Duration("0 s", "3650 d"),
        "60 d",
        "The time for which nobody may register the name of an account that was removed. You may (muccorectl adduser).",
    )
    invitationTime: float = _option(
        Duration("1 min", "365 d"), "7 d", "The time for which an invitation can be used, once."
    )
    userInvitations: bool = _option(
        Boolean(),
        "no",
        'Whether every user may invite others by their client (XEP-0401), unless "mode" is closed; otherwise only '
        "admins may.",
    )
