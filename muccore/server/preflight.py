# -*- test-case-name: tests.server.test_preflight -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Checks before the start, while twistd is not in the background yet and errors can be shown on the terminal."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any
from xml.parsers import expat

from twisted.internet.endpoints import serverFromString

from muccore.config.endpoints import ListenKey, endpointsOf, socketAddress
from muccore.config.errors import ConfigError, Problem
from muccore.config.schema import Settings
from muccore.interfaces import StoreError
from muccore.net.tls import ServerTLS, TLSConfigError
from muccore.server.handlers import HostHandlers
from muccore.server.peerpolicy import makePolicy
from muccore.server.stores import ServerStores
from muccore.server.uploads import makeUploads
from muccore.stream.parser.xmlsyntax import hasReparseDeferral


def check(settings: Settings, reactor: Any) -> None:
    """
    Check the XML parser of this Python, and the configured certificates, databases, handlers and ports.

    @param reactor: for stores, handlers and endpoints; not used yet.
    @raise ConfigError: with all problems.
    """
    _report(
        _expat(), _certificates(settings), _stores(settings, reactor), _handlers(settings, reactor),
        _ports(settings, reactor),
    )


def checkHandlers(settings: Settings, reactor: Any) -> None:
    """Check the handlers only; L{ConfigError} has every one that cannot be made or added."""
    _report(_handlers(settings, reactor))


def _report(*checks: Iterable[Problem]) -> None:
    # A mistake in what hosts share is found for each of them.
    problems = list(dict.fromkeys(chain(*checks)))
    if problems:
        raise ConfigError(problems)


def _expat() -> Iterator[Problem]:
    if hasReparseDeferral():
        text = f"its {expat.EXPAT_VERSION} would delay stanzas; use Python 3.11.9, 3.12.3 or newer"
        yield Problem(sys.executable, text)


def _certificates(settings: Settings) -> Iterator[Problem]:
    for load in (loadCertificates, makePolicy):
        try:
            load(settings)
        except ConfigError as e:
            yield from e.problems


def usesTLS(settings: Settings) -> bool:
    """Whether clients can use TLS."""
    return settings.c2s.tls != "off" or bool(settings.c2s.directTlsListen or settings.http.tlsListen)


def loadCertificates(settings: Settings) -> dict[str, ServerTLS]:
    """
    Load the certificates of the hosts, by domain. None if nobody uses TLS.

    @raise ConfigError: with every certificate that cannot be used.
    """
    loaded: dict[tuple[str, str], ServerTLS] = {}
    found: dict[str, ServerTLS] = {}
    problems: list[Problem] = []
    for host in settings.hosts if usesTLS(settings) or settings.s2s.isEnabled else ():
        certificate, key = host.certificate, host.privateKey
        if certificate is None or key is None:
            # Validated with the configuration: it is needed by nobody.
            continue
        pair = certificate.path, key.path
        try:
            if pair not in loaded:
                loaded[pair] = ServerTLS(*pair)
            found[host.domain] = loaded[pair]
        except TLSConfigError as e:
            problems.append(settings.problem(*host.certificateAt, str(e)))
    _report(problems)
    return found


def _stores(settings: Settings, reactor: Any) -> Iterator[Problem]:
    found = set()
    for place, store in ServerStores(settings, reactor).all:
        probe = getattr(store, "probe", None)
        if probe is None:
            continue
        try:
            probe()
        except StoreError as e:
            # Two stores that one option names have one problem.
            if (place, str(e)) not in found:
                yield settings.problem(*place, str(e))
            found.add((place, str(e)))


def _handlers(settings: Settings, reactor: Any) -> Iterator[Problem]:
    stores = ServerStores(settings, reactor)
    uploads = makeUploads(settings, stores, reactor)
    for host in settings.hosts:
        yield from HostHandlers(settings, host, stores, reactor, uploads=uploads).findProblems()


def _ports(settings: Settings, reactor: Any) -> Iterator[Problem]:
    # Hold all of them until the last is tried, to find conflicts between them.
    with ExitStack() as probes:
        for key in endpointsOf(settings):
            section, option, endpoint = key
            address = socketAddress(endpoint)
            if address is None:
                try:
                    serverFromString(reactor, endpoint)
                except LookupError:
                    yield socketNotPassed(settings, key)
                continue
            trouble = _tryListening(probes, *address)
            if trouble is not None:
                yield settings.problem(section, option, f"cannot listen on {endpoint}: {trouble}")


def socketNotPassed(settings: Settings, key: ListenKey) -> Problem:
    """Make the problem of an endpoint whose socket the service manager did not pass."""
    section, option, endpoint = key
    text = f"cannot listen on {endpoint}: no such socket has been handed over; have systemd start the server by it"
    return settings.problem(section, option, text)


def _tryListening(probes: ExitStack, family: socket.AddressFamily, interface: str, port: int) -> str | None:
    """Describe why an address cannot be listened on; C{None} if it can."""
    probe = probes.enter_context(socket.socket(family, socket.SOCK_STREAM))
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((interface, port))
        probe.listen(1)
    except OSError as e:
        return describeError(e)
    return None


def describeError(error: OSError) -> str:
    """Describe why a port is not available and what to do, in a clause."""
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; end it, or choose another port"
    if error.errno == errno.EACCES:
        return "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); grant it, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    if isinstance(error, socket.gaierror):
        return "its interface is no address of this machine, and no name of one"
    return os.strerror(error.errno) if error.errno else str(error)
