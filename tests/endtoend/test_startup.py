# Copyright (c) The muccore authors. See LICENSE for details.
"""
What keeps the server from starting, as the operator sees it: one line for each problem on standard error, exit status
1, and that before twistd goes into the background.
"""

from __future__ import annotations

import os
import socket
import sqlite3

from twisted.trial.unittest import TestCase

from tests.configuration import ENCRYPTED
from tests.endtoend.serverprocess import TWISTD, ServerProcess, run


class StartUpTests(TestCase):
    """
    Starts that fail.
    """

    timeout = 120

    async def assertRefused(self, server: ServerProcess, *problems: str) -> None:
        """
        Check that a server does not start, with C{-n} and as a daemon, and says why.

        @param problems: a regular expression for each line, from behind the file's name on.
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
        """
        Mistakes in the configuration are told all at once, in the order of the file.
        """
        server = ServerProcess(self)
        server.configure(server={"domian": "x"}, c2s={"tls": "maybe"}, limits={"depth": "1"})
        await self.assertRefused(
            server,
            r"\[server\] domian: no such key; allowed: .* \(did you mean 'domain'\?\)",
            r"\[c2s\] tls: found 'maybe'; allowed: required, optional, off",
            r"\[limits\] depth: found '1'.*; allowed: a whole number from 4 to 1000",
        )

    async def test_noConfiguration(self) -> None:
        """
        A configuration that is not there is named.
        """
        server = ServerProcess(self)
        os.remove(server.path)
        await self.assertRefused(
            server, "cannot be read: No such file or directory; give the path of a configuration file"
        )

    async def test_portInUse(self) -> None:
        """
        A port that another program has is named, and each of several.
        """
        taken = []
        for _ in range(2):
            listening = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listening.close)
            taken.append(listening.getsockname()[1])
        endpoints = [f"tcp:{port}:interface=127.0.0.1" for port in taken]
        server = ServerProcess(self, c2s={"listen": "\n  ".join(endpoints)})
        await self.assertRefused(
            server,
            *(
                rf"\[c2s\] listen: cannot listen on {endpoint}: another program listens there; "
                "end it, or choose another port"
                for endpoint in endpoints
            ),
        )

    async def test_certificate(self) -> None:
        """
        A certificate or key that is missing, may not be read or is none is named.
        """
        server = ServerProcess(self, c2s=ENCRYPTED)
        key = server.file("key.pem")
        with open(key, "w") as file:
            print("nothing", file=file)
        line = r"\[tls\] (?:certificate|private_key): "
        await self.assertRefused(server, f"{line}{key}: is no PEM file of a private key")
        os.remove(key)
        os.mkdir(key)
        await self.assertRefused(server, f"{line}{key}: cannot be read \\(Is a directory\\); .*")
        os.remove(server.certificate)
        await self.assertRefused(
            server,
            f"{line}{server.certificate}: cannot be read \\(No such file or directory\\); "
            "let the server's user read it, or correct its name",
        )

    async def test_database(self) -> None:
        """
        A database that is none, or cannot be opened, is named, for accounts and for rooms.
        """
        server = ServerProcess(
            self, auth={"backend": "sqlite:accounts.db"}, storage={"affiliations": "sqlite:rooms.db"}
        )
        accounts, rooms = server.file("accounts.db"), server.file("rooms.db")
        with open(accounts, "w") as file:
            print("This is no database. " * 1000, file=file)
        os.mkdir(rooms)
        await self.assertRefused(
            server,
            rf"\[auth\] backend: {accounts}: it is not an SQLite database; .*",
            rf"\[storage\] affiliations: {rooms}: it .*; .*",
        )

    async def test_newerDatabase(self) -> None:
        """
        A database that a newer program has written is named, and left as it is.
        """
        server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await server.start()
        await server.stop()
        path = server.file("rooms.db")
        connection = sqlite3.connect(path)
        self.addCleanup(connection.close)
        connection.execute("UPDATE muccore_schema SET version = 1000 WHERE purpose = 'rooms'")
        connection.commit()
        await self.assertRefused(
            server,
            rf"\[storage\] affiliations: {path}: its schema for rooms is version 1000 and this muccore knows "
            r"\d+ at the most; run the newer muccore that wrote it, or put a backup in its place",
        )
        self.assertEqual(list(connection.execute("SELECT version FROM muccore_schema")), [(1000,)])

    async def test_version(self) -> None:
        """
        C{--version} tells the version, and C{--help} the options.
        """
        status, out, err = await run(*TWISTD, "muccore", "--version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\Amuccore \d+\.\d+")
        status, out, _ = await run(*TWISTD, "muccore", "--help")
        self.assertEqual(status, 0)
        self.assertIn("--config=", out)
        status, out, _ = await run(*TWISTD, "--help")
        self.assertRegex(out, r"\n\s+muccore\s+An XMPP server")
