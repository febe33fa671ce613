# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.stream.s2s}."""
