# -*- test-case-name: tests.storage.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Plugins that make stores with a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.interfaces import BadDescription, IStore, IStoreFactory


@implementer(IPlugin, IStoreFactory)
@dataclass(frozen=True)
class StoreFactory:
    """
    Calls C{make} with the argument, the base folder and the reactor; it may raise L{BadDescription}.

    @ivar takesLines: whether the argument may have several lines, see L{IStoreFactory}.
    """

    kind: str
    scheme: str
    help: str
    make: Callable[[str, FilePath[str], Any], IStore]
    takesLines: bool = False

    def makeStore(self, argument: str, base: FilePath[str], reactor: Any) -> IStore:
        """See L{IStoreFactory.makeStore}."""
        return self.make(argument, base, reactor)


def withoutArgument(scheme: str, make: Callable[[Any], IStore]) -> Callable[[str, FilePath[str], Any], IStore]:
    """A L{StoreFactory.make} for a scheme without argument, which calls C{make} with the reactor."""

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        if argument:
            raise BadDescription(f"{scheme}: takes no argument, found {argument!r}")
        return make(reactor)

    return makeStore


def filePath(scheme: str, make: Callable[[FilePath[str], Any], IStore]) -> Callable[[str, FilePath[str], Any], IStore]:
    """A L{StoreFactory.make} for the path of a file, which calls C{make} with the file and the reactor."""

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        if not argument.strip():
            raise BadDescription(f"{scheme}: needs the path of a file, as in {scheme}:var/muccore.db")
        if "\0" in argument:
            raise BadDescription(f"{scheme}: a path must not contain a NUL character")
        if argument.endswith(os.sep):
            raise BadDescription(f"{scheme}:{argument} names a folder; name a file in it")
        return make(FilePath(os.path.join(base.path, argument)), reactor)

    return makeStore
