# Copyright (c) The muccore authors. See LICENSE for details.
"""
The options of rooms as a configuration without any has them, for tests: the defaults stand in L{muccore.config.schema}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.server.assembly import mucOptions
from muccore.testing.server import makeSettings

_SETTINGS: Final = makeSettings()
_DEFAULTS: Final = mucOptions(_SETTINGS)

LIMITS: Final = _SETTINGS.limits
"""Limits of the default configuration."""


def defaultOptions(**changes: Any) -> MUCServiceSettings:
    """
    The options of a chat service.

    @param changes: what differs from the defaults.
    """
    return replace(_DEFAULTS, **changes)


def defaultRoom(**changes: Any) -> RoomSettings:
    """
    The configuration of a new room.

    @param changes: what differs from the defaults.
    """
    return replace(_DEFAULTS.defaults, **changes)
