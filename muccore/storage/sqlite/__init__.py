# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{sqlite:PATH}, accounts, rooms and message archives in SQLite databases.

L{muccore.storage.sqlite.connection} opens the file and explains errors, L{muccore.storage.sqlite.schema} migrates its
tables, L{muccore.storage.sqlite.database} runs requests in a thread, those of one turn in one commit.
L{muccore.storage.sqlite.accounts}, L{muccore.storage.sqlite.rooms} and L{muccore.storage.sqlite.archive} are the
stores.
"""
