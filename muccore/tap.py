# -*- test-case-name: tests.server.test_tap -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The twistd plugin: command line options and service."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from twisted.application.service import IService
from twisted.logger import LogLevel
from twisted.python import usage

from muccore import __version__
from muccore.config.errors import ConfigError
from muccore.config.load import DEFAULT_PATH, load
from muccore.config.schema import Settings
from muccore.server import preflight, quickstart, systemd
from muccore.server.service import MUCCoreService


class Options(usage.Options):
    """The options of C{twistd muccore}, and the configuration."""

    synopsis = "[--config=FILE]"
    longdesc = "Runs an XMPP server for group chat, as its configuration file says."
    optParameters = (("config", "c", DEFAULT_PATH, "The configuration file; paths in it are relative to its folder."),)

    optFlags = (("quickstart", None, "Create a missing certificate, and print where the server listens."),)

    settings: Settings

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"muccore {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the configuration. If it is invalid, exit with status 1, with the problems on standard error."""
        try:
            self.settings = load(self["config"])
        except ConfigError as e:
            _end(e)


def makeService(options: Options) -> IService:
    """Run the preflight and make the service. If it could not start, exit with status 1, and say why."""
    from twisted.internet import reactor

    clock: Any = reactor
    try:
        if options["quickstart"]:
            for line in quickstart.createCertificates(options.settings):
                print(line, flush=True)
        preflight.check(options.settings, clock)
    except ConfigError as e:
        _end(e)
    announce = partial(quickstart.announce, sys.stdout) if options["quickstart"] else None
    return MUCCoreService(options.settings, clock, ownsProcess=True, announce=announce)


def _end(error: ConfigError) -> None:
    print(systemd.prioritized(str(error), LogLevel.error) if systemd.isJournal(sys.stderr) else error, file=sys.stderr)
    raise SystemExit(1)
