# -*- test-case-name: tests.server.test_uploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.uploads}."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.http.upload.service import UploadSettings
from muccore.interfaces.uploads import Upload
from muccore.server import preflight
from muccore.server.assembly import ServerComponents
from muccore.testing.server import makeSettings, startServer
from muccore.xmpp import jid
from tests.configuration import ENCRYPTED, ConfigurationFile

ROOT = Path(__file__).resolve().parents[2]
LISTEN = {"listen": "tcp:0:interface=127.0.0.1", "public_url": "https://chat.example"}
UPLOAD = {"store": "memory:", "file_size": "1 KiB", "user_quota": "2 KiB", "total_quota": "3 MiB"}
ROMEO = "romeo@localhost"


class UploadsTests(TestCase):
    """The uploads of a server."""

    def components(self, **options: str) -> Any:
        """Make the components of a server with options of uploads."""
        return ServerComponents(makeSettings(http=LISTEN, upload={**UPLOAD, **options}), Clock())

    def test_settings(self) -> None:
        """All options count, and a reload applies them."""
        components = self.components(retention="1 h", files_per_minute="7")
        self.assertEqual(components.uploads.settings, UploadSettings(1024, 2048, 3 * 2**20, 3600, 7))
        self.assertEqual(components.uploads.baseURL("localhost"), "https://chat.example/upload")
        changed = makeSettings(http=LISTEN, upload={**UPLOAD, "public_url": "https://files.example"})
        self.successResultOf(components.open())
        components.reconfigure(changed, {})
        self.assertEqual(components.uploads.settings.retention, 30 * 86400)
        self.assertEqual(components.uploads.baseURL("localhost"), "https://files.example/upload")

    def test_off(self) -> None:
        """Without a store there are none."""
        components = self.components(store="")
        self.assertIsNone(components.uploads)
        self.assertIsNone(components.hosts[0].handlers.uploads)
        self.assertIsNone(components.site.find(b"/upload/x"))

    def test_guests(self) -> None:
        """Where there are guests, the handler knows."""
        for anonymous in (False, True):
            settings = makeSettings(
                http=LISTEN, upload=UPLOAD, auth={"anonymous": str(anonymous)}, users={"archive": "no"}
            )
            handlers: Any = ServerComponents(settings, Clock()).hosts[0].handlers
            self.assertEqual(handlers.uploads.guests, anonymous)

    def test_checked(self) -> None:
        """A store that cannot be opened is found before the start."""
        settings = makeSettings(http=LISTEN, upload={**UPLOAD, "store": "files:/dev/null/x"})
        problem = str(self.assertRaises(ConfigError, preflight.check, settings, reactor))
        self.assertIn("[upload] store: /dev/null/x: files cannot be written there", problem)

    async def test_running(self) -> None:
        """A server removes what has expired when it starts, and the files of an account with the account."""
        server = await startServer(
            reactor, http=LISTEN, upload=UPLOAD, auth={"backend": "memory:"}, storage={"affiliations": "memory:"}
        )
        self.addCleanup(server.stop)
        components: Any = server.server.components
        store = components.uploads.store
        for owner in (ROMEO, "juliet@localhost"):
            upload = Upload(owner, owner, "x", "a/b", 1, 0, None)
            store.files[owner] = (upload, b"x")
        accounts = components.hosts[0].handlers.accounts
        await Deferred.fromCoroutine(accounts.create(jid.parse(ROMEO), "secret", "a test"))
        await Deferred.fromCoroutine(accounts.remove(jid.parse(ROMEO), "a test"))
        self.assertEqual(list(store.files), ["juliet@localhost"])


class DocumentTests(TestCase):
    """The configurations of docs/uploads.md and docs/calls.md."""

    def test_configurations(self) -> None:
        """They are valid, and switch on what the pages are about."""
        found = []
        for page in ("uploads.md", "calls.md"):
            text = ROOT.joinpath("docs", page).read_text("utf-8")
            for block in re.findall("```ini\n(.*?)```", text, re.DOTALL):
                parser = ConfigParser(interpolation=None)
                parser.read_string(block)
                file = ConfigurationFile(self, c2s=ENCRYPTED, auth={"backend": "memory:"})
                for name in parser.sections():
                    file.configure(**{name: {key: each.replace("\n", "\n ") for key, each in parser[name].items()}})
                settings = load(file.path)
                found.append((settings.upload.store, len(settings.external_services.services)))
        self.assertEqual(found, [("files:uploads", 0), ("files:uploads", 0), ("", 3)])
