# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.roomparts}."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import hats
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.roomparts import HatRows, ReservedNicks, checkedSettings


class RoomPartsTests(SynchronousTestCase):
    """Settings, hats and nicks."""

    def test_hats(self) -> None:
        """The rows are those that rooms read."""
        rows = HatRows()
        self.assertEqual(rows.states(), {})
        rows.add("a@x", "urn:hat:host", "Host")
        rows.add("b@x", "urn:hat:host", "Host")
        room: Any = SimpleNamespace(states=rows.states())
        hat = hats.Hat("urn:hat:host", "Host")
        self.assertEqual(hats.assignments(room), [("a@x", hat), ("b@x", hat)])
        with self.assertRaises(DataError):
            rows.add("a@x", "no uri", "Host")

    def test_settings(self) -> None:
        """Settings are as a form has them; what an owner could not submit is told."""
        given = {
            "name": "Orchard", "language": "no tag", "publicOccupants": True, "maxUsers": 0, "historyLength": 7,
            "presenceBroadcast": ["visitor"], "allowPM": "none", "password": "s3cret", "logged": False,
        }  # fmt: skip
        possible, problems = checkedSettings(given)
        self.assertEqual(problems, [("muc#roomconfig_lang", "not a language tag such as en or pt-BR")])
        del given["language"]
        self.assertEqual(possible, given)

    def test_nicks(self) -> None:
        """A nick is prepared, and reserved for one user."""
        nicks = ReservedNicks()
        self.assertEqual(nicks.reserve("a@x", " Ann "), "Ann")
        self.assertEqual(nicks.reserve("a@x", "ANN"), "ANN")
        for nick in ("ann", " ", "\x00"):
            with self.assertRaises(DataError):
                nicks.reserve("b@x", nick)
