# -*- test-case-name: tests.storage.external.test_directory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A program that asks a directory, by libldap, for C{ldap:} and C{ldaps:}. libldap blocks, during the handshake of TLS
without any limit, so the server must be able to kill it.

    python -I -m muccore.storage.external.ldaphelper OPTIONS

The options are JSON, with the attributes of L{Options}.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import Any, Final

from muccore.storage.external.answering import Unanswerable, serve

_VARIABLE: Final = re.compile("%[ud]")

@dataclass(frozen=True)
class Options:
    """
    Where users are, and how they are found.

    @ivar uri: the address of the directory.
    @ivar starttls: whether to use StartTLS.
    @ivar ca: the path of certificates to trust, or C{None}.
    @ivar timeout: seconds for a connection, and for an answer.
    @ivar userDN: a template of the users' DNs, or C{None} to search for them.
    @ivar base: where to search.
    @ivar scope: C{sub} or C{one}.
    @ivar filter: a template of the filter to search with.
    @ivar bindDN: who searches; C{""} for nobody in particular.
    @ivar password: the path of a file with the password of that.
    """

    uri: str
    starttls: bool
    ca: str | None
    timeout: float
    userDN: str | None
    base: str
    scope: str
    filter: str
    bindDN: str
    password: str | None


def fill(template: str, user: str, domain: str, escape: Any) -> str:
    """Put a user (C{%u}) and a domain (C{%d}) into a template, escaped."""
    values = {"%u": escape(user), "%d": escape(domain)}
    return _VARIABLE.sub(lambda match: values[match[0]], template)


class Directory:
    """A directory, with a connection to search and one to check passwords."""

    def __init__(self, options: Options) -> None:
        """@raise ImportError: without the package python-ldap, which is optional."""
        import ldap
        import ldap.dn
        import ldap.filter

        self._ldap: Any = ldap
        # What a directory answers if a user cannot log in: also one without a password, or one that is locked.
        self._refused = (
            ldap.INVALID_CREDENTIALS, ldap.NO_SUCH_OBJECT, ldap.INAPPROPRIATE_AUTH, ldap.UNWILLING_TO_PERFORM,
        )  # fmt: skip
        self._scopes = {"sub": ldap.SCOPE_SUBTREE, "one": ldap.SCOPE_ONELEVEL}
        self._options = options
        self._searching: Any = None
        self._checking: Any = None

    def check(self, user: str, domain: str, password: str) -> bool:
        """Whether a password is right: whether the user can bind with it."""
        # An empty one would be an unauthenticated bind, which succeeds (RFC 4513 §5.1.2).
        if not password:
            return False
        options = self._options
        if options.userDN is None:
            dn = self._find(user, domain)
        else:
            dn = fill(options.userDN, user, domain, self._ldap.dn.escape_dn_chars)
        if not dn:
            # Anonymous as well.
            return False

        def bind(fresh: bool) -> bool:
            if fresh:
                self._checking = self._connect()
            try:
                self._checking.simple_bind_s(dn, password)
            except self._refused:
                return False
            return True

        right: bool = self._attempt("_checking", bind)
        return right

    def exists(self, user: str, domain: str) -> bool:
        """Whether there is a user."""
        return self._find(user, domain) is not None

    def _find(self, user: str, domain: str) -> str | None:
        """The DN of a user."""
        options = self._options
        if options.userDN is None:
            base, scope = options.base, self._scopes[options.scope]
            filter = fill(options.filter, user, domain, self._ldap.filter.escape_filter_chars)
        else:
            base, scope = fill(options.userDN, user, domain, self._ldap.dn.escape_dn_chars), self._ldap.SCOPE_BASE
            filter = "(objectClass=*)"

        def search(fresh: bool) -> str | None:
            if fresh:
                self._searching = self._connect()
                self._bindToSearch()
            try:
                entries = self._searching.search_ext_s(
                    base, scope, filter, ["1.1"], sizelimit=2, timeout=options.timeout
                )
            except self._ldap.NO_SUCH_OBJECT:
                return None
            except self._ldap.SIZELIMIT_EXCEEDED:
                entries = [("", {})] * 2
            # Without those that are referrals.
            found = [dn for dn, _ in entries if dn is not None]
            if len(found) > 1:
                raise Unanswerable("the filter finds several entries for one user")
            return found[0] if found else None

        dn: str | None = self._attempt("_searching", search)
        return dn

    def _bindToSearch(self) -> None:
        options = self._options
        if not options.bindDN:
            return
        assert options.password is not None
        with open(options.password, encoding="utf-8") as file:
            password = file.read().rstrip("\r\n")
        if not password:
            raise Unanswerable(f"{options.password} is empty")
        try:
            self._searching.simple_bind_s(options.bindDN, password)
        except self._ldap.INVALID_CREDENTIALS:
            self._searching = None
            raise Unanswerable("bind_dn or its password is wrong") from None

    def _connect(self) -> Any:
        options = self._options
        connection = self._ldap.initialize(options.uri)
        connection.set_option(self._ldap.OPT_PROTOCOL_VERSION, 3)
        connection.set_option(self._ldap.OPT_NETWORK_TIMEOUT, options.timeout)
        connection.timeout = options.timeout
        # A password goes nowhere else.
        connection.set_option(self._ldap.OPT_REFERRALS, 0)
        connection.set_option(self._ldap.OPT_X_TLS_REQUIRE_CERT, self._ldap.OPT_X_TLS_DEMAND)
        if options.ca is not None:
            connection.set_option(self._ldap.OPT_X_TLS_CACERTFILE, options.ca)
        connection.set_option(self._ldap.OPT_X_TLS_NEWCTX, 0)
        if options.starttls:
            connection.start_tls_s()
        return connection

    def _attempt(self, name: str, do: Any) -> Any:
        """Do something with a connection, which may have ended since it was used last."""
        try:
            if getattr(self, name) is not None:
                try:
                    return do(False)
                except self._ldap.SERVER_DOWN:
                    pass
            return do(True)
        except (self._ldap.LDAPError, OSError, UnicodeError) as e:
            setattr(self, name, None)
            raise Unanswerable(describe(e)) from None


def describe(error: Exception) -> str:
    """Describe an error of libldap; it does not contain what was asked."""
    found = error.args[0] if error.args else None
    if not isinstance(found, dict):
        return str(error) or type(error).__name__
    return ": ".join(str(found[key]) for key in ("desc", "info") if found.get(key))


def main(arguments: list[str]) -> None:
    """Run the program."""
    directory = Directory(Options(**json.loads(arguments[0])))
    serve(directory.check, directory.exists)


if __name__ == "__main__":
    main(sys.argv[1:])
