# Copyright (c) The muccore authors. See LICENSE for details.
"""
Plays: conversations with a whole server, in the language of C{docs/scenarios.md}.
"""
