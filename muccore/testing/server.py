# -*- test-case-name: tests.server.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A whole server on a free loopback port, in the test's own process."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muccore.config.load import parse
from muccore.config.schema import Settings
from muccore.server.service import MUCCoreService

_SETTINGS = {
    "server": {"domain": "localhost", "log_level": "warn"},
    "c2s": {"listen": "tcp:0:interface=127.0.0.1", "tls": "off", "allow_plaintext_auth": "yes"},
    "auth": {"backend": "insecure:"},
    "storage": {"affiliations": "memory:"},
    "muc": {"domain": "conference.localhost"},
}


def makeSettings(path: str = "test.cfg", **overrides: dict[str, str]) -> Settings:
    """
    Return the settings of a server without TLS that accepts any user and keeps its rooms in memory.

    @param path: the configuration's supposed path; relative paths in it start at its folder.
    @param overrides: other values by section and key, as written in the file.
    """
    sections = {name: dict(keys) for name, keys in _SETTINGS.items()}
    for name, keys in overrides.items():
        sections.setdefault(name, {}).update(keys)
    lines = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in keys.items()]
    return parse("\n".join(lines).encode("utf-8"), path)


class RunningServer:
    """A server that serves; C{port} is that of the first endpoint in C{listen}."""

    host = "127.0.0.1"

    def __init__(self, server: MUCCoreService) -> None:
        self.server = server
        self.port = self.portOf("listen")

    def portOf(self, option: str, section: str = "c2s") -> int:
        """Return the first port of an option of C{[c2s]} or C{[http]}."""
        listeners = self.server.listeners
        assert listeners is not None, "it serves"
        listening: Any = next(port for key, port in listeners.ports.items() if key[:2] == (section, option))
        port: int = listening.getHost().port
        return port

    def stop(self) -> Deferred[None]:
        """Stop the server."""
        return self.server.stopService()


def startServer(reactor: Any, path: str = "test.cfg", **overrides: dict[str, str]) -> Deferred[RunningServer]:
    """Start a server with L{makeSettings}; the result fails with the reason if it cannot serve."""
    server = MUCCoreService(makeSettings(path, **overrides), reactor)
    server.startService()
    return server.ready.addCallback(lambda _: RunningServer(server))
