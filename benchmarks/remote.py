# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
CPU time of a room whose occupants are users of another server: C{python -m benchmarks.remote}.

The other server is played here: it opens one stream for both directions (XEP-0288), proves itself by dialback, and lets
its users enter a room, of whom one sends messages. Every delivery is counted.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.client import ROOMS
from benchmarks.command import positiveNumber
from benchmarks.failure import BenchmarkFailed
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server

PEER: Final = "peer.test"
"""The domain of the other server."""

_ROOM: Final = f"remote@{ROOMS}"
_PRINTED: Final = "{:>8}{:>12}{:>14}"
_SIZE: Final = 256 * 1024


def _header(more: str = "") -> bytes:
    """The header of a stream from the other server."""
    return (
        f"<stream:stream from='{PEER}' to='{ROOMS}'{more} version='1.0' xmlns='jabber:server' "
        "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()


class Peer:
    """The other server, inside C{with}."""

    def __init__(self, listening: socket.socket, timeout: float) -> None:
        """
        @param listening: where it is asked about its keys.
        @param timeout: seconds for each phase.
        """
        self._listening = listening
        self._timeout = timeout
        self._socket = socket.socket()
        self._data = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def connect(self, address: tuple[str, int]) -> None:
        """Connect, and be authenticated for the domain of the rooms."""
        self._listening.settimeout(self._timeout)
        end = time.monotonic() + self._timeout
        while self._socket.connect_ex(address):
            # It listens for clients first.
            if time.monotonic() > end:
                raise BenchmarkFailed("the server does not listen for other servers")
            self._socket.close()
            time.sleep(0.05)
            self._socket = socket.socket()
        self._socket.settimeout(self._timeout)
        result = f"<db:result from='{PEER}' to='{ROOMS}'>key</db:result>"
        self._socket.sendall(_header() + b"<bidi xmlns='urn:xmpp:bidi'/>" + result.encode())
        with self._listening.accept()[0] as asked:
            asked.settimeout(self._timeout)
            self._await(asked, b">")
            asked.sendall(_header(" id='1'") + b"<stream:features/>")
            question = self._await(asked, b"</db:verify>").decode()
            id = question.partition("<db:verify ")[2].partition(" id='")[2].partition("'")[0]
            asked.sendall(f"<db:verify from='{PEER}' to='{ROOMS}' id='{id}' type='valid'/>".encode())
            self._await(self._socket, b"type='valid'/>")

    @staticmethod
    def _await(connection: socket.socket, end: bytes) -> bytes:
        data = b""
        while end not in data:
            received = connection.recv(_SIZE)
            if not received:
                raise BenchmarkFailed(f"the server has closed the stream: {data[-300:].decode(errors='replace')}")
            data += received
        return data

    def _count(self, what: bytes, wanted: int) -> int:
        """Read until so many of something have come; return the number."""
        end, count, last = time.monotonic() + self._timeout, 0, b""
        while count < wanted:
            if time.monotonic() > end:
                raise BenchmarkFailed(f"{wanted - count} of {wanted} {what.decode()}> are missing")
            received = self._socket.recv(_SIZE)
            if not received or b"<stream:error" in received or b" type='error'" in received:
                raise BenchmarkFailed(f"the server has refused something: {received[-300:].decode(errors='replace')}")
            data = last + received
            count += data.count(what)
            last = data[-len(what) + 1 :]
        return count

    def enter(self, users: int) -> int:
        """Let users enter the room, one after the other; return the presences that are delivered."""
        for number in range(users):
            self._socket.sendall(
                f"<presence from='u{number}@{PEER}/r' to='{_ROOM}/n{number}'>"
                "<x xmlns='http://jabber.org/protocol/muc'/></presence>".encode()
            )
            if not number:
                self._count(b"<presence ", 1)
                self._socket.sendall(
                    f"<iq type='set' id='c' from='u0@{PEER}/r' to='{_ROOM}'>"
                    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/>"
                    "</query></iq>".encode()
                )
                self._count(b"<iq ", 1)
            else:
                # The others, and all are told.
                self._count(b"<presence ", 2 * number + 1)
        return users * users

    def write(self, users: int, messages: int) -> int:
        """Let one of them write; return the messages that are delivered."""
        body = "x" * 100
        for number in range(messages):
            self._socket.sendall(
                f"<message type='groupchat' id='{number}' from='u0@{PEER}/r' to='{_ROOM}'><body>{body}</body></message>"
                .encode()
            )  # fmt: skip
            self._count(b"<body>", users)
        return users * messages


def measure(users: int, messages: int, timeout: float) -> tuple[float, float]:
    """
    Measure one server.

    @return: microseconds per presence that is delivered while they enter, and per message.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        equipment = Equipment(True, False, "memory", users, peer=(PEER, listening.getsockname()[1]))
        with Server(equipment) as server, Peer(listening, timeout) as peer:
            meter = Meter(server.pid)
            peer.connect(server.peerAddress)
            before = meter.cpu()
            entered = peer.enter(users)
            between = meter.cpu()
            written = peer.write(users, messages)
            after = meter.cpu()
            server.checkLog()
    return (between - before) / entered * 1e6, (after - between) / written * 1e6


def main(argv: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the command; return the exit status: 1 if the server failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remote", description=__doc__)
    parser.add_argument("--users", type=positiveNumber, default=300, help="occupants from elsewhere (300)")
    parser.add_argument("--messages", type=positiveNumber, default=200, help="messages of one of them (200)")
    parser.add_argument("--timeout", type=positiveNumber, default=120, help="seconds for each phase (120)")
    chosen = parser.parse_args(argv)
    write(_PRINTED.format("users", "join µs", "message µs") + "\n")
    try:
        join, message = measure(chosen.users, chosen.messages, chosen.timeout)
    except (BenchmarkFailed, OSError) as e:
        print(f"benchmarks: {e}", file=sys.stderr)
        return 1
    write(_PRINTED.format(chosen.users, f"{join:.2f}", f"{message:.2f}") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
