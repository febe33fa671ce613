# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Floor 4: stores of accounts, rooms and message archives, behind the interfaces of floor 0.

Stores are Twisted plugins, chosen by a description such as C{sqlite:var/muccore.db} (L{muccore.storage.registry}).
C{docs/writing-a-store.md} tells how to add one.
"""
