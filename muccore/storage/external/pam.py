# -*- test-case-name: tests.storage.external.test_pam -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{pam:}, accounts that PAM knows, by processes of L{muccore.storage.external.pamhelper}."""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external.options import StoreOption, integer, parseDescription, path, seconds
from muccore.storage.external.program import ProgramAuth, helper

SERVICES: Final = ("/etc/pam.d", "/usr/lib/pam.d")
"""Where the services of PAM are configured."""

_SERVICE: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")

_OPTIONS: Final = (
    StoreOption("processes", integer(1, 64), 4),
    StoreOption("timeout", seconds(0.1, 60), 10.0),
    StoreOption("socket", path, None),
)


class PAMAuth(ProgramAuth):
    """Asks PAM, or a socket behind which it is asked."""

    def __init__(self, service: str, options: Any, reactor: Any) -> None:
        """
        @param service: the name of the PAM service.
        @param options: the values of the options.
        """
        self._service = service
        self._socket: FilePath[str] | None = options["socket"]
        target = [service] if self._socket is None else ["--connect", self._socket.path]
        super().__init__([*helper("pamhelper"), *target], options, reactor, f"pam:{service}", True)

    def probe(self) -> None:
        """Check that the service is configured, or the socket there."""
        super().probe()
        if self._socket is not None:
            try:
                isSocket = stat.S_ISSOCK(os.stat(self._socket.path).st_mode)
            except OSError:
                isSocket = False
            if not isSocket:
                raise StoreUnavailable(f"{self._socket.path}: there is no such socket; start the unit that provides it")
        elif "PAM_WRAPPER" not in os.environ and not any(
            os.path.isfile(os.path.join(folder, self._service)) for folder in SERVICES
        ):
            raise StoreUnavailable(f"there is no PAM service {self._service}; write {SERVICES[0]}/{self._service}")


def makePAMAuth(argument: str, base: FilePath[str], reactor: Any) -> PAMAuth:
    """Make the backend for a description (L{muccore.storage.factory.StoreFactory})."""
    place, options = parseDescription("pam", argument, base, _OPTIONS)
    if _SERVICE.fullmatch(place) is None:
        raise BadDescription("pam: needs the name of a PAM service, as in pam:xmpp")
    return PAMAuth(place, options, reactor)
