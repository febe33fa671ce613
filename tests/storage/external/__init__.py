# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external}."""
