# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Counts what one occupant of a room receives.

This is no XML parser: it knows what a server sends to these clients, who never say anything but what is written in
L{benchmarks.client}. So counting costs little beside what is measured on the same machine.
"""

from __future__ import annotations

import re
from typing import Final

from benchmarks.failure import BenchmarkFailed

_ENDS: Final = (b"</presence>", b"</message>", b"</iq>")
_EMPTY: Final = re.compile(rb"\s*<(?:presence|message|iq)\b[^<>]*/>")
_BODY: Final = re.compile(rb"<body>b:(\d+):(\d+);")
_ERROR: Final = re.compile(rb"""<(?:stream:error|(?:presence|message|iq)\b[^<>]* type=(?:'error'|"error"))""")
_ANSWER: Final = re.compile(rb"""<iq\b[^<>]* type=(?:'result'|"result")""")

_SHOWN: Final = 300


def body(sender: int, sequence: int, size: int) -> bytes:
    """
    What a message of the load says, so that it is known again: who says it, and his how manieth it is, from 0.

    @param size: how many further characters it has.
    """
    return b"b:%d:%d;%s" % (sender, sequence, b"x" * size)


def wholeStanzas(data: bytes) -> int:
    """
    How much of what was received is whole stanzas, in bytes.

    @param data: begins where a stanza begins.
    """
    end = max((at + len(tag) for tag in _ENDS if (at := data.rfind(tag)) >= 0), default=0)
    while (empty := _EMPTY.match(data, end)) is not None:
        end = empty.end()
    return end


class Tally:
    """
    What one occupant has received.

    @ivar presences: how many, since L{restart}.
    @ivar messages: how many of the load's own, since L{restart}.
    @ivar answers: how many results of requests, since L{restart}.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.restart()

    def restart(self) -> None:
        """Begin at zero: all counts, and the order of every sender."""
        self.presences = self.messages = self.answers = 0
        self._next: dict[int, int] = {}

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """
        Take what has come.

        @return: sender and sequence number of each message that is now whole.
        @raise BenchmarkFailed: for an error of any kind, for a message that came twice and for one that came before
            its turn.
        """
        data = self._rest + data
        end = wholeStanzas(data)
        self._rest = data[end:]
        if (error := _ERROR.search(data)) is not None:
            raise BenchmarkFailed(f"an error came: {excerpt(data[error.start() :])}")
        if not end:
            return []
        whole = data[:end]
        self.presences += whole.count(b"</presence>")
        if b"<iq" in whole:
            self.answers += len(_ANSWER.findall(whole))
        found = [(int(sender), int(sequence)) for sender, sequence in _BODY.findall(whole)]
        expected = self._next
        for sender, sequence in found:
            if sequence != expected.get(sender, 0):
                raise BenchmarkFailed(
                    f"of sender {sender}, message {sequence} came instead of {expected.get(sender, 0)}"
                )
            expected[sender] = sequence + 1
        self.messages += len(found)
        return found


def excerpt(data: bytes) -> str:
    """The beginning of what was received, to be shown."""
    return data[:_SHOWN].decode("utf-8", "replace")


__all__ = ["Tally", "body", "excerpt", "wholeStanzas"]
