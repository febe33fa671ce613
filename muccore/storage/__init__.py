# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stores: where accounts and rooms are kept, behind the interfaces of floor 0.

Each is found as a Twisted plugin and chosen by a describing string such as C{sqlite:var/muccore.db}
(L{muccore.storage.registry}). C{docs/writing-a-store.md} tells how to add one.
"""
