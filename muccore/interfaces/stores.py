# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores, their errors, and the plugins that make them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from zope.interface import Attribute, Interface


class StoreError(Exception):
    """A store did not do what it was asked for. C{str()} of it is a line for the operator."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, read or written."""


class SchemaTooNew(StoreError):
    """A newer muccore has written this store."""


class BadDescription(ValueError):
    """
    The argument of a describing string such as C{sqlite:PATH} is not understood; C{str()} of it says why and what is.
    """


class IStore(Interface):
    """
    Something durable that is opened at start and closed at the end.

    A store may have a method C{probe()} besides, without arguments: it is called before the server goes into the
    background, and raises L{StoreError} if the store could not be opened. It must leave nothing running.
    """

    def open() -> Deferred[None]:
        """
        Make ready; create or migrate the schema.

        @raise StoreUnavailable: (as failure) with a line that names the store and the trouble.
        @raise SchemaTooNew: (as failure) likewise.
        """

    def close() -> Deferred[None]:
        """Finish: when it fires, everything that was accepted is durable. Calling it twice is harmless."""


class IStoreFactory(IPlugin):
    """Makes stores of one kind; found with C{getPlugins}, chosen by C{scheme:argument}."""

    kind = Attribute("C{'accounts'} (the stores provide L{IAccounts}) or C{'rooms'} (L{IRoomStore}).")
    scheme = Attribute("The word before the colon.")
    help = Attribute("One line for the configuration reference: what the argument means.")

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        """
        Make a store that is not open yet; touches no file.

        @param argument: what stands behind the colon.
        @param base: the folder that relative paths start from.
        @param reactor: for threads and time.
        @raise BadDescription: if the argument is not understood.
        """
