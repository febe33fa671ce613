# Copyright (c) The muccore authors. See LICENSE for details.
"""Temporary configuration files, and captured logs, for tests."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muccore.log import eventlog
from muccore.log.logger import Logger
from tests.certificates import makeCertificate

_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "server": {"domain": "localhost"},
    "c2s": {"listen": "tcp:0:interface=127.0.0.1", "tls": "off", "allow_plaintext_auth": "yes"},
    "auth": {"backend": "insecure:"},
    "storage": {"affiliations": "memory:"},
    "muc": {"domain": "conference.localhost"},
}

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
"""Lets a process of its own find the same modules."""

ENCRYPTED: Mapping[str, str] = {
    "tls": "required",
    "allow_plaintext_auth": "no",
    "direct_tls_listen": "tcp:0:interface=127.0.0.1",
}
"""The section C{[c2s]} of a server that is only spoken to under TLS."""


def freePort() -> int:
    """Find a port of loopback that nobody uses at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class ConfigurationFile:
    """
    A configuration file in a folder of its own.

    @ivar folder: the folder, without anything else in it at first.
    @ivar path: the file.
    @ivar sections: what stands in it.
    @ivar certificate: the path of a certificate, where TLS is used at first.
    """

    certificate: str

    def __init__(self, test: SynchronousTestCase, **overrides: Mapping[str, str]) -> None:
        """
        @param overrides: keys by section that differ from those of a server without TLS that takes any user and
            forgets its rooms.
        """
        self.folder = os.path.abspath(test.mktemp())
        os.makedirs(self.folder)
        self.path = self.file("server.cfg")
        self.sections = {name: dict(keys) for name, keys in _DEFAULTS.items()}
        self.configure(**overrides)
        if self.sections["c2s"]["tls"] != "off":
            self.certify()

    def file(self, name: str) -> str:
        """The path of a file beside the configuration."""
        return os.path.join(self.folder, name)

    def certify(self) -> None:
        """Write a certificate and its key, and configure them."""
        self.certificate, key = makeCertificate(self.folder)
        self.configure(tls={"certificate": os.path.basename(self.certificate), "private_key": os.path.basename(key)})

    def configure(self, **overrides: Mapping[str, str]) -> None:
        """Change the configuration."""
        for name, keys in overrides.items():
            self.sections.setdefault(name, {}).update(keys)
        with open(self.path, "w", encoding="utf-8") as file:
            for name, section in self.sections.items():
                print(f"[{name}]", *(f"{key} = {value}" for key, value in section.items()), sep="\n", file=file)


class Logged:
    """
    Log events captured during a test.

    @ivar events: all of it.
    """

    def __init__(self, test: SynchronousTestCase) -> None:
        """@param test: its log has what is info and above; at its end the threshold is again what it was,
            and so is what was counted of events."""
        self.events: list[LogEvent] = []
        test.patch(Logger, "threshold", LogLevel.info)
        test.patch(eventlog, "limit", eventlog.RateLimit())
        globalLogPublisher.addObserver(self.events.append)
        test.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def lines(self, level: Any) -> list[str]:
        """What muccore itself has logged at one level."""
        return [
            eventAsText(event, includeTimestamp=False, includeSystem=False)
            for event in self.events
            if event["log_level"] is level and event["log_namespace"].startswith("muccore.")
        ]
