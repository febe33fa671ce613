# -*- test-case-name: tests.pubsub.test_publishing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the failures of a store mean to whoever has sent a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from muccore.interfaces import NodeExists, NoSuchNode, StoreError, TooManyItems, TooManyNodes
from muccore.log.eventlog import limit
from muccore.log.logger import Logger
from muccore.xmpp.errors import StanzaError

_log: Final = Logger()


@contextmanager
def telling(service: str) -> Iterator[None]:
    """
    Log failures inside: others are to be told of something that has been done, and answered.

    @param service: the address of the service.
    """
    try:
        yield
    except (StoreError, StanzaError) as e:
        if limit.admits("pubsub", service):
            _log.error("subscribers of {service} cannot be told of an event: {error}", service=service, error=str(e))


@contextmanager
def storing(service: str) -> Iterator[None]:
    """
    Turn failures of the store inside into errors, and log those of which the operator must know.

    @param service: the address of the service.
    @raise StanzaError: for L{StoreError}.
    """
    try:
        yield
    except NodeExists:
        raise StanzaError("conflict") from None
    except NoSuchNode:
        raise StanzaError("item-not-found") from None
    except TooManyNodes:
        raise StanzaError("resource-constraint", text="There are too many nodes; delete some.") from None
    except TooManyItems:
        raise StanzaError("resource-constraint", text="There is too much in all nodes together.") from None
    except StoreError as e:
        # Whoever sends requests must not be able to fill the log.
        if limit.admits("pubsub", service):
            _log.error("the store of nodes of {service} failed: {error}", service=service, error=str(e))
        text = "The node could not be loaded or saved; try again later."
        raise StanzaError("internal-server-error", "wait", text) from None
