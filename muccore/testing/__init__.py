# Copyright (c) The muccore authors. See LICENSE for details.
"""Test tools: the scenario runner, whole servers in memory or on loopback, contract suites for stores."""
