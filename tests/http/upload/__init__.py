# -*- test-case-name: tests.http.upload -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload}."""
