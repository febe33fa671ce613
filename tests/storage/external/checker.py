# Copyright (c) The muccore authors. See LICENSE for details.
"""
A program of C{extauth} for tests, which knows Juliet and Romeo; what else it does, their passwords say.

It appends a line with each request to the file that is its first argument.
"""

from __future__ import annotations

import os
import struct
import sys
import time

PASSWORDS = {"juliet@localhost": "r0m30:&", "romeo@localhost": "jul1et", "juliet@elsewhere.lit": "p4ris"}


def answer(data: bytes, log: str) -> bytes:
    """Answer a request, or do something else."""
    operation, user, host, *rest = data.decode("utf-8").split(":", 3)
    account = f"{user}@{host}"
    if operation == "isuser":
        return b"\0\2" + struct.pack(">H", account in PASSWORDS)
    password = rest[0]
    right = b"\0\2" + struct.pack(">H", PASSWORDS.get(account) == password)
    if password == "end":
        sys.exit(3)
    if password == "end once":
        with open(log) as lines:
            if sum("end once" in line for line in lines) < 2:
                sys.exit(3)
        return b"\0\2\0\1"
    if password == "half":
        os.write(1, right[:3])
        sys.exit(0)
    if password == "garbage":
        return b"true\n"
    if password == "more":
        return right + b"\0"
    if password == "slow":
        time.sleep(60)
    if password == "pieces":
        for each in b"\0\2\0\1":
            os.write(1, bytes([each]))
            time.sleep(0.01)
        return b""
    return right


def main() -> None:
    """Answer until the input ends."""
    log = sys.argv[1]
    while head := sys.stdin.buffer.read(2):
        data = sys.stdin.buffer.read(struct.unpack(">H", head)[0])
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {data.decode()!r}\n")
        os.write(1, answer(data, log))


if __name__ == "__main__":
    main()
