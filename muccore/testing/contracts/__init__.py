# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Contract tests of stores: mixins for the L{twisted.trial.unittest.TestCase} of a store.

C{docs/writing-a-store.md} has an example.
"""

from __future__ import annotations

from muccore.testing.contracts.accounts import AccountStoreContract
from muccore.testing.contracts.archive import ArchiveStoreContract
from muccore.testing.contracts.audit import AuditStoreContract
from muccore.testing.contracts.auth import AuthBackendContract
from muccore.testing.contracts.occupants import OccupantStoreContract
from muccore.testing.contracts.pubsub import PubSubStoreContract
from muccore.testing.contracts.rooms import RoomStoreContract
from muccore.testing.contracts.rosters import RosterStoreContract
from muccore.testing.contracts.uploads import UploadStoreContract
from muccore.testing.contracts.userdata import UserDataStoreContract

__all__ = [
    "AccountStoreContract", "ArchiveStoreContract", "AuditStoreContract", "AuthBackendContract",
    "OccupantStoreContract", "PubSubStoreContract", "RoomStoreContract", "RosterStoreContract", "UploadStoreContract",
    "UserDataStoreContract",
]
