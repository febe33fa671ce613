# -*- test-case-name: tests.muc.service.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The answer to a stanza whose store has failed."""

from __future__ import annotations

from typing import Final, NoReturn

from twisted.python.failure import Failure

from muccore.interfaces import StoreError
from muccore.log.eventlog import logStoreFailure
from muccore.log.logger import Logger
from muccore.xmpp.errors import StanzaError

_log: Final = Logger()


def storeFailed(failure: Failure) -> NoReturn:
    """An errback that answers a stanza with C{internal-server-error} (of type C{wait}) for a store's error."""
    failure.trap(StoreError)
    logStoreFailure(_log, "the room store failed: {error}", "rooms", error=failure.getErrorMessage())
    raise StanzaError("internal-server-error", "wait", "The room could not be loaded or saved; try again later.")
