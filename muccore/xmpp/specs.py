# Copyright (c) The muccore authors. See LICENSE for details.
"""What a module says that it implements; C{docs/xeps.md} is generated from these declarations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """
    One protocol text and how far a module goes with it.

    @ivar number: the XEP's number, or for an RFC its number (see C{series}).
    @ivar title: its title.
    @ivar version: the version that was followed, or C{""} for an RFC.
    @ivar note: what is left out or chosen, in one sentence; C{""} for all of it.
    @ivar series: C{"XEP"} or C{"RFC"}.
    """

    number: int
    title: str
    version: str = ""
    note: str = ""
    series: str = "XEP"
