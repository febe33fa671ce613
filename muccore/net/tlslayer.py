# -*- test-case-name: tests.net.test_tlslayer,tests.net.test_transport -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The TLS layer of a connection: Twisted's, with shorter ways for what happens all the time.

Theory of operation. Once the handshake is over, nearly all input is whole records, and nearly all output can be
encrypted at once. Both are done here by calling OpenSSL directly. Whenever anything else happens - a handshake, a
record of which a part is missing, an alert, a closure, an error - the inherited method repeats the call of OpenSSL that
failed, and handles what it finds; OpenSSL gives the same answer again. See docs/design/0018-tls-layer.md.

Private parts of others in use: C{SSL._lib} and C{SSL._ffi} of pyOpenSSL (which are C{cryptography}'s bindings), and of
its connections C{_ssl}, C{_into_ssl} and C{_from_ssl}; of L{TLSMemoryBIOProtocol} C{_tlsConnection}, C{_handshakeDone},
C{_lostTLSConnection}, C{_aborted}, C{_appSendBuffer}, C{_write} and the methods that flush the BIOs.
"""

from __future__ import annotations

from typing import Any, Final, cast

from OpenSSL import SSL
from twisted.internet.interfaces import ITransport
from twisted.protocols.tls import TLSMemoryBIOProtocol

_OpenSSL: Any = SSL
_lib: Final = _OpenSSL._lib
_ffi: Final = _OpenSSL._ffi

_RECORD: Final = 16 * 1024
"""The most that one record holds, in bytes (RFC 8446 §5.1)."""

_KEPT: Final = 4 * 1024
"""Bytes at once up to which a connection keeps the memory that OpenSSL took to buffer them: otherwise each one keeps
what its largest broadcast or the largest burst of its client has taken."""

# One for all: it is emptied before anything else can use it.
_SIZE: Final = 64 * 1024
_buffer: Final = _ffi.new("char[]", _SIZE)
_view: Final = _ffi.buffer(_buffer)

_newBIO: Final = _lib.BIO_new
_memoryMethod: Final = _lib.BIO_s_mem()
_readBIO: Final = _lib.BIO_read
_writeBIO: Final = _lib.BIO_write
_waiting: Final = _lib.BIO_get_mem_data
_read: Final = _lib.SSL_read
_write: Final = _lib.SSL_write
_setBIOs: Final = _lib.SSL_set_bio
_NULL: Final = _ffi.NULL


class TLSLayer(TLSMemoryBIOProtocol):
    """TLS between a connection and its protocol."""

    def dataReceived(self, bytes: bytes) -> None:
        """Decrypt what was received, and pass it on."""
        if not self._handshakeDone or self._appSendBuffer or self._lostTLSConnection:
            super().dataReceived(bytes)  # type: ignore[no-untyped-call]
            return
        connection = self._tlsConnection
        ssl, into = connection._ssl, connection._into_ssl
        size = len(bytes)
        if _writeBIO(into, bytes, size) != size:
            raise MemoryError
        received = self.wrappedProtocol.dataReceived
        while True:
            got = _read(ssl, _buffer, _SIZE)
            if got <= 0:
                self._flushReceiveBIO()  # type: ignore[no-untyped-call]
                return
            if not self._aborted:
                # Not kept in a local variable: the protocol may have been replaced.
                received(_view[:got])
                received = self.wrappedProtocol.dataReceived
            if self._lostTLSConnection or not _waiting(into, _NULL):
                break
        if _waiting(connection._from_ssl, _NULL):
            # What OpenSSL answers, such as an update of its keys.
            self._flushSendBIO()  # type: ignore[no-untyped-call]
        if size > _KEPT:
            _renewBIOs(connection)

    def encrypt(self, data: bytes) -> bytes | None:
        """
        Encrypt what is to be sent.

        @return: the records; C{None} if that is impossible now, and C{write} has to take the data.
        """
        if not self._handshakeDone or self.disconnecting or self._appSendBuffer or self._lostTLSConnection:
            return None
        connection = self._tlsConnection
        ssl, fromSSL = connection._ssl, connection._from_ssl
        size = len(data)
        if size <= _RECORD:
            if _write(ssl, data, size) != size:
                return None
            records = _takeRecords(fromSSL)
        else:
            records = self._encryptLarge(ssl, fromSSL, data)
        if size > _KEPT:
            _renewBIOs(connection)
        return records

    def _encryptLarge(self, ssl: Any, fromSSL: Any, data: bytes) -> bytes:
        records: list[bytes] = []
        start = _ffi.from_buffer(data)
        for offset in range(0, len(data), _RECORD):
            size = min(_RECORD, len(data) - offset)
            if _write(ssl, start + offset, size) != size:
                # The inherited method finds the error, or keeps the rest.
                cast(ITransport, self.transport).write(b"".join(records))
                self._write(data[offset:])  # type: ignore[no-untyped-call]
                return b""
            records.append(_takeRecords(fromSSL))
        return b"".join(records)


def _takeRecords(fromSSL: Any) -> bytes:
    """Empty a BIO, which holds less than L{_SIZE}."""
    got = _readBIO(fromSSL, _buffer, _SIZE)
    # With nothing in it, the result is negative: as the end of a slice, that would be almost the whole buffer.
    records: bytes = _view[:got] if got > 0 else b""
    return records


def _renewBIOs(connection: Any) -> None:
    """Free the memory of the BIOs of a connection, unless something is in them."""
    if connection._ssl == _NULL or _waiting(connection._into_ssl, _NULL) or _waiting(connection._from_ssl, _NULL):
        return
    into, fromSSL = _newBIO(_memoryMethod), _newBIO(_memoryMethod)
    if into == _NULL or fromSSL == _NULL:
        raise MemoryError
    # Frees the old ones.
    _setBIOs(connection._ssl, into, fromSSL)
    connection._into_ssl, connection._from_ssl = into, fromSSL
