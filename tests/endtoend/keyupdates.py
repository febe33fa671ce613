# Copyright (c) The muccore authors. See LICENSE for details.
"""
A client that updates the keys of TLS 1.3 without end (RFC 8446 §4.6.3): C{python -m tests.endtoend.keyupdates PORT
SECONDS REQUESTING}. Neither Python's C{ssl} nor pyOpenSSL can do that, so it calls OpenSSL.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import select
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from tests.endtoend.crowd import HEADER

SIZE: Final = 27
"""Bytes of the record of an update (RFC 8446 §4.6.3 and §5.2)."""

_WANT_READ: Final = 2
_WANT_WRITE: Final = 3


def findLibrary() -> str | None:
    """The OpenSSL library of the system, if it has one."""
    return ctypes.util.find_library("ssl")


class KeyUpdater:
    """A client under direct TLS."""

    def __init__(self, port: int) -> None:
        name = findLibrary()
        assert name is not None
        self._lib: Any = ctypes.CDLL(name)
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(self._lib, function).restype = ctypes.c_void_p
        self._socket = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
        # What the kernel keeps of it is little.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        context = ctypes.c_void_p(self._lib.SSL_CTX_new(ctypes.c_void_p(self._lib.TLS_client_method())))
        self._ssl = ctypes.c_void_p(self._lib.SSL_new(context))
        self._lib.SSL_set_fd(self._ssl, self._socket.fileno())
        if self._lib.SSL_connect(self._ssl) != 1:
            raise ConnectionError

    def say(self, data: bytes, until: bytes) -> None:
        """Send something, and read until something has come."""
        self._lib.SSL_write(self._ssl, data, len(data))
        received, buffer = b"", ctypes.create_string_buffer(65536)
        while until not in received:
            got = self._lib.SSL_read(self._ssl, buffer, len(buffer))
            if got <= 0:
                raise ConnectionError(received)
            received += buffer.raw[:got]

    def logIn(self) -> None:
        """Log in and bind a resource."""
        self.say(HEADER, b"</stream:features>")
        credentials = b64encode(b"\0greedy\0x")
        mechanism = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
        self.say(mechanism + credentials + b"</auth>", b"<success")
        self.say(HEADER, b"</stream:features>")
        self.say(b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", b"<jid>")

    def update(self, seconds: float, requesting: bool) -> int:
        """
        Update the keys for some time, as fast as the server reads that; return how often.

        @param requesting: ask the server for updates, too.
        """
        self._socket.setblocking(False)
        buffer = ctypes.create_string_buffer(65536)
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            if self._lib.SSL_key_update(self._ssl, int(requesting)) != 1:
                raise ConnectionError
            while (result := self._lib.SSL_do_handshake(self._ssl)) != 1:
                self._wait(result, end)
                if time.monotonic() >= end:
                    return count
            count += 1
            got = self._lib.SSL_read(self._ssl, buffer, len(buffer))
            if got <= 0 and self._lib.SSL_get_error(self._ssl, got) not in (_WANT_READ, _WANT_WRITE):
                raise ConnectionError
        return count

    def _wait(self, result: int, end: float) -> None:
        if self._lib.SSL_get_error(self._ssl, result) != _WANT_WRITE:
            raise ConnectionError
        select.select((), (self._socket,), (), max(0.0, end - time.monotonic()))


def main(arguments: Sequence[str]) -> None:
    """Print how many updates there were, and in how many seconds."""
    port, seconds, requesting = arguments
    updater = KeyUpdater(int(port))
    updater.logIn()
    began = time.monotonic()
    count = updater.update(float(seconds), requesting == "yes")
    print(json.dumps([count, time.monotonic() - began]))


if __name__ == "__main__":
    main(sys.argv[1:])
