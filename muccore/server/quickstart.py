# -*- test-case-name: tests.server.test_quickstart -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{python -m muccore.server.quickstart FILE}: what somebody who tries the server needs before it starts, for C{make
serve}.

A certificate is written where the configuration says that one is and none is; then it is said what will be served, and
how the first account is made. A server that is run in earnest has a certificate of its own and does not need this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from socket import AF_INET6

from muccore.config.endpoints import socketAddress
from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.net.selfsigned import selfSigned
from muccore.server.preflight import usesTLS


def createCertificate(settings: Settings) -> str | None:
    """
    Write a certificate and its key if both are configured and neither is there.

    @return: what has been written, in one line.
    @raise ConfigError: if it cannot be written, or one of the two is there alone.
    """
    certificate, key = settings.tls.certificate, settings.tls.privateKey
    if not usesTLS(settings) or certificate is None or key is None:
        return None
    there = [os.path.lexists(file.path) for file in (certificate, key)]
    if all(there):
        return None
    if any(there):
        name, missing, found = ("private_key", key, certificate) if there[0] else ("certificate", certificate, key)
        text = f"{missing.path} is missing; put it there, or take {found.path} away, then both are made anew"
        raise ConfigError([settings.problem("tls", name, text)])
    try:
        for file in (certificate, key):
            os.makedirs(file.parent().path, mode=0o700, exist_ok=True)
        selfSigned([settings.server.domain, settings.muc.domain], certificate.path, key.path)
    except OSError as e:
        text = f"{e.filename} cannot be written: {e.strerror}; make its folder, or name another"
        raise ConfigError([settings.problem("tls", "certificate", text)]) from None
    return f"Wrote {_short(certificate.path)}, a certificate that signs itself: clients will ask whether to trust it."


def describe(settings: Settings) -> Iterator[str]:
    """What the server will serve, and what to do first, in lines."""
    yield f"muccore serves {settings.server.domain}, with rooms at {settings.muc.domain}:"
    starttls = "no TLS" if settings.c2s.tls == "off" else f"STARTTLS {settings.c2s.tls}"
    for endpoint in settings.c2s.listen:
        yield f"  {_place(endpoint)}  {starttls}"
    for endpoint in settings.c2s.directTlsListen:
        yield f"  {_place(endpoint)}  direct TLS"
    yield f"Accounts are in {settings.auth.backend}, rooms in {settings.storage.affiliations};"
    yield f"relative paths start at {_short(settings.base.path)}/."
    command = _short(os.path.join(os.path.dirname(sys.executable), "muccorectl"))
    yield "Make the first account, in another terminal:"
    yield f"  {command} -c {_short(os.path.abspath(settings.path))} adduser romeo"
    yield f"then log in as romeo@{settings.server.domain} and enter lobby@{settings.muc.domain}."
    yield "Ctrl-C ends the server."


def _place(endpoint: str) -> str:
    address = socketAddress(endpoint)
    if address is None:
        return endpoint
    family, interface, port = address
    if family == AF_INET6:
        return f"[{interface or '::'}]:{port}"
    return f"{interface or '0.0.0.0'}:{port}"


def _short(path: str) -> str:
    """A path as seen from here, where that is shorter."""
    return min(path, os.path.relpath(path), key=len)


def main(argv: Sequence[str]) -> int:
    """
    The command.

    @return: the exit status.
    """
    if len(argv) != 1:
        print("usage: python -m muccore.server.quickstart FILE", file=sys.stderr)
        return 2
    try:
        settings = load(argv[0])
        written = createCertificate(settings)
    except ConfigError as e:
        print(e, file=sys.stderr)
        return 1
    if written is not None:
        print(written)
    print("\n".join(describe(settings)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
