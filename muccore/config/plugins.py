# -*- test-case-name: tests.config.test_plugins -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Types of values that name plugins: stores by C{scheme:argument}, handlers by C{name[:argument]}.

A store is made while the configuration is read, to report invalid arguments with all other errors; that touches no
file. Handlers are made by the preflight (L{muccore.server.handlers}).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.plugin import getPlugins
from twisted.python.filepath import FilePath

from muccore.config.errors import InvalidValue, suggestion
from muccore.config.ini import Line
from muccore.config.types import Reject, Type
from muccore.interfaces import BadDescription, IHandlerFactory
from muccore.storage.registry import KINDS, hasScheme, makeStore, takesLines


class StoreType(Type[str]):
    """The description of a store."""

    def __init__(self, kind: str, allowed: str, optional: bool = False) -> None:
        """
        @param kind: see L{muccore.interfaces.IStoreFactory}.
        @param allowed: the schemes to name in errors and in the reference.
        @param optional: whether nothing may be given.
        """
        self.kind = kind
        self._optional = optional
        self.allowed = allowed

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        try:
            return self._parse(text, base)
        except BadDescription as e:
            raise InvalidValue(str(e)) from None

    def read(self, lines: Sequence[Line], number: int, base: FilePath[str], reject: Reject) -> str | None:
        """See L{Type.read}. Some stores have options on further lines."""
        if len(lines) < 2 or not takesLines(self.kind, lines[0].text):
            return super().read(lines, number, base, reject)
        try:
            return self._parse("\n".join(line.text for line in lines), base)
        except BadDescription as e:
            found = lines[e.line]
            # A value in the wrong place may be a secret.
            reject(found.number, found.text.partition("=")[0].rstrip() if e.line else found.text, InvalidValue(str(e)))
            return None

    def _parse(self, text: str, base: FilePath[str]) -> str:
        if text or not self._optional:
            makeStore(self.kind, text, base, globalReactor())
        return text


class SwitchableStoreType(StoreType):
    """A store that may be missing: C{None}, which is not the same as none, C{""}."""

    def __init__(self, kind: str, allowed: str) -> None:
        """See L{StoreType}."""
        super().__init__(kind, allowed, optional=True)

    def parse(self, text: str, base: FilePath[str]) -> Any:
        """See L{Type.parse}."""
        return super().parse(text, base) if text else None

    def read(self, lines: Sequence[Line], number: int, base: FilePath[str], reject: Reject) -> Any:
        """See L{Type.read}."""
        return super().read(lines, number, base, reject) if lines else ""


class DefaultStoreType(StoreType):
    """
    The description of the stores of several kinds: of all that have its scheme. What archives demand of it counts only
    if there is to be one.
    """

    def __init__(self, allowed: str) -> None:
        """@param allowed: see L{StoreType}."""
        super().__init__("rooms", allowed, optional=True)

    def _parse(self, text: str, base: FilePath[str]) -> str:
        kinds = [kind for kind in KINDS if hasScheme(kind, text)]
        for kind in kinds if text else ():
            if kind != "archive":
                makeStore(kind, text, base, globalReactor())
        return text if kinds else super()._parse(text, base)


@dataclass(frozen=True)
class HandlerDescription:
    """A handler named in the configuration: C{name} of an L{IHandlerFactory}, and the text after the colon or C{""}."""

    name: str
    argument: str

    def findFactory(self) -> IHandlerFactory:
        """@raise BadDescription: if no plugin of that name is installed."""
        factories = handlerFactories()
        if self.name not in factories:
            raise BadDescription(f"no handler {self.name!r} is installed")
        return factories[self.name]


def handlerFactories() -> dict[str, IHandlerFactory]:
    """Find the installed handler factories, by name; of two with the same name, the first counts."""
    factories: dict[str, IHandlerFactory] = {}
    for factory in getPlugins(IHandlerFactory):
        factories.setdefault(factory.name, factory)
    return factories


class HandlerType(Type[HandlerDescription]):
    """The description of a handler."""

    allowed = "name or name:argument of an installed Twisted plugin for IHandlerFactory"

    def parse(self, text: str, base: FilePath[str]) -> HandlerDescription:
        """See L{Type.parse}."""
        name, _, argument = text.partition(":")
        description = HandlerDescription(name.rstrip(), argument.lstrip())
        names = handlerFactories()
        if description.name not in names:
            hint = suggestion(description.name, names) or f"installed: {', '.join(sorted(names)) or 'none'}"
            raise InvalidValue(f"no handler {description.name!r} is installed", hint)
        return description


def globalReactor() -> Any:
    """Import the reactor only when it is needed, since importing it installs one."""
    from twisted.internet import reactor

    return reactor
