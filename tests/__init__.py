# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of muccore."""

from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does.
settings.register_profile("muccore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("muccore")
