# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{sqlite:PATH}, accounts and rooms in an SQLite database.

L{muccore.storage.sqlite.connection} opens the file and explains errors, L{muccore.storage.sqlite.schema} migrates its
tables, L{muccore.storage.sqlite.database} runs requests in a thread, those of one turn in one commit.
L{muccore.storage.sqlite.accounts} and L{muccore.storage.sqlite.rooms} are the stores.
"""
