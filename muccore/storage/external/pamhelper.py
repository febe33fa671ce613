# -*- test-case-name: tests.storage.external.test_pam -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A program that asks PAM, which blocks, for C{pam:}. It speaks the protocol of L{muccore.storage.external.extauth}.

    python -I -m muccore.storage.external.pamhelper SERVICE
    python -I -m muccore.storage.external.pamhelper --connect PATH

The first answers by itself. The second passes everything on to a socket of the first, which may be another user's: many
modules of PAM need root. So it imports little, and nothing from the working folder.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys
from typing import Any, Final

from muccore.storage.external.answering import Unanswerable, serve

_SUCCESS: Final = 0
_CONV_ERR: Final = 19
_NEW_AUTHTOK_REQD: Final = 12
_ACCT_EXPIRED: Final = 13

_EXISTING: Final = frozenset((_SUCCESS, _NEW_AUTHTOK_REQD, _ACCT_EXPIRED))
"""What C{pam_acct_mgmt} returns for accounts that there are."""

_REFUSED: Final = frozenset((6, 7, 10, 11, _NEW_AUTHTOK_REQD, _ACCT_EXPIRED, 16, 27))
"""
What says no: permission denied, wrong password, no such user, too many attempts; a password, an account or credentials
that have expired. Anything else is an error.
"""

_PROMPT_ECHO_OFF: Final = 1
_ERROR_MSG: Final = 3
_TEXT_INFO: Final = 4
_DISALLOW_NULL_AUTHTOK: Final = 1
_FAIL_DELAY: Final = 10


class _Message(ctypes.Structure):
    """C{struct pam_message}."""

    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class _Response(ctypes.Structure):
    """C{struct pam_response}."""

    _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]


_Converse = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(_Message)), ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)  # fmt: skip
_Delay = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)


class _Conversation(ctypes.Structure):
    """C{struct pam_conv}."""

    _fields_ = [("converse", _Converse), ("data", ctypes.c_void_p)]


class PAM:
    """Asks PAM about the users of a service."""

    def __init__(self, service: str) -> None:
        self._service = service.encode("utf-8")
        ctypes.CDLL("libpam.so.0", mode=ctypes.RTLD_GLOBAL)
        # Of all that is loaded, so that functions can be replaced, as libpam-wrapper does.
        functions = ctypes.CDLL(None)
        functions.calloc.restype = functions.strdup.restype = ctypes.c_void_p
        functions.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        functions.strdup.argtypes = [ctypes.c_char_p]
        functions.pam_strerror.restype = ctypes.c_char_p
        functions.pam_start.argtypes = [
            ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(_Conversation), ctypes.POINTER(ctypes.c_void_p),
        ]  # fmt: skip
        functions.pam_set_item.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        for name in ("pam_authenticate", "pam_acct_mgmt", "pam_end", "pam_strerror"):
            getattr(functions, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._functions: Any = functions
        # The server delays guesses by itself; here a delay would keep others waiting.
        self._noDelay = _Delay(lambda status, microseconds, data: None)

    def check(self, user: str, domain: str, password: str) -> bool:
        """Whether a password is right, and the account may be used."""
        status = self._ask(user, password)
        if status != _SUCCESS and status not in _REFUSED:
            raise Unanswerable(self._describe(status))
        return status == _SUCCESS

    def exists(self, user: str, domain: str) -> bool:
        """Whether there is an account."""
        status = self._ask(user, None)
        if status not in _EXISTING and status not in _REFUSED:
            raise Unanswerable(self._describe(status))
        return status in _EXISTING

    def _describe(self, status: int) -> str:
        text: bytes = self._functions.pam_strerror(None, status)
        return text.decode("utf-8", "replace")

    def _ask(self, user: str, password: str | None) -> int:
        given = None if password is None else password.encode("utf-8")
        functions = self._functions
        asked: list[int] = []

        def converse(count: int, messages: Any, responses: Any, data: Any) -> int:
            made = functions.calloc(max(count, 1), ctypes.sizeof(_Response))
            for number in range(count):
                style = messages[number].contents.style
                if style in (_ERROR_MSG, _TEXT_INFO):
                    continue
                asked.append(style)
                if given is None or asked != [_PROMPT_ECHO_OFF]:
                    # Another question than that for the password, such as for a code.
                    return _CONV_ERR
                response = _Response.from_address(made + number * ctypes.sizeof(_Response))
                response.text = functions.strdup(given)
            responses[0] = made
            return _SUCCESS

        handle = ctypes.c_void_p()
        conversation = _Conversation(_Converse(converse), None)
        status: int = functions.pam_start(
            self._service, user.encode("utf-8"), ctypes.byref(conversation), ctypes.byref(handle)
        )
        if status != _SUCCESS:
            raise Unanswerable(f"it cannot be started ({status})")
        try:
            functions.pam_set_item(handle, _FAIL_DELAY, ctypes.cast(self._noDelay, ctypes.c_void_p))
            if given is not None:
                status = functions.pam_authenticate(handle, _DISALLOW_NULL_AUTHTOK)
            if status == _SUCCESS:
                status = functions.pam_acct_mgmt(handle, _DISALLOW_NULL_AUTHTOK)
            if asked not in ([], [_PROMPT_ECHO_OFF]):
                raise Unanswerable("it asks for more than a password")
            return status
        finally:
            functions.pam_end(handle, status)


def relay(path: str) -> None:
    """Pass standard input on to a socket, and what comes from there to standard output, until one of both ends."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        while True:
            ready, _, _ = select.select([0, connection.fileno()], [], [])
            for source in ready:
                data = os.read(source, 65536)
                if not data:
                    return
                if source == 0:
                    connection.sendall(data)
                else:
                    os.write(1, data)


def main(arguments: list[str]) -> str | None:
    """Run the program; return what it says at its end, if it is an error."""
    try:
        if arguments[:1] == ["--connect"] and len(arguments) == 2:
            relay(arguments[1])
        elif len(arguments) == 1:
            pam = PAM(arguments[0])
            serve(pam.check, pam.exists)
        else:
            return "pamhelper: needs the name of a PAM service, or --connect and a path"
    except OSError as e:
        return f"pamhelper: {e}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
