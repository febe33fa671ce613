# Copyright (c) The muccore authors. See LICENSE for details.
"""
A process that makes concurrent changes of a room until it is killed, and prints the address of each one when it has
been answered: C{python -m tests.storage.writer FILE}.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from muccore.interfaces import Affiliate, RoomChange, RoomRecord
from muccore.storage.sqlite.rooms import SQLiteRooms


async def write(reactor: Any, path: str) -> None:
    """Change the room until killed."""
    store = SQLiteRooms(FilePath(path), reactor)
    await store.open()
    await store.save("cave@chat.lit", RoomRecord({}, {}))
    number = 0
    while True:
        changes = []
        for _ in range(7):
            number += 1
            jid = f"user{number}@shakespeare.lit"
            change = store.change("cave@chat.lit", RoomChange({jid: Affiliate("member", f"nick{number}")}))
            # One system call for each line, so that it is whole when the process is killed.
            change.addCallback(lambda ignored, jid=jid: os.write(1, f"{jid}\n".encode()))
            changes.append(change)
        await gatherResults(changes)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(write(reactor, sys.argv[1])))
