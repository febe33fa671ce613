# -*- test-case-name: tests.server.test_quickstart -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The first start on somebody's own machine, for C{make serve}: C{twistd --logger
muccore.server.quickstart.terminalObserver muccore --quickstart}.

A certificate is written if one is configured and there is none, and once the server serves, plain lines say where and
how the first account is created. A server in production has a certificate of its own and does not need this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from socket import AF_INET6
from typing import Final, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from zope.interface import implementer

from muccore.config.endpoints import socketAddress
from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.net.selfsigned import selfSigned
from muccore.server.preflight import usesTLS


def createCertificate(settings: Settings) -> str | None:
    """
    Write a certificate and its key if both are configured and neither is there.

    @return: what has been written, in one line.
    @raise ConfigError: if it cannot be written, or one of the two is there alone.
    """
    certificate, key = settings.tls.certificate, settings.tls.privateKey
    if not usesTLS(settings) or certificate is None or key is None:
        return None
    there = [os.path.lexists(file.path) for file in (certificate, key)]
    if all(there):
        return None
    if any(there):
        name, missing, found = ("private_key", key, certificate) if there[0] else ("certificate", certificate, key)
        text = f"{missing.path} is missing; put it there, or take {found.path} away, then both are made anew"
        raise ConfigError([settings.problem("tls", name, text)])
    try:
        for file in (certificate, key):
            os.makedirs(file.parent().path, mode=0o700, exist_ok=True)
        selfSigned([settings.server.domain, settings.muc.domain], certificate.path, key.path)
    except OSError as e:
        text = f"{e.filename} cannot be written: {e.strerror}; make its folder, or name another"
        raise ConfigError([settings.problem("tls", "certificate", text)]) from None
    return f"Wrote {_short(certificate.path)}, a certificate that signs itself: clients will ask whether to trust it."


def describe(settings: Settings, needsAccounts: bool) -> Iterator[str]:
    """
    What the server serves, and what to do first, in lines. Paths are as they have to be typed in the current folder.

    @param needsAccounts: whether the first account has to be created.
    """
    yield f"muccore serves {settings.server.domain}, with rooms at {settings.muc.domain}:"
    starttls = "no TLS" if settings.c2s.tls == "off" else f"STARTTLS {settings.c2s.tls}"
    for endpoint in settings.c2s.listen:
        yield f"  {_place(endpoint)}  {starttls}"
    for endpoint in settings.c2s.directTlsListen:
        yield f"  {_place(endpoint)}  direct TLS"
    accounts, rooms = (_kept(settings, store) for store in (settings.auth.backend, settings.storage.affiliations))
    yield f"Accounts are in {accounts}, rooms in {rooms}."
    if needsAccounts:
        command = _short(os.path.join(os.path.dirname(sys.executable), "muccorectl"))
        yield "Create the first account, in another terminal:"
        yield f"  {command} -c {_short(os.path.abspath(settings.path))} adduser romeo"
        yield f"then log in as romeo@{settings.server.domain} and enter lobby@{settings.muc.domain}."
    yield "Ctrl-C ends the server."


def announce(stream: TextIO, settings: Settings, needsAccounts: bool) -> None:
    """
    Write what L{describe} says.

    @param stream: the standard output of before logging began: twistd makes log events of what is written to it later.
    """
    print("\n".join(describe(settings, needsAccounts)), file=stream, flush=True)


@implementer(ILogObserver)
class TerminalObserver:
    """A log observer that writes warnings and errors of muccore, without time stamps, and all other errors."""

    def __init__(self) -> None:
        self._stream = sys.stdout

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        if level >= (LogLevel.warn if str(event.get("log_namespace", "")).startswith("muccore") else LogLevel.error):
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
            print(f"{level.name}: {text}", file=self._stream, flush=True)


terminalObserver: Final = TerminalObserver
"""For C{twistd --logger}, which wants something that makes an observer."""


def _kept(settings: Settings, description: str) -> str:
    """Where a store keeps its data: the path of a database, otherwise the description."""
    scheme, _, path = description.partition(":")
    return _short(os.path.normpath(os.path.join(settings.base.path, path))) if scheme == "sqlite" else description


def _place(endpoint: str) -> str:
    address = socketAddress(endpoint)
    if address is None:
        return endpoint
    family, interface, port = address
    if family == AF_INET6:
        return f"[{interface or '::'}]:{port}"
    return f"{interface or '0.0.0.0'}:{port}"


def _short(path: str) -> str:
    """A path as seen from here, where that is shorter."""
    return min(path, os.path.relpath(path), key=len)
