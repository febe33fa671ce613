# Copyright (c) The muccore authors. See LICENSE for details.
"""
A process that appends to archives until it is killed, and prints archive and id of each item once it has called:
C{python -m tests.storage.archivewriter sqlite:FILE}, or another description of an archive.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.python.filepath import FilePath

from muccore.interfaces import IArchiveStore
from muccore.storage.registry import makeStore
from muccore.testing.contracts.archivequeries import item


async def write(reactor: Any, description: str) -> None:
    """Append two items to each of three archives again and again, waiting for no answer."""
    store = cast(IArchiveStore, makeStore("archive", description, FilePath("."), reactor))
    await store.open()
    for number in range(0, 10**9, 2):
        for room in range(3):
            archive, ids = f"room{room}@x", [f"m{number}", f"m{number + 1}"]
            lines = "".join(f"{archive} {id}\n" for id in ids).encode()
            # One system call for each call, so that lines are whole when the process is killed.
            store.append(archive, [item(id, number, text="word") for id in ids]).addErrback(lambda _: None)
            os.write(1, lines)
        await deferLater(reactor, 0.001)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(write(reactor, sys.argv[1])))
