# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model}."""
