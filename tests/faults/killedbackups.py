# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl backup} of a busy server, killed again and again: there is a whole back-up, or none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Final

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.filepath import FilePath

from muccore.operations.backup import UNFINISHED
from muccore.storage.sqlite.userdata import SQLiteUserData
from tests.configuration import ENVIRONMENT
from tests.endtoend import test_killedstores
from tests.endtoend.serverprocess import ServerProcess, ctl

KILLS: Final = int(os.environ.get("KILLS", "200")) // 8

DOCUMENTS: Final = 100
"""Documents of 250 KiB, so that copying takes a while."""


class KilledBackupTests(test_killedstores.KilledSQLiteTests):
    """Users write all the while; it takes a minute."""

    def backUp(self, path: str) -> subprocess.Popen[bytes]:
        """Begin a back-up."""
        command = [sys.executable, "-m", "muccore.operations.ctl", "-c", self.server.path, "backup", path]
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    async def isRestorable(self, path: str) -> bool:
        """Whether a back-up can be restored elsewhere."""
        elsewhere = ServerProcess(self, **self.configured())
        status, _, error = await ctl(elsewhere, "restore", path)
        self.assertEqual(error, "")
        return status == 0

    async def test_killed(self) -> None:
        """A file of the final name is whole, and what is left of others stops none that follows."""
        documents = SQLiteUserData(FilePath(self.server.file("muccore.db")), reactor)
        await documents.open()
        for number in range(DOCUMENTS):
            await documents.change("tybalt@localhost", {("private", str(number)): os.urandom(250 * 1024)})
        await documents.close()
        for writer in self.writers:
            writer.begin()
        begun = time.monotonic()
        path = self.server.file("whole")
        first = self.backUp(path)
        self.assertEqual(await deferToThread(first.wait), 0)
        lasts = time.monotonic() - begun
        self.assertTrue(await self.isRestorable(path))
        killed = whole = 0
        for number in range(KILLS):
            path = self.server.file(f"back-up-{number % 3}")
            backup = self.backUp(path)
            # Nothing is written while Python starts.
            await deferLater(reactor, lasts * self.random.uniform(0.5, 1.3))  # type: ignore[arg-type]
            killed += backup.poll() is None
            backup.kill()
            await deferToThread(backup.communicate)
            if os.path.exists(path):
                whole += 1
                self.assertTrue(await self.isRestorable(path))
                os.unlink(path)
        print(f"{killed} of {KILLS} killed, {whole} whole")
        self.assertGreater(killed, 0)
        last = self.backUp(path)
        self.assertEqual(await deferToThread(last.wait), 0)
        self.assertTrue(await self.isRestorable(path))
        for writer in self.writers:
            writer.stop()
        self.assertFalse(os.path.exists(path + UNFINISHED))
        self.assertEqual(self.server.unexpectedLines, [])
