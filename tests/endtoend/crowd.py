# Copyright (c) The muccore authors. See LICENSE for details.
"""
Many clients as cheap processes, which say what they have seen as JSON: C{python -m tests.endtoend.crowd PORT KIND ...}.

They are no part of the test's process, which would otherwise be too busy to measure anything.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
ROOM = "crowd@conference.localhost"
_JOIN = f"<presence to='{ROOM}/%s'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
_LEAVE = f"<presence type='unavailable' to='{ROOM}/%s'/>"
_UNLOCK = (
    f"<iq type='set' id='unlock' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
    "<x xmlns='jabber:x:data' type='submit'/></query></iq>"
)
_MESSAGE = f"<message type='groupchat' to='{ROOM}'><body>x</body></message>"

BYSTANDER = "127.0.0.2"
"""The bystander's address."""

BYSTANDER_INTERVAL = 0.02
"""Seconds between two pings of the bystander."""


def join(nick: str) -> bytes:
    """A request to enter the room."""
    return (_JOIN % nick).encode()


def acts(kind: str, nick: str) -> bytes:
    """What an attacker sends again and again."""
    presence = f"<presence to='{ROOM}/{nick}'>"
    return {
        "messages": _MESSAGE.encode(),
        "presence": f"{presence}<show>away</show></presence>{presence}</presence>".encode(),
        "rejoin": (_LEAVE % nick).encode() + join(nick),
        "iq": b"<iq/>",
        "broadcast": b"<presence/>",
    }[kind]


def logIn(port: int, user: str, resource: str = "r", source: str = "127.0.0.1") -> socket.socket:
    """Connect from an address of the loopback network, log in and bind a resource."""
    connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))

    def say(data: bytes, until: bytes) -> None:
        connection.sendall(data)
        received = b""
        while until not in received:
            more = connection.recv(65536)
            if not more:
                raise ConnectionError(received)
            received += more

    say(HEADER, b"</stream:features>")
    credentials = b64encode(f"\0{user}\0x".encode())
    mechanism = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
    say(mechanism + credentials + b"</auth>", b"<success")
    say(HEADER, b"</stream:features>")
    bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>"
    say(f"<iq type='set' id='b'>{bind}</iq>".encode(), b"<jid>")
    return connection


class Crowd:
    """
    Clients that read whatever comes, and some that send without end.

    @ivar read: the bytes that were read.
    @ivar written: the bytes that attackers have written.
    @ivar ended: how many were disconnected.
    @ivar last: the end of what each connection has received.
    """

    def __init__(self) -> None:
        self.read = self.written = self.ended = 0
        self.last: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._sending: dict[socket.socket, tuple[bytes, bytes]] = {}

    def add(self, connection: socket.socket) -> None:
        """Add a client that reads."""
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)
        self.last[connection] = b""

    def attack(self, connection: socket.socket, act: bytes) -> None:
        """Let a client send C{act} again and again, as fast as the server takes it."""
        repeated = act * max(1, 16384 // len(act))
        self._sending[connection] = repeated, repeated
        self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Read and send for a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            for key, events in self._selector.select(min(left, 0.1)):
                connection: Any = key.fileobj
                try:
                    if events & selectors.EVENT_READ:
                        self._receive(connection)
                    if events & selectors.EVENT_WRITE:
                        self._send(connection)
                except OSError:
                    self._selector.unregister(connection)
                    self.ended += 1

    def _receive(self, connection: socket.socket) -> None:
        data = connection.recv(1 << 18)
        if not data:
            raise ConnectionError
        self.read += len(data)
        self.last[connection] = (self.last[connection] + data)[-4096:]

    def _send(self, connection: socket.socket) -> None:
        rest, repeated = self._sending[connection]
        try:
            sent = connection.send(rest)
        except BlockingIOError:
            return
        self.written += sent
        self._sending[connection] = rest[sent:] or repeated, repeated


def attack(port: int, kind: str, occupants: int, attackers: int, seconds: float) -> None:
    """Fill a room, say C{ready}, let some attack after a line of input, and print what happened."""
    crowd = Crowd()
    inside: list[socket.socket] = []
    for number in range(max(1, occupants)):
        connection = logIn(port, f"user{number}")
        if occupants:
            connection.sendall(join(f"user{number}") + (_UNLOCK.encode() if not number else b""))
        crowd.add(connection)
        inside.append(connection)
        crowd.run(5, lambda connection=connection: not occupants or b"<subject" in crowd.last[connection])
    if not occupants:
        for number in range(1, attackers):
            inside.append(logIn(port, "user0", f"r{number}"))
            crowd.add(inside[-1])
    crowd.run(1)
    crowd.read = 0
    print("ready", flush=True)
    sys.stdin.readline()
    for number, connection in enumerate(inside[-attackers:], len(inside) - attackers):
        crowd.attack(connection, acts(kind, f"user{number}"))
    crowd.run(seconds)
    print(json.dumps({"read": crowd.read, "written": crowd.written, "ended": crowd.ended}), flush=True)


def ping(port: int, seconds: float) -> None:
    """Ping the server all the while, and print the sorted times in milliseconds."""
    connection = logIn(port, "bystander", source=BYSTANDER)
    end = time.monotonic() + seconds
    times = []
    while time.monotonic() < end:
        began = time.monotonic()
        connection.sendall(b"<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        received = b""
        while b"id='p'" not in received:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError
            received += data
        took = time.monotonic() - began
        times.append(round(took * 1000, 2))
        time.sleep(max(0.0, BYSTANDER_INTERVAL - took))
    print(json.dumps(sorted(times)), flush=True)


def main(arguments: Iterable[str]) -> None:
    """C{PORT ping SECONDS}, or C{PORT KIND OCCUPANTS ATTACKERS SECONDS}."""
    port, kind, *numbers = arguments
    if kind == "ping":
        ping(int(port), float(numbers[0]))
    else:
        attack(int(port), kind, int(numbers[0]), int(numbers[1]), float(numbers[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
