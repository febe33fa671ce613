# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[registration]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.config.option import option as _option
from muccore.config.types import Duration, Integer


@dataclass(frozen=True)
class RegistrationSection:
    """What users may do with accounts: change their password, remove their account (XEP-0077)."""

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
