# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the test tools."""
