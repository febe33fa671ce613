# -*- test-case-name: tests.im.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the handlers have in common that keep documents of users (L{muccore.interfaces.IUserDataStore})."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from muccore.interfaces import StoreError
from muccore.log.eventlog import logStoreFailure
from muccore.log.logger import Logger
from muccore.xmpp.errors import StanzaError

_log: Final = Logger()


@contextmanager
def storing() -> Iterator[None]:
    """
    Answer with C{internal-server-error}, of type C{wait}, if the store fails inside, and log it.

    @raise StanzaError: for L{StoreError}.
    """
    try:
        yield
    except StoreError as e:
        logStoreFailure(_log, "the store of documents of users failed: {error}", "userdata", error=str(e))
        raise StanzaError(
            "internal-server-error", "wait", "The data could not be loaded or saved; try again later."
        ) from None
