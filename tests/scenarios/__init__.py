# Copyright (c) The muccore authors. See LICENSE for details.
"""Scenarios: scripted conversations with a whole server, in the language of C{docs/scenarios.md}."""
