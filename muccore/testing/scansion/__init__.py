# -*- test-case-name: tests.testing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Plays: scripts of conversations between clients and a server, in the language of Prosody's test tool scansion.

C{language} has its words, C{script} reads scripts, C{compare} compares what came with what was expected, C{client}
connects (C{reader}, C{scram}), C{options} says where and how, and C{runner} performs. Run as C{python -m
muccore.testing.scansion HOST PORT FILES}. The language and the two modes are described in C{docs/scenarios.md}.
"""
