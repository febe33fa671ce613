# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{sqlite:PATH}, accounts and rooms in an SQLite database.

L{muccore.storage.sqlite.connection} opens the file and explains its troubles, L{muccore.storage.sqlite.schema} brings
its tables up to date, L{muccore.storage.sqlite.database} works on it in a thread of its own and joins what is asked
for in one turn into one commit. L{muccore.storage.sqlite.accounts} and L{muccore.storage.sqlite.rooms} are the
stores.
"""
