# -*- test-case-name: tests.storage.external.test_pam -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The other side of L{muccore.storage.external.extauth}, for muccore's own programs, which block.

They may also answer that they cannot tell: with a length, the number 2, and the reason in UTF-8.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

REASON_LIMIT: Final = 200
"""Bytes of a reason."""


class Unanswerable(Exception):
    """Neither yes nor no can be said; C{str()} says why."""


def answer(data: bytes, check: Callable[[str, str, str], bool], exists: Callable[[str, str], bool]) -> bytes:
    """
    Answer a request.

    @param check: whether a password is right, of a user on a domain. It is not empty.
    @param exists: whether there is a user on a domain.
    @return: the answer with its length.
    """
    operation, user, domain, *password = data.decode("utf-8").split(":", 3)
    try:
        if operation == "auth":
            yes = bool(password and password[0]) and check(user, domain, password[0])
        else:
            yes = operation == "isuser" and exists(user, domain)
    except Unanswerable as e:
        reason = " ".join(str(e).split()).encode("utf-8")[:REASON_LIMIT]
        return (2 + len(reason)).to_bytes(2, "big") + b"\0\2" + reason
    return bytes((0, 2, 0, yes))


def serve(check: Callable[[str, str, str], bool], exists: Callable[[str, str], bool]) -> None:
    """Answer on standard output what is asked on standard input, to its end."""
    while len(head := sys.stdin.buffer.read(2)) == 2:
        os.write(1, answer(sys.stdin.buffer.read(int.from_bytes(head, "big")), check, exists))
