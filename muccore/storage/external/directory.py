# -*- test-case-name: tests.storage.external.test_directory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{ldap:} and C{ldaps:}, users of a directory, by processes of L{muccore.storage.external.ldaphelper}."""

from __future__ import annotations

import json
import ssl
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.python.filepath import FilePath

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external.options import (
    StoreOption,
    choice,
    integer,
    parseDescription,
    path,
    readSecret,
    seconds,
    yesOrNo,
)
from muccore.storage.external.program import ProgramAuth, helper
from muccore.storage.external.webservice import isLoopback, loadCertificates


def _text(text: str, base: FilePath[str]) -> str:
    if not text or "\0" in text:
        raise ValueError("text")
    return text


def _template(text: str, base: FilePath[str]) -> str:
    if "%u" not in text or "\0" in text:
        raise ValueError("text with %u in the place of the user")
    return text


def _filter(text: str, base: FilePath[str]) -> str:
    if "%u" not in text or "\0" in text or text[:1] != "(" or text[-1:] != ")" or text.count("(") != text.count(")"):
        raise ValueError("a filter with %u in the place of the user, such as (uid=%u)")
    return text


_OPTIONS: Final = (
    StoreOption("user_dn", _template, None),
    StoreOption("base", _text, None),
    StoreOption("filter", _filter, "(uid=%u)"),
    StoreOption("scope", choice(sub="sub", one="one"), "sub"),
    StoreOption("bind_dn", _text, None),
    StoreOption("password", path, None),
    StoreOption("starttls", yesOrNo, True),
    StoreOption("ca", path, None),
    StoreOption("processes", integer(1, 64), 2),
    StoreOption("timeout", seconds(0.1, 60), 10.0),
)


class DirectoryAuth(ProgramAuth):
    """Asks a directory."""

    def __init__(self, uri: str, options: Any, reactor: Any) -> None:
        """
        @param uri: its address.
        @param options: the values of the options.
        """
        self._ca: FilePath[str] | None = options["ca"]
        self._password: FilePath[str] | None = options["password"]
        ca = ssl.get_default_verify_paths().cafile if self._ca is None else self._ca.path
        # Of its own time, which ends first, so that the reason is known.
        timeout = options["timeout"] * 0.8
        told = json.dumps(
            {
                "uri": uri, "starttls": uri.startswith("ldap:") and options["starttls"], "ca": ca, "timeout": timeout,
                "userDN": options["user_dn"], "base": options["base"] or "", "scope": options["scope"],
                "filter": options["filter"], "bindDN": options["bind_dn"] or "",
                "password": None if self._password is None else self._password.path,
            }
        )  # fmt: skip
        super().__init__([*helper("ldaphelper"), told], options, reactor, uri, True)

    def probe(self) -> None:
        """Check the library, and the files that are needed. See L{IStore<muccore.interfaces.IStore>}."""
        super().probe()
        if find_spec("ldap") is None:
            raise StoreUnavailable("the package python-ldap is not installed; install muccore[ldap]")
        if self._ca is not None:
            loadCertificates(self._ca)
        if self._password is not None:
            readSecret(self._password)


def makeDirectoryAuth(scheme: str, argument: str, base: FilePath[str], reactor: Any) -> DirectoryAuth:
    """
    Make the backend for a description (L{muccore.storage.factory.StoreFactory}).

    @param scheme: C{ldaps} or C{ldap}.
    """
    place, options = parseDescription(scheme, argument, base, _OPTIONS)
    uri = f"{scheme}:{place}"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
        uri.encode("ascii")
    except ValueError:
        host = port = None
    if not host or port == 0 or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise BadDescription(f"{scheme}: needs an address alone, as in {scheme}://ldap.example.org")
    if (options["user_dn"] is None) == (options["base"] is None):
        raise BadDescription(f"{scheme}: needs either user_dn, with %u in it, or base, under which users are found")
    if (options["bind_dn"] is None) != (options["password"] is None):
        raise BadDescription(f"{scheme}: needs both bind_dn and password, the path of a file, or none of them")
    if scheme == "ldap" and not options["starttls"] and not isLoopback(host):
        raise BadDescription("ldap: passwords go over the network in clear text without starttls; use it, or ldaps:")
    return DirectoryAuth(uri, options, reactor)
