# -*- test-case-name: tests.net.test_tlslayer,tests.net.test_transport -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The TLS layer of a connection: Twisted's, with shorter ways for what happens all the time.

Theory of operation. Nearly all input is whole records, nearly all output can be encrypted at once, and a handshake
waits for the peer until it is done. That is done here by calling OpenSSL directly. Whenever anything else happens - an
alert, a closure, an error - the inherited method repeats the call of OpenSSL that failed, and handles what it finds;
OpenSSL gives the same answer again. See docs/design/0021-tls-layer.md.

Private parts of others in use: C{SSL._lib} and C{SSL._ffi} of pyOpenSSL (which are C{cryptography}'s bindings), and of
its connections C{_ssl}, C{_into_ssl} and C{_from_ssl}; of L{TLSMemoryBIOProtocol} C{_tlsConnection}, C{_handshakeDone},
C{_lostTLSConnection}, C{_reason}, C{_aborted}, C{_connectWrapped}, C{_appSendBuffer}, C{_write},
C{_checkHandshakeStatus}, C{_unbufferPendingWrites} and the methods that flush the BIOs; of its factory
C{_creatorCallable}.
"""

from __future__ import annotations

from typing import Any, Final, cast

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

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
_handshake: Final = _lib.SSL_do_handshake
_error: Final = _lib.SSL_get_error
_WANT_READ: Final = _lib.SSL_ERROR_WANT_READ
_read: Final = _lib.SSL_read
_write: Final = _lib.SSL_write
_setBIOs: Final = _lib.SSL_set_bio
_NULL: Final = _ffi.NULL


class TLSLayer(TLSMemoryBIOProtocol):
    """TLS between a connection and its protocol."""

    def makeConnection(self, transport: ITransport) -> None:
        """Begin the handshake. A protocol that is connected already learns nothing of it, nor of the transport."""
        if self._connectWrapped:
            super().makeConnection(transport)  # type: ignore[no-untyped-call]
            return
        # The inherited method lets this object provide the interfaces of the transport, for nobody.
        self._tlsConnection = self.factory._creatorCallable(self)
        self._appSendBuffer: list[bytes] = []
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        self._checkHandshakeStatus()

    def dataReceived(self, bytes: bytes) -> None:
        """Decrypt what was received, and pass it on."""
        if self._lostTLSConnection:
            super().dataReceived(bytes)  # type: ignore[no-untyped-call]
            return
        connection = self._tlsConnection
        ssl, into = connection._ssl, connection._into_ssl
        size = len(bytes)
        if _writeBIO(into, bytes, size) != size:
            raise MemoryError
        if not self._handshakeDone:
            self._checkHandshakeStatus()
            if not self._handshakeDone:
                return
        if self._appSendBuffer:
            self._unbufferPendingWrites()  # type: ignore[no-untyped-call]
        while not self._lostTLSConnection:
            got = _read(ssl, _buffer, _SIZE)
            if got <= 0:
                if _error(ssl, got) == _WANT_READ:
                    break
                self._flushReceiveBIO()  # type: ignore[no-untyped-call]
                return
            if not self._aborted:
                self.wrappedProtocol.dataReceived(_view[:got])
            # Not the BIO from above: what the protocol has sent may have renewed it, and freed that one.
            if not _waiting(connection._into_ssl, _NULL):
                break
        if _waiting(connection._from_ssl, _NULL):
            # What OpenSSL answers, such as tickets, or an update of its keys.
            self._flushSendBIO()
        if size > _KEPT:
            _renewBIOs(connection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol. The end of a connection that was not closed by TLS is L{ConnectionLost}."""
        if self._handshakeDone and not self._lostTLSConnection:
            # Everything that came is decrypted. The inherited method learns that by an exception, whose traceback
            # keeps this object and what belongs to it until the garbage collector runs.
            self._lostTLSConnection = True
            self._reason: Failure | None = self._reason or Failure(ConnectionLost())
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _checkHandshakeStatus(self) -> None:
        if self._aborted:
            return
        ssl = self._tlsConnection._ssl
        result = _handshake(ssl)
        if result == 1:
            self._handshakeDone = True
            if IHandshakeListener.providedBy(self.wrappedProtocol):
                self.wrappedProtocol.handshakeCompleted()
        elif _error(ssl, result) == _WANT_READ:
            self._flushSendBIO()
        else:
            super()._checkHandshakeStatus()  # type: ignore[no-untyped-call]

    def _flushSendBIO(self) -> None:
        fromSSL = self._tlsConnection._from_ssl
        while records := _takeRecords(fromSSL):
            cast(ITransport, self.transport).write(records)
            if len(records) < _SIZE:
                break

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
    """Take up to L{_SIZE} bytes from a BIO."""
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
