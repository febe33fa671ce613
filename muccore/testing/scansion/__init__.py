# -*- test-case-name: tests.testing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The runner of scenarios: scripted conversations between clients and a server, in the language of Prosody's test tool
scansion.

C{language} has the script's objects, C{script} the parser, C{compare} the comparison of stanzas, C{client} (with
C{reader} and C{scram}) a connection, C{options} the options of a run, and C{runner} runs a script. Command line:
C{python -m muccore.testing.scansion HOST PORT FILES}. See C{docs/scenarios.md}.
"""
