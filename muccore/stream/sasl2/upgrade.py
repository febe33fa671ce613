# -*- test-case-name: tests.stream.sasl2.test_upgrade -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Upgrade tasks (XEP-0480): a client that has logged in with SCRAM makes the keys for another hash.

What it sends cannot be compared with the password. But it has proved that it knows that, and nobody else may perform a
task: not a client with a token, whose user could otherwise be given a second password.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Final, cast

from muccore.interfaces import IAccountStore, IAuthBackend
from muccore.stream.sasl.exchange import SASLFailure, Success
from muccore.stream.sasl2.request import decodeData
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys
from muccore.xmpp.specs import Spec

implements: Final = (Spec(480, "SASL Upgrade Tasks", "0.2.0"),)

_PREFIX: Final = "UPGR-SCRAM-"


class Upgrades:
    """
    The tasks for the accounts of a backend, which do not change.

    @ivar names: the tasks for the hashes for which some account has no keys.
    """

    def __init__(self, accounts: IAuthBackend) -> None:
        self._accounts = cast(IAccountStore, accounts)
        missing = self._accounts.missingHashes if IAccountStore.providedBy(accounts) else frozenset()
        self.names = [f"{_PREFIX}{name}" for name in HASHES if name in missing and name != "SHA-1"]

    def offer(self) -> Iterator[Element]:
        """Make what is offered inside SASL2 (§2.1)."""
        for name in self.names:
            element = Element((ns.SASL_UPGRADE, "upgrade"))
            element.children.append(name)
            yield element

    async def choose(self, wanted: tuple[str, ...], account: str, success: Success) -> list[Task]:
        """
        Choose the tasks to be performed, of those that a client wants: for what its account does not have yet.

        @raise StoreError: if the accounts are unavailable.
        """
        if success.keys is None:
            return []
        tasks = []
        for name in wanted:
            hashName = name.removeprefix(_PREFIX)
            if name in self.names and await self._accounts.scramKeys(account, hashName) is None:
                tasks.append(Task(self._accounts, account, hashName, success.keys))
        return tasks


class Task:
    """
    One task.

    @ivar name: its name.
    """

    def __init__(self, accounts: IAccountStore, account: str, hashName: str, known: ScramKeys) -> None:
        """@param known: the keys that the client has logged in with."""
        self.name = f"{_PREFIX}{hashName}"
        self._accounts = accounts
        self._account = account
        self._hashName = hashName
        self._known = known
        self._salt = os.urandom(SALT_LENGTH)

    def begin(self) -> bytes:
        """Render what the client needs (§3): salt and iterations."""
        salt = b64encode(self._salt).decode("ascii")
        return f"<salt xmlns='{ns.SCRAM_UPGRADE}' iterations='{ITERATIONS}'>{salt}</salt>".encode()

    async def perform(self, data: Element) -> None:
        """
        Store the keys that the client has made.

        @param data: the C{<task-data/>} of the client.
        @raise SASLFailure: C{malformed-request} or C{incorrect-encoding} for wrong data, C{credentials-expired} if the
            password was changed meanwhile.
        @raise StoreError: if they cannot be stored.
        """
        element = data.child("hash", ns.SCRAM_UPGRADE)
        salted = b"" if element is None else decodeData(element)
        if len(salted) != hashlib.new(HASHES[self._hashName]).digest_size:
            raise SASLFailure("malformed-request", "The hash is missing, or has a wrong length.")
        keys = ScramKeys.fromSalted(self._hashName, salted, self._salt, ITERATIONS)
        if not await self._accounts.addKeys(self._account, [keys], self._known):
            raise SASLFailure("credentials-expired", "The password was changed meanwhile.")
