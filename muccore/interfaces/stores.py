# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores, their errors, and their plugins."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from zope.interface import Attribute, Interface


class StoreError(Exception):
    """A request to a store failed. C{str()} is a line for the operator."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, read or written."""


class SchemaTooNew(StoreError):
    """The store was written by a newer muccore."""


class BadDescription(ValueError):
    """
    A description such as C{sqlite:PATH} is invalid; C{str()} says why and what is allowed.

    @ivar line: the line of the description in which it is, from 0.
    """

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class IStore(Interface):
    """
    A store that is opened when the server starts and closed when it stops.

    A store may also have these attributes:

      - C{probe()}: called before the server goes into the background; raises L{StoreError} if the store cannot be
        opened, and leaves nothing running.
      - C{setHost(host)}: called once, before anything else, with the domain of the host that the store is made for (if
        several hosts share it, of the first), to migrate content that an earlier version kept without a domain.
      - C{location}: text that is equal for stores of the same content, such as the real path of a file. Hosts whose
        descriptions lead to the same location share a store.
      - C{setCallBeforeSending(callBeforeSending)}: called once, before C{open}, with a function. That calls another
        function, its only argument, once, before the server sends anything more, at the end of this turn at the latest:
        for what must be written before anybody learns of it, for all of a turn together.
      - C{whenHashesKnown}: set to a function that a store of accounts calls when it can read at last for which hashes
        all accounts have keys, so that other mechanisms may have to be offered.
    """

    def open() -> Deferred[None]:
        """
        Open the store; create or migrate its schema.

        @raise StoreUnavailable: (as failure) with a line that names the store and the problem.
        @raise SchemaTooNew: (as failure) likewise.
        """

    def close() -> Deferred[None]:
        """Close the store. Fires when everything accepted is durable. Idempotent."""


class IStoreFactory(IPlugin):
    """
    Makes stores of one kind; a plugin, chosen by the description C{scheme:argument}.

    A factory may have an attribute C{takesLines}: if it is true, an argument may have several lines, none of them
    empty; else a description of several lines is an error.
    """

    kind = Attribute(
        "C{'accounts'} (the stores provide L{IAuthBackend}), C{'rooms'} (L{IRoomStore}), C{'occupants'} "
        "(L{IOccupantStore}), C{'archive'} (L{IArchiveStore}), C{'audit'} (L{IAuditStore}), C{'rosters'} "
        "(L{IRosterStore}), C{'userdata'} (L{IUserDataStore}), C{'pubsub'} (L{IPubSubStore}) or C{'uploads'} "
        "(L{IUploadStore<muccore.interfaces.uploads.IUploadStore>})."
    )
    scheme = Attribute("The word before the colon.")
    help = Attribute("One line: what the argument means.")

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        """
        Make a store, without opening it or touching any file.

        @param argument: the text after the colon.
        @param base: the base of relative paths.
        @param reactor: for threads and time.
        @raise BadDescription: if the argument is invalid.
        """
