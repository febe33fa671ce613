# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.routing.federation}."""
