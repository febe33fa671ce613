# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Addresses of databases, C{postgresql://user@host/database?option=value}, shown without their passwords."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from twisted.python.filepath import FilePath

from muccore.interfaces import BadDescription, IStore
from muccore.storage.external.webservice import isLoopback

_FILES: Final = ("passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert")
"""Options that name files."""

_OPTIONS: Final = frozenset({*_FILES, "host", "journal", "sslmode"})

_MODES: Final = ("disable", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class Address:
    """
    Where a database is.

    @ivar place: what logs and errors call it; it has no password.
    @ivar options: what libpq is told, with the password.
    @ivar journal: the path of the journal of archives, if one is given; other stores have none.
    """

    place: str
    options: dict[str, str] = field(repr=False)
    journal: str | None = None


def parseAddress(argument: str, base: FilePath[str]) -> Address:
    """
    Parse what follows C{postgresql:}.

    Without C{sslmode}, a server elsewhere than on this machine has to prove by its certificate that it has the name
    that is given.

    @param base: the base of relative paths.
    @raise BadDescription: if it is invalid; the line has no password.
    """
    example = "as in postgresql://muccore@db.example.org/muccore"
    try:
        parts = urlsplit(f"postgresql:{argument}")
        host, port = parts.hostname or "", parts.port
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise BadDescription(f"postgresql: its address is not a URL; write it {example}") from None
    database = unquote(parts.path[1:])
    if not argument.startswith("//") or not database or "/" in database or parts.fragment:
        raise BadDescription(f"postgresql: needs an address with the name of a database, {example}")
    options = dict(given)
    for name in options:
        if name not in _OPTIONS:
            known = ", ".join(sorted(_OPTIONS))
            raise BadDescription(f"postgresql: the address has an unknown option; known are {known}")
    if "\0" in unquote(argument):
        raise BadDescription("postgresql: an address must not contain a NUL character")
    folder, journal = options.pop("host", ""), options.pop("journal", "")
    if bool(host) == bool(folder) or (folder and not folder.startswith("/")):
        raise BadDescription(f"postgresql: needs a host, {example}, or ?host= with the folder of a socket")
    if options.get("sslmode", _MODES[0]) not in _MODES:
        raise BadDescription(f"postgresql: sslmode is one of {', '.join(_MODES)}")
    user = unquote(parts.username or "")
    for name in _FILES:
        if name in options and options[name] != "system":
            options[name] = os.path.join(base.path, options[name])
    options.setdefault("sslmode", "disable" if folder or isLoopback(host) else "verify-full")
    options |= {"host": folder or host, "port": str(port or 5432), "dbname": database}
    if user:
        options["user"] = user
    if parts.password is not None:
        options["password"] = unquote(parts.password)
    where = f"[{host}]" if ":" in host else host or quote(folder, safe="")
    who = f"{quote(user)}@" if user else ""
    place = f"postgresql://{who}{where}:{options['port']}/{quote(database)}"
    return Address(place, options, os.path.join(base.path, journal) if journal else None)


def databaseAddress(make: Callable[[Address, Any], IStore]) -> Callable[[str, FilePath[str], Any], IStore]:
    """
    A L{StoreFactory.make<muccore.storage.factory.StoreFactory>} for an address, which calls C{make} with it and the
    reactor.
    """
    return lambda argument, base, reactor: make(parseAddress(argument, base), reactor)
