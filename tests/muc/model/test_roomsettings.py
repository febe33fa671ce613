# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.roomsettings}."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import RoomChange, RoomRecord
from muccore.muc.model.heldplaces import HeldRoute
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.roomsettings import FIELDS, RoomSettings, statusCodes
from muccore.muc.protocol.owner import ConfigureRequest, DestructionRequest
from muccore.testing.defaults import defaultRoom
from muccore.xmpp.jid import parse

PLAIN = defaultRoom()


def another(value: Any) -> Any:
    """Some other value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value, "nurse@localhost")
    if isinstance(value, dict):
        return {"x": "1"}
    return value + 1 if isinstance(value, int) else f"{value}x"


class SettingsTests(SynchronousTestCase):
    """The settings of a room."""

    def test_stored(self) -> None:
        """All settings survive JSON."""
        changed = defaultRoom(**{f.name: another(getattr(PLAIN, f.name)) for f in fields(RoomSettings)})
        back = RoomSettings.fromMapping(json.loads(json.dumps(changed.toMapping())), PLAIN)
        self.assertEqual(back, changed)

    def test_otherPrograms(self) -> None:
        """Missing settings have the service's default; unknown ones are ignored."""
        defaults = replace(PLAIN, historyLength=7)
        settings = RoomSettings.fromMapping({"name": "Orchard", "colour": "green"}, defaults)
        self.assertEqual(settings, replace(defaults, name="Orchard"))
        defaults = replace(PLAIN, extensions={"hats.on": True, "hats.title": "Wizard"})
        settings = RoomSettings.fromMapping({"extension:hats.on": False, "extension:id": "1"}, defaults)
        self.assertEqual(settings.extensions, {"hats.on": False, "hats.title": "Wizard", "id": "1"})

    def test_fields(self) -> None:
        """Each setting but the password and the states of extensions has one row; rows have distinct names."""
        settings = {f.name for f in fields(RoomSettings)} - {"password", "extensions"}
        self.assertEqual(sorted(field.setting for field in FIELDS), sorted(settings))
        self.assertEqual(len({field.var for field in FIELDS}), len(FIELDS))


class StatusCodeTests(SynchronousTestCase):
    """Status codes of a change (§10.2.1)."""

    def test_others(self) -> None:
        """
        Every setting but logging, anonymity and absent users is announced with 104; these have codes of their own.
        """
        for f in fields(RoomSettings):
            if f.name not in ("logged", "nonAnonymous"):
                changed = replace(PLAIN, **{f.name: another(getattr(PLAIN, f.name))})
                self.assertEqual(statusCodes(PLAIN, changed), [104], f.name)
        several = replace(PLAIN, name="x", moderated=True, logged=True)
        self.assertEqual(statusCodes(PLAIN, several), [170, 104])
        roles = PLAIN.presenceBroadcast
        absent = replace(PLAIN, presenceBroadcast=(*roles, "none"))
        self.assertEqual(statusCodes(PLAIN, absent), [102])
        self.assertEqual(statusCodes(absent, PLAIN), [103])
        self.assertEqual(statusCodes(absent, replace(PLAIN, presenceBroadcast=roles[1:])), [103, 104])

    def test_secret(self) -> None:
        """Passwords are in no C{repr()}."""
        settings = defaultRoom(name="Balcony", password="r0m30")
        for value in (
            settings,
            ConfigureRequest(settings),
            RoomRecord(settings.toMapping(), {}),
            RoomChange({}, settings.toMapping()),
            JoinRequest(parse("romeo@localhost/orchard"), "Romeo", HeldRoute(False), b"", "r0m30"),
            DestructionRequest(password="r0m30"),
        ):
            self.assertNotIn("r0m30", repr(value))
        self.assertIn("Balcony", repr(settings))
