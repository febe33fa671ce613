# Copyright (c) The muccore authors. See LICENSE for details.
"""The default settings of streams, the MUC service and rooms, for tests; they stand in L{muccore.config.schema}."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.server.assembly import managementSettings, streamSettings
from muccore.server.handlers import mucOptions
from muccore.stream.c2s import StreamSettings
from muccore.testing.server import makeSettings

_SETTINGS: Final = makeSettings()
_DEFAULTS: Final = mucOptions(_SETTINGS, _SETTINGS.server.domain)
_STREAMS: Final = streamSettings(_SETTINGS)

LIMITS: Final = _SETTINGS.limits
"""Limits of the default configuration."""


MANAGEMENT: Final = managementSettings(_SETTINGS)
"""Stream management of the default configuration."""


def defaultStreams(**changes: Any) -> StreamSettings:
    """Return the default settings of streams with C{changes}."""
    return replace(_STREAMS, **changes)


def defaultOptions(**changes: Any) -> MUCServiceSettings:
    """Return the MUC service's default settings with C{changes}."""
    return replace(_DEFAULTS, **changes)


def defaultRoom(**changes: Any) -> RoomSettings:
    """Return a new room's configuration with C{changes}."""
    return replace(_DEFAULTS.defaults, **changes)
