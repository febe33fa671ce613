# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl.tokens}."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.storage.insecure import InsecureAuth
from muccore.storage.memory import MemoryAccounts
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.stream.sasl.exchange import SASLFailure, WrongCredentials
from muccore.stream.sasl.tokens import CLIENTS, KIND, LIFETIME, ROTATION, Token, Tokens
from muccore.testing.doubles import ThreadlessReactor
from muccore.xmpp.guestnames import newGuestName
from muccore.xmpp.scramkeys import ScramKeys
from tests.stream.doubles import Accounts

ROMEO = "romeo@example.org"
NONE, EXPR = "HT-SHA-256-NONE", "HT-SHA-256-EXPR"

_T = TypeVar("_T")


class SlowUserData(MemoryUserData):
    """Documents whose reads wait until the test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[None]] | None = None

    def get(self, account: str, kind: str, key: str) -> Any:
        """See L{MemoryUserData.get}."""
        found: Any = super().get(account, kind, key)
        if self.waiting is None:
            return found
        paused: Deferred[None] = Deferred()
        self.waiting.append(paused)
        return paused.addCallback(lambda _: found)


class TokensCase(SynchronousTestCase):
    """The tokens of an account with a password."""

    def setUp(self) -> None:
        """Create them."""
        self.now = 1000.0
        self.store = SlowUserData()
        self.accounts: Any = MemoryAccounts(ThreadlessReactor())
        self.store.open()
        self.accounts.open()
        self.accounts.create(ROMEO, "secret")
        self.tokens = Tokens(self.store, self.accounts, lambda: self.now)

    def wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """The result of a coroutine, which has ended."""
        result: _T = self.successResultOf(Deferred.fromCoroutine(coroutine))
        return result

    def issue(self, client: str = "phone", mechanism: str = NONE, account: str = ROMEO) -> Token:
        """Make a token."""
        token = self.wait(self.tokens.issue(account, client, mechanism))
        assert token is not None
        return token

    def check(
        self, token: Token, client: str = "phone", mechanism: str | None = None, account: str = ROMEO, **more: Any
    ) -> Token:
        """Use a token."""
        return self.wait(
            self.tokens.check(account, client, mechanism or token.mechanism, token.secret.__eq__, **more)
        )

    def assertRefused(self, token: Token, condition: str = "not-authorized", **more: Any) -> None:
        """Check that a token is refused."""
        client, mechanism = more.pop("client", "phone"), more.pop("mechanism", token.mechanism)
        account = more.pop("account", ROMEO)
        checking = self.tokens.check(account, client, mechanism, token.secret.__eq__, **more)
        error = self.failureResultOf(Deferred.fromCoroutine(checking), SASLFailure).value
        self.assertEqual((error.condition, isinstance(error, WrongCredentials)), (condition, condition[0] == "n"))


class SlotTests(TokensCase):
    """XEP-0484 §3.5 and §5.1"""

    def test_used(self) -> None:
        """A token can be used until it expires, by its client and with its mechanism only."""
        token = self.issue()
        self.assertGreaterEqual(len(token.secret), 40)
        self.assertEqual(token.expires, 1000 + LIFETIME)
        for _ in range(3):
            self.assertEqual(self.check(token), token)
        self.assertRefused(token, client="laptop")
        self.assertRefused(token, mechanism=EXPR)
        self.assertRefused(token, account="juliet@example.org")
        self.assertRefused(Token("guess", NONE, 0, 0, ""))
        self.check(token)
        self.assertNotIn(token.secret, repr(token))

    def test_rotated(self) -> None:
        """The current token is valid until the new one is used."""
        first = self.issue()
        self.check(first)
        second = self.issue()
        self.check(first)
        self.check(second)
        self.assertRefused(first)
        self.check(second)

    def test_neverUsed(self) -> None:
        """A token that was never used is replaced by the next one."""
        current, unused = self.issue(), None
        self.check(current)
        unused = self.issue()
        last = self.issue()
        self.assertRefused(unused)
        self.check(current)
        self.check(last)

    def test_guests(self) -> None:
        """A guest gets none, even if the backend says that they exist; on domains without guests such a name is one."""
        guest = f"{newGuestName()}@example.org"
        self.tokens = Tokens(self.store, InsecureAuth(), lambda: self.now)
        for guests in (True, False):
            self.tokens.guests = guests
            issued = self.successResultOf(Deferred.fromCoroutine(self.tokens.issue(guest, "phone", EXPR)))
            self.assertIs(issued is None, guests)
            self.assertIsNotNone(self.successResultOf(Deferred.fromCoroutine(self.tokens.issue(ROMEO, "phone", EXPR))))

    def test_otherClients(self) -> None:
        """Each client has its own."""
        phone, laptop = self.issue(), self.issue("laptop", EXPR)
        self.check(phone)
        self.check(laptop, "laptop")
        self.assertRefused(phone, client="laptop")

    def test_due(self) -> None:
        """A token is replaced after a day, or half its lifetime."""
        token = self.issue()
        for lifetime, after in ((LIFETIME, ROTATION), (100.0, 50.0)):
            self.tokens.lifetime = lifetime
            token = self.issue()
            issued = self.now
            self.assertFalse(self.tokens.isDue(token))
            self.now = issued + after - 0.1
            self.assertFalse(self.tokens.isDue(token))
            self.now = issued + after
            self.assertTrue(self.tokens.isDue(token))

    def test_durable(self) -> None:
        """Another process knows the token, and which one was used."""
        first = self.issue()
        self.check(first)
        second = self.issue()
        self.check(second, count=7)
        self.tokens = Tokens(self.store, self.accounts, lambda: self.now)
        self.assertRefused(first)
        self.assertRefused(second, count=7)
        self.assertEqual(self.check(second, count=8).count, 8)

    def test_nothingWritten(self) -> None:
        """Using the current token again writes nothing."""
        token = self.issue()
        self.check(token)
        self.patch(self.store, "change", lambda *ignored: self.fail("written"))
        self.check(token)


class EndTests(TokensCase):
    """When tokens are not valid any more."""

    def test_expired(self) -> None:
        """Who has an expired token is told so, once; others are not."""
        token = self.issue()
        self.now += LIFETIME
        self.assertRefused(Token("guess", NONE, 0, 0, ""))
        self.assertRefused(token, "credentials-expired")
        self.assertRefused(token)
        self.assertEqual(self.successResultOf(self.store.keys(ROMEO, KIND)), [])

    def test_expiredBeforeTheNew(self) -> None:
        """A new token outlives the current one."""
        current = self.issue()
        self.check(current)
        self.now += LIFETIME - 1
        new = self.issue()
        self.now += 1
        self.assertRefused(current, "credentials-expired")
        self.check(new)

    def test_password(self) -> None:
        """With another password no token is valid, wherever it was changed; with more keys of the same it is."""
        token = self.issue()
        known = self.successResultOf(self.accounts.scramKeys(ROMEO, "SHA-1"))
        del self.accounts._keys[ROMEO]["SHA-512"]
        self.check(token)
        self.accounts.addKeys(ROMEO, [ScramKeys.derive("SHA-512", "secret")], known)
        self.check(token)
        self.successResultOf(self.accounts.setPassword(ROMEO, "secret"))
        self.assertRefused(token, "credentials-expired")

    def test_deleted(self) -> None:
        """With the account no token is valid, nor for another account of that name; none can be made."""
        token = self.issue()
        self.successResultOf(self.accounts.delete(ROMEO))
        self.assertIsNone(self.wait(self.tokens.issue(ROMEO, "phone", NONE)))
        self.accounts.create(ROMEO, "secret")
        self.assertRefused(token, "credentials-expired")

    def test_passwordsOnly(self) -> None:
        """A backend that only checks passwords tells whether there is the account."""
        accounts = Accounts()
        accounts.hashes = frozenset()
        self.tokens = Tokens(self.store, accounts, lambda: self.now)
        token = self.issue()
        self.check(token)
        self.assertIsNone(self.wait(self.tokens.issue("guest@example.org", "phone", NONE)))
        self.patch(accounts, "hasAccount", lambda account: Accounts().hasAccount("nobody@example.org"))
        self.assertRefused(token, "credentials-expired")

    def test_invalidated(self) -> None:
        """§3.6: a client that gives its token back has none any more."""
        self.check(self.issue())
        new = self.issue()
        self.check(new, invalidate=True)
        self.assertRefused(new)
        self.assertEqual(self.successResultOf(self.store.keys(ROMEO, KIND)), [])

    def test_revoked(self) -> None:
        """All tokens of an account, or of one client, can be revoked."""
        phone, laptop = self.issue(), self.issue("laptop")
        self.wait(self.tokens.revoke(ROMEO, "phone"))
        self.assertRefused(phone)
        self.check(laptop, "laptop")
        self.wait(self.tokens.revoke(ROMEO))
        self.assertRefused(laptop, client="laptop")

    def test_bounded(self) -> None:
        """An account has tokens for a limited number of clients: the oldest ones go."""
        made = {}
        for n in range(CLIENTS):
            self.now += 1
            made[n] = self.issue(f"client {n}")
        self.now += 1
        self.issue("client 0")
        self.issue("another")
        self.assertEqual(len(self.successResultOf(self.store.keys(ROMEO, KIND))), CLIENTS)
        self.assertRefused(made[1], client="client 1")
        self.check(made[2], "client 2")

    def test_size(self) -> None:
        """What a client makes the store keep is bounded, at its largest too."""
        for client in range(CLIENTS):
            id = f"{client:036}"
            self.check(self.issue(id, "HT-SHA-256-EXPR"), id, count=2**31 - 1)
            self.issue(id, "HT-SHA-256-EXPR")
        size = self.successResultOf(self.store.size(ROMEO, KIND))
        self.assertLess(size, CLIENTS * 1024)


class CountTests(TokensCase):
    """XEP-0484 §3.4: the counter."""

    def test_higher(self) -> None:
        """A counter must be higher than any before; without one, a token is accepted."""
        token = self.issue()
        self.check(token, count=3)
        for count in (1, 2, 3):
            self.assertRefused(token, count=count)
        self.check(token)
        self.check(token, count=4)

    def test_atOnce(self) -> None:
        """Of two log-ins with the same counter at the same time, one succeeds."""
        token = self.issue()
        self.store.waiting = []
        first, second = (
            Deferred.fromCoroutine(self.tokens.check(ROMEO, "phone", NONE, token.secret.__eq__, 1)) for _ in range(2)
        )
        while self.store.waiting:
            self.store.waiting.pop().callback(None)
        self.successResultOf(first)
        self.failureResultOf(second, WrongCredentials)
        self.assertEqual(self.tokens._locks, {})

    def test_sameWork(self) -> None:
        """As much is compared whatever there is: two tokens, one or none."""
        for prepare in (lambda: None, self.issue, lambda: self.check(self.issue()), self.issue):
            prepare()
            for account in (ROMEO, "nobody@example.org"):
                compared = mock.Mock(return_value=False)
                checking = self.tokens.check(account, "phone", NONE, compared)
                self.failureResultOf(Deferred.fromCoroutine(checking), WrongCredentials)
                self.assertEqual(compared.call_count, 2)
