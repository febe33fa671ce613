# -*- test-case-name: tests.storage.external -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of backends that only authenticate."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import IAuthBackend
from muccore.testing.contracts.base import Contract


class AuthBackendContract(Contract):
    """
    Tests of an L{IAuthBackend} without keys, which knows an account.

    @cvar account: that account.
    @cvar password: its password, after SASLprep.
    @cvar stranger: an account that it does not know.
    """

    account = "juliet@localhost"
    password = "r0m30:&"
    stranger = "tybalt@localhost"

    requests = (
        ("scramKeys", "juliet@localhost", "SHA-256"),
        ("checkPassword", "juliet@localhost", "r0m30"),
        ("hasAccount", "juliet@localhost"),
    )

    async def test_interface(self) -> None:
        """It provides the interface, and has no keys, so that clients have to use TLS."""
        store = self.makeStore(self.place)
        verifyObject(IAuthBackend, store)
        self.assertEqual(store.hashes, frozenset())
        self.assertFalse(store.loopbackOnly)
        await store.open()
        self.addCleanup(store.close)
        self.assertIsNone(await store.scramKeys(self.account, "SHA-256"))

    async def test_checked(self) -> None:
        """The right password is accepted in any form of Unicode (RFC 4013); others and unknown users are refused."""
        store = await self.opened()
        for password in (self.password, f"{self.password}\u00ad"):
            self.assertIs(await store.checkPassword(self.account, password), True)
        for password in (f"{self.password}x", self.password[:-1], self.password.upper(), "", "\x07", "x" * 100_000):
            self.assertIs(await store.checkPassword(self.account, password), False, password[:20])
        for account in (self.stranger, "", self.account.partition("@")[0]):
            self.assertIs(await store.checkPassword(account, self.password), False, account)

    async def test_hasAccount(self) -> None:
        """Whether there is an account."""
        store = await self.opened()
        self.assertIs(await store.hasAccount(self.account), True)
        self.assertIs(await store.hasAccount(self.stranger), False)

    async def test_concurrent(self) -> None:
        """Requests at the same time get their own answers."""
        store = await self.opened()
        asked = [self.password if n % 3 == 0 else f"wrong{n}" for n in range(30)]
        answers = await gatherResults([store.checkPassword(self.account, password) for password in asked])
        self.assertEqual(answers, [password == self.password for password in asked])

    async def test_cancelled(self) -> None:
        """Cancelled requests do not affect others."""
        store = await self.opened()
        for request in (store.checkPassword(self.account, "x"), store.hasAccount(self.account)):
            request.addErrback(lambda failure: None)
            request.cancel()
        self.assertIs(await store.checkPassword(self.account, self.password), True)
