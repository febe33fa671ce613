# -*- test-case-name: tests.server.test_quickstart -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
First start on a developer's machine (C{make serve}): C{twistd --logger muccore.server.quickstart.terminalObserver
muccore --quickstart}.

Creates a missing certificate, and once the server accepts clients prints where, and how to create the first account.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from socket import AF_INET6
from typing import Final, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.config.endpoints import socketAddress
from muccore.config.errors import ConfigError
from muccore.config.hosts import Host
from muccore.config.schema import Settings
from muccore.http.websocket import PATH
from muccore.net.selfsigned import selfSigned
from muccore.server.preflight import usesTLS
from muccore.server.website import siteURLs, webChatSettings


def createCertificates(settings: Settings) -> Iterator[str]:
    """
    Create a self-signed certificate and its key wherever both are configured and neither exists.

    @return: a line for the operator for each that was created.
    @raise ConfigError: if they cannot be written, or only one of them exists.
    """
    if not usesTLS(settings):
        return
    wanted: dict[tuple[FilePath[str], FilePath[str]], list[Host]] = {}
    for host in settings.hosts:
        if host.certificate is not None and host.privateKey is not None:
            wanted.setdefault((host.certificate, host.privateKey), []).append(host)
    for (certificate, key), hosts in wanted.items():
        section, name = hosts[0].certificateAt
        exist = [os.path.lexists(file.path) for file in (certificate, key)]
        if all(exist):
            continue
        if any(exist):
            name, missing, found = ("private_key", key, certificate) if exist[0] else (name, certificate, key)
            text = f"{missing.path} is missing; restore it, or remove {found.path} to have both created anew"
            raise ConfigError([settings.problem(section, name, text)])
        try:
            for file in (certificate, key):
                os.makedirs(file.parent().path, mode=0o700, exist_ok=True)
            domains = [domain for host in hosts for domain in (host.domain, *host.roomServices)]
            selfSigned(domains, certificate.path, key.path)
        except OSError as e:
            text = f"{e.filename} cannot be written: {e.strerror}; make its folder writable, or configure another"
            raise ConfigError([settings.problem(section, name, text)]) from None
        yield f"Wrote {_short(certificate.path)}, a self-signed certificate: clients will ask whether to trust it."


def describe(settings: Settings, needsAccounts: bool) -> Iterator[str]:
    """
    Describe the running server and the first steps, in lines. Paths are relative to the current folder if shorter.

    @param needsAccounts: whether there are no accounts yet.
    """
    yield f"muccore serves {'; '.join(map(_describeHost, settings.hosts))}:"
    starttls = "no TLS" if settings.c2s.tls == "off" else f"STARTTLS {settings.c2s.tls}"
    for endpoint in settings.c2s.listen:
        yield f"  {_address(endpoint)}  {starttls}"
    for endpoint in settings.c2s.directTlsListen:
        yield f"  {_address(endpoint)}  direct TLS"
    proxied = "  through a proxy with TLS" if settings.c2s.tls == "required" else ""
    for scheme, endpoints, note in (("ws", settings.http.listen, proxied), ("wss", settings.http.tlsListen, "")):
        for endpoint in endpoints:
            yield f"  {scheme}://{_address(endpoint)}{PATH}{note}"
    site = siteURLs(settings).get(settings.server.domain)
    if site is not None and webChatSettings(settings) is not None:
        yield f"  {site}/join/lobby  web chat"
    for endpoint in settings.components.listen if settings.named["component"] else ():
        yield f"  {_address(endpoint)}  components"
    accounts = dict.fromkeys(_location(settings, host.accounts) for host in settings.hosts)
    rooms, archive = (_location(settings, settings.storage.placeOf(kind)[1]) for kind in ("rooms", "archive"))
    messages = f", their messages in {archive}" if archive else ""
    yield f"Accounts are in {' and '.join(accounts)}, rooms in {rooms}{messages}."
    if needsAccounts:
        command = _short(os.path.join(os.path.dirname(sys.executable), "muccorectl"))
        yield "Create the first account, in another terminal:"
        yield f"  {command} -c {_short(os.path.abspath(settings.path))} adduser romeo@{settings.server.domain}"
        yield f"then log in as romeo@{settings.server.domain} and enter lobby@{settings.muc.domain[0]}."
    yield "Ctrl-C ends the server."


def _describeHost(host: Host) -> str:
    rooms = f", with rooms at {' and '.join(host.roomServices)}" if host.roomServices else ""
    return f"{host.domain}{rooms}"


def announce(stream: TextIO, settings: Settings, needsAccounts: bool) -> None:
    """Print the lines of L{describe} to the original standard output, which twistd replaces when logging begins."""
    print("\n".join(describe(settings, needsAccounts)), file=stream, flush=True)


@implementer(ILogObserver)
class TerminalObserver:
    """A log observer that writes muccore's warnings and errors, and others' errors, without time stamps."""

    def __init__(self) -> None:
        self._stream = sys.stdout

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        if level >= (LogLevel.warn if str(event.get("log_namespace", "")).startswith("muccore") else LogLevel.error):
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
            print(f"{level.name}: {text}", file=self._stream, flush=True)


terminalObserver: Final = TerminalObserver
"""For C{twistd --logger}, which calls it to make an observer."""


def _location(settings: Settings, description: str) -> str:
    """The location of a store's data: the path of a database, otherwise its description."""
    scheme, _, path = description.partition(":")
    return _short(os.path.normpath(os.path.join(settings.base.path, path))) if scheme == "sqlite" else description


def _address(endpoint: str) -> str:
    address = socketAddress(endpoint)
    if address is None:
        return endpoint
    family, interface, port = address
    if family == AF_INET6:
        return f"[{interface or '::'}]:{port}"
    return f"{interface or '0.0.0.0'}:{port}"


def _short(path: str) -> str:
    """A path relative to the current folder, if that is shorter."""
    return min(path, os.path.relpath(path), key=len)
