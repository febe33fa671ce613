# Copyright (c) The muccore authors. See LICENSE for details.
"""Declarations of the specifications that a module implements; C{docs/xeps.md} is generated from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """
    A specification, and how much of it a module implements.

    @ivar number: the number of the XEP or RFC.
    @ivar version: the version implemented; C{""} for an RFC.
    @ivar note: what is omitted or chosen, in one sentence; C{""} for all of it.
    @ivar series: C{"XEP"} or C{"RFC"}.
    """

    number: int
    title: str
    version: str = ""
    note: str = ""
    series: str = "XEP"
