# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Counting what one occupant of a room receives.

This is not an XML parser: it knows what a server sends to clients that send only what L{benchmarks.client} does. So
counting costs little CPU time on the machine that is measured.
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

_REQUEST: Final = b"<r xmlns='urn:xmpp:sm:3'/>"

_SHOWN: Final = 300


def body(sender: int, sequence: int, size: int) -> bytes:
    """Return a message's body: its sender, its sequence number from 0, and C{size} further characters."""
    return b"b:%d:%d;%s" % (sender, sequence, b"x" * size)


def wholeStanzas(data: bytes) -> int:
    """Return how many bytes of C{data}, which starts with a stanza, are whole stanzas."""
    end = max((at + len(tag) for tag in _ENDS if (at := data.rfind(tag)) >= 0), default=0)
    while (empty := _EMPTY.match(data, end)) is not None:
        end = empty.end()
    return end


class Tally:
    """
    The counts of one occupant since L{restart}.

    @ivar messages: those of the load only.
    @ivar answers: results of requests.
    @ivar handled: the stanzas received, which L{restart} does not reset.
    @ivar requested: whether the server has requested an acknowledgement (XEP-0198).
    """

    def __init__(self) -> None:
        self._rest = b""
        self.handled = 0
        self.requested = False
        self.restart()

    def restart(self) -> None:
        """Reset the counts and the sequence numbers."""
        self.presences = self.messages = self.answers = 0
        self._next: dict[int, int] = {}

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """
        Count what has arrived.

        @return: sender and sequence number of each message that is now whole.
        @raise BenchmarkFailed: for an error stanza, a stream error, and a duplicate, missing or early message.
        """
        data = self._rest + data
        if _REQUEST in data:
            self.requested = True
            data = data.replace(_REQUEST, b"")
        end = wholeStanzas(data)
        self._rest = data[end:]
        if (error := _ERROR.search(data)) is not None:
            raise BenchmarkFailed(f"received an error: {excerpt(data[error.start() :])}")
        if not end:
            return []
        whole = data[:end]
        self.handled += sum(map(whole.count, _ENDS))
        self.presences += whole.count(b"</presence>")
        if b"<iq" in whole:
            self.answers += len(_ANSWER.findall(whole))
        found = [(int(sender), int(sequence)) for sender, sequence in _BODY.findall(whole)]
        expected = self._next
        for sender, sequence in found:
            if sequence != expected.get(sender, 0):
                raise BenchmarkFailed(
                    f"of sender {sender}, message {sequence} arrived instead of {expected.get(sender, 0)}"
                )
            expected[sender] = sequence + 1
        self.messages += len(found)
        return found


def excerpt(data: bytes) -> str:
    """Return the beginning of the data, for an error message."""
    return data[:_SHOWN].decode("utf-8", "replace")
