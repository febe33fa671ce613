# Copyright (c) The muccore authors. See LICENSE for details.
"""
Starts that fail, as the operator sees them: one line for each problem on standard error and exit status 1, before
twistd goes into the background.
"""

from __future__ import annotations

import os
import socket
import sqlite3

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.rooms import SQLiteRooms
from tests.configuration import ENCRYPTED
from tests.endtoend.serverprocess import TWISTD, ServerProcess, run


class StartUpTests(TestCase):
    """Starts that fail."""

    timeout = 120

    async def assertRefused(self, server: ServerProcess, *problems: str) -> None:
        """
        Check that a server does not start, with C{-n} and as a daemon.

        @param problems: a regular expression for each line, after the file's name.
        """
        for mode in (["-n", "--pidfile="], ["--pidfile=twistd.pid", "--logfile=twistd.log"]):
            status, out, err = await run(*TWISTD, *mode, "muccore", "-c", server.path, folder=server.folder)
            self.assertEqual((status, out), (1, ""), err)
            lines = err.splitlines()
            self.assertEqual(len(lines), len(problems), err)
            for line, problem in zip(lines, problems, strict=True):
                self.assertRegex(line, rf"\A{server.path}:(?:\d+:)? {problem}\Z")
            self.assertFalse(os.path.exists(os.path.join(server.folder, "twistd.pid")))
            self.assertFalse(os.path.exists(os.path.join(server.folder, "twistd.log")))

    async def test_configuration(self) -> None:
        """All mistakes in the configuration are reported, in the order of the file."""
        server = ServerProcess(self)
        server.configure(server={"domian": "x"}, c2s={"tls": "maybe"}, limits={"depth": "1"})
        await self.assertRefused(
            server,
            r"\[server\] domian: no such key; allowed: .* \(did you mean 'domain'\?\)",
            r"\[c2s\] tls: found 'maybe'; allowed: required, optional, off",
            r"\[limits\] depth: found '1'.*; allowed: a whole number from 4 to 500",
        )

    async def test_noConfiguration(self) -> None:
        """A missing configuration file is named."""
        server = ServerProcess(self)
        os.remove(server.path)
        await self.assertRefused(
            server, "cannot be read: No such file or directory; give the path of a configuration file"
        )

    async def test_everything(self) -> None:
        """
        Ports in use, an unreadable private key, a file that is not a database and a database with a newer schema are
        reported together, and left as they are.
        """
        taken = []
        for _ in range(2):
            listening = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listening.close)
            taken.append(f"tcp:{listening.getsockname()[1]}:interface=127.0.0.1")
        server = ServerProcess(
            self,
            c2s={**ENCRYPTED, "listen": taken[0], "direct_tls_listen": taken[1]},
            auth={"backend": "sqlite:accounts.db"},
            storage={"affiliations": "sqlite:rooms.db"},
        )
        key, accounts, rooms = (server.file(name) for name in ("key.pem", "accounts.db", "rooms.db"))
        os.remove(key)
        os.mkdir(key)
        with open(accounts, "w") as file:
            print("This is not a database. " * 1000, file=file)
        store = SQLiteRooms(FilePath(rooms), reactor)
        await store.open()
        await store.close()
        connection = sqlite3.connect(rooms)
        self.addCleanup(connection.close)
        connection.execute("UPDATE muccore_schema SET version = 1000 WHERE purpose = 'rooms'")
        connection.commit()
        await self.assertRefused(
            server,
            rf"\[tls\] certificate: {key}: cannot be read \(Is a directory\); give the server's user read .*",
            rf"\[auth\] backend: {accounts}: it is not an SQLite database; name another file, .*",
            rf"\[storage\] affiliations: {rooms}: its schema for rooms is version 1000, and this muccore knows "
            r"only up to \d+; run the newer muccore that wrote it, or put a backup in its place",
            *(
                rf"\[c2s\] {name}: cannot listen on {endpoint}: another program listens there; "
                "end it, or choose another port"
                for name, endpoint in zip(("listen", "direct_tls_listen"), taken, strict=True)
            ),
        )
        versions = connection.execute("SELECT version FROM muccore_schema WHERE purpose = 'rooms'")
        self.assertEqual(list(versions), [(1000,)])

    async def test_version(self) -> None:
        """C{--version} prints the version, and C{--help} the options."""
        status, out, err = await run(*TWISTD, "muccore", "--version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\Amuccore \d+\.\d+")
        status, out, _ = await run(*TWISTD, "muccore", "--help")
        self.assertEqual(status, 0)
        self.assertIn("--config=", out)
        status, out, _ = await run(*TWISTD, "--help")
        self.assertRegex(out, r"\n\s+muccore\s+An XMPP server")
