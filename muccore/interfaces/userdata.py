# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of users' documents: what an account keeps on the server besides its password."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore, StoreError


class DataTooLarge(StoreError):
    """A change would make the documents of an account and kind larger than its caller allows."""


class IUserDataStore(IStore):
    """
    The documents of accounts: a few KiB each, by kind and key, such as the elements of private XML storage by name.

    Accounts are bare JIDs, prepared and as text; whether they exist does not matter here. Kinds and keys are text,
    chosen by those who keep the documents, who also limit their sizes. Requests about one account are carried out in
    the order of the calls. The Deferred of a write fires when it is durable; if it fails, nothing of that call has been
    done.
    """

    def accounts(after: str, limit: int) -> Deferred[list[str]]:
        """List the accounts that have documents, sorted by code points, from the first that follows C{after}."""

    def kinds(account: str) -> Deferred[list[str]]:
        """List the kinds of an account's documents, sorted by code points."""

    def get(account: str, kind: str, key: str) -> Deferred[bytes | None]:
        """Get a document, or C{None} if there is none."""

    def keys(account: str, kind: str) -> Deferred[list[str]]:
        """List the keys of an account's documents of a kind, sorted by code points."""

    def size(account: str, kind: str) -> Deferred[int]:
        """Sum up the bytes of an account's documents of a kind, with those of their keys in UTF-8."""

    def change(
        account: str, changes: Mapping[tuple[str, str], bytes | None], limits: Mapping[str, int] | None = None
    ) -> Deferred[None]:
        """
        Set and remove documents in one commit.

        @param changes: the new content by kind and key; C{None} removes a document, there or not.
        @param limits: by kind, how large L{size} may become. What does not make it grow is never refused.
        @raise DataTooLarge: (as failure) above one of them; then nothing is changed.
        """

    def removeAccount(account: str) -> Deferred[None]:
        """Remove all documents of an account."""
