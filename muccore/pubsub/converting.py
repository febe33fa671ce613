# -*- test-case-name: tests.pubsub.test_bookmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is converted after a change that was answered already."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.log.logger import Logger
from muccore.pubsub.storing import telling
from muccore.routing.turns import Turns

_log: Final = Logger()


class Conversions:
    """Conversions of one kind, one after the other for each account."""

    def __init__(self, what: str) -> None:
        """@param what: what is converted, for the log."""
        self._what = what
        self._turns = Turns()

    def take(self, account: str) -> AbstractAsyncContextManager[object]:
        """The account's next turn."""
        return self._turns.take(account)

    def begin(self, account: str, work: Coroutine[Any, Any, None]) -> None:
        """Convert in the account's next turn."""

        async def convert() -> None:
            with telling(account):
                async with self._turns.take(account):
                    await work

        Deferred.fromCoroutine(convert()).addErrback(self._failed)

    async def settle(self, account: str) -> None:
        """Wait for what is being converted of an account that is being removed."""
        await self._turns.settle(account)

    def _failed(self, failure: Failure) -> None:
        _log.failure("{what} cannot be converted", failure, what=self._what)
