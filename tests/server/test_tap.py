# -*- test-case-name: tests.server.test_tap -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tap}."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from muccore import __version__, tap
from muccore.config import plugins
from muccore.server.service import MUCCoreService
from tests.configuration import ConfigurationFile
from tests.server.test_handlers import Factory, crash


class TapTests(SynchronousTestCase):
    """C{twistd muccore} up to the running reactor."""

    def options(self, *arguments: str) -> tap.Options:
        """Parse a command line."""
        options = tap.Options()
        options.parseOptions(list(arguments))
        return options

    def ends(self, function: Callable[[], object], status: int) -> str:
        """
        Check that something exits the process.

        @return: what it has written on standard output and standard error.
        """
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        error = self.assertRaises(SystemExit, function)
        self.assertEqual(error.code, status)
        self.assertTrue(bool(err.getvalue()) == bool(status))
        return out.getvalue() + err.getvalue()

    def test_plugin(self) -> None:
        """twistd finds exactly one plugin called muccore, with these options and this service."""
        [maker] = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "muccore"]
        self.assertIs(maker.options, tap.Options)
        self.assertIs(maker.makeService, tap.makeService)

    def test_makeService(self) -> None:
        """The service is a server with the file's configuration."""
        file = ConfigurationFile(self, server={"name": "Verona"})
        for option in ("-c", "--config"):
            service = tap.makeService(self.options(option, file.path))
            self.assertIsInstance(service, MUCCoreService)
            self.assertEqual(service.settings.server.name, "Verona")
            self.assertFalse(service.running)

    def test_default(self) -> None:
        """The default configuration is a system service's."""
        self.patch(tap, "load", lambda path: path)
        self.assertEqual(self.options().settings, "/etc/muccore/server.cfg")

    def test_mistakes(self) -> None:
        """An invalid configuration exits with status 1 and a line for each problem."""
        file = ConfigurationFile(self, c2s={"tls": "maybe"}, limits={"depth": "1"})
        lines = self.ends(lambda: self.options("-c", file.path), 1).splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertTrue(line.startswith(file.path), line)

    def test_trouble(self) -> None:
        """So do problems that the preflight finds."""
        self.patch(plugins, "getPlugins", lambda _: [Factory("bug", crash)])
        with socket.create_server(("127.0.0.1", 0)) as listening:
            endpoint = f"tcp:{listening.getsockname()[1]}:interface=127.0.0.1"
            file = ConfigurationFile(
                self,
                server={"extra_handlers": "bug"},
                c2s={"listen": endpoint},
                storage={"affiliations": "sqlite:rooms.db"},
            )
            os.mkdir(file.file("rooms.db"))
            lines = self.ends(lambda: tap.makeService(self.options("-c", file.path)), 1).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn("the handler 'bug' cannot be made", "".join(lines))
        self.assertIn(f"cannot listen on {endpoint}", "".join(lines))
        self.assertIn(file.file("rooms.db"), "".join(lines))

    def test_version(self) -> None:
        """C{--version} prints muccore's version, not Twisted's."""
        self.assertEqual(self.ends(lambda: self.options("--version"), 0), f"muccore {__version__}\n")

    def test_usage(self) -> None:
        """An unknown argument is refused."""
        self.assertRaises(usage.UsageError, self.options, "server.cfg")
