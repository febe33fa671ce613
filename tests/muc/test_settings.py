# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.settings}.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import RoomChange, RoomRecord
from muccore.jid import parse
from muccore.muc.owner import Configuration, Destruction
from muccore.muc.room import Entry
from muccore.muc.settings import FIELDS, RoomSettings, features, statusCodes
from muccore.testing.defaults import defaultRoom

PLAIN = defaultRoom()


def another(value: Any) -> Any:
    """
    Some other value of the same kind.
    """
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


class SettingsTests(SynchronousTestCase):
    """
    A room's configuration.
    """

    def test_stored(self) -> None:
        """
        A configuration survives JSON unchanged, every setting of it.
        """
        changed = defaultRoom(**{f.name: another(getattr(PLAIN, f.name)) for f in fields(RoomSettings)})
        back = RoomSettings.fromMapping(json.loads(json.dumps(changed.toMapping())), PLAIN)
        self.assertEqual(back, changed)

    def test_otherPrograms(self) -> None:
        """
        What is missing in the store has the service's default, not the program's; what nobody knows is left alone.
        """
        defaults = replace(PLAIN, historyLength=7)
        settings = RoomSettings.fromMapping({"name": "Orchard", "colour": "green"}, defaults)
        self.assertEqual(settings, replace(defaults, name="Orchard"))

    def test_fields(self) -> None:
        """
        Each setting but the password stands in one row of the form, and no two rows have a name in common.
        """
        settings = {f.name for f in fields(RoomSettings)} - {"password"}
        self.assertEqual(sorted(field.setting for field in FIELDS), sorted(settings))
        self.assertEqual(len({field.var for field in FIELDS}), len(FIELDS))

    def test_features(self) -> None:
        """
        Each property of a room's type shows as one of two features (§16.3).
        """
        self.assertEqual(
            features(PLAIN),
            ["muc_unsecured", "muc_public", "muc_temporary", "muc_open", "muc_unmoderated", "muc_semianonymous"],
        )
        other = defaultRoom(
            password="x", public=False, persistent=True, membersOnly=True, moderated=True, nonAnonymous=True
        )
        self.assertEqual(
            features(other),
            ["muc_passwordprotected", "muc_hidden", "muc_persistent", "muc_membersonly", "muc_moderated",
             "muc_nonanonymous"],
        )


class StatusCodeTests(SynchronousTestCase):
    """
    What occupants hear of a change (§10.2.1).
    """

    def test_nothing(self) -> None:
        """
        Without a change there is no code.
        """
        self.assertEqual(statusCodes(PLAIN, PLAIN), [])

    def test_privacy(self) -> None:
        """
        Logging and anonymity have codes of their own in both directions, and are no 104.
        """
        logged, named = replace(PLAIN, logged=True), replace(PLAIN, nonAnonymous=True)
        self.assertEqual(statusCodes(PLAIN, logged), [170])
        self.assertEqual(statusCodes(logged, PLAIN), [171])
        self.assertEqual(statusCodes(PLAIN, named), [172])
        self.assertEqual(statusCodes(named, PLAIN), [173])
        self.assertEqual(statusCodes(logged, named), [171, 172])

    def test_others(self) -> None:
        """
        Every other setting is told by 104, once, beside those for privacy.
        """
        for f in fields(RoomSettings):
            if f.name not in ("logged", "nonAnonymous"):
                changed = replace(PLAIN, **{f.name: another(getattr(PLAIN, f.name))})
                self.assertEqual(statusCodes(PLAIN, changed), [104], f.name)
        several = replace(PLAIN, name="x", moderated=True, logged=True)
        self.assertEqual(statusCodes(PLAIN, several), [170, 104])

    def test_secret(self) -> None:
        """
        A password is in no C{repr()}: not in that of a configuration, as it is stored or submitted either, nor in that
        of what people send along who enter or destroy a room.
        """
        settings = defaultRoom(name="Balcony", password="r0m30")
        for value in (
            settings,
            Configuration(settings),
            RoomRecord(settings.toMapping(), {}),
            RoomChange({}, settings.toMapping()),
            Entry(parse("romeo@localhost/orchard"), "Romeo", lambda rendered, to: None, b"", "r0m30"),
            Destruction(password="r0m30"),
        ):
            self.assertNotIn("r0m30", repr(value))
        self.assertIn("Balcony", repr(settings))
