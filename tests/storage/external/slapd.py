# Copyright (c) The muccore authors. See LICENSE for details.
"""A directory for tests: OpenLDAP's C{slapd} on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from importlib.util import find_spec
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.certificates import makeCertificate

_SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/local/libexec")
_ADD = shutil.which("slapadd", path="/usr/sbin:/usr/local/sbin")
_SCHEMA = "/etc/ldap/schema"

if find_spec("ldap") is None:
    SKIP: str | None = "python-ldap is not installed (muccore[ldap])"
elif _SLAPD is None or _ADD is None or not os.path.isdir(_SCHEMA):
    SKIP = "Debian's package slapd is not installed"
else:
    SKIP = None

BASE = "ou=people,dc=example,dc=org"
ADMIN, ADMIN_PASSWORD = "cn=reader,dc=example,dc=org", "s3cret"
PASSWORDS = {"juliet": "r0m30:&", "romeo": "jül1et", "o(d*d,na=me": "x", "twice": "x"}

_CONFIGURATION = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSCACertificateFile {certificate}
# What RFC 4513 §5.1.2 warns of.
allow bind_anon_cred bind_anon_dn
database mdb
maxsize 10485760
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{base}" by dn.exact="{admin}" read by anonymous auth by * none
access to * by * read
"""


def _entries() -> str:
    lines = [
        "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n",
        f"dn: {BASE}\nobjectClass: organizationalUnit\nou: people\n",
        f"dn: {ADMIN}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {ADMIN_PASSWORD}\n",
        f"dn: uid=nopassword,{BASE}\nobjectClass: inetOrgPerson\nuid: nopassword\ncn: n\nsn: n\n",
        f"dn: cn=second,{BASE}\nobjectClass: inetOrgPerson\ncn: second\nsn: s\nuid: twice\n",
    ]
    for user, password in PASSWORDS.items():
        escaped = user.replace(",", "\\,").replace("=", "\\=")
        lines.append(
            f"dn: uid={escaped},{BASE}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\nsn: {user}\n"
            f"userPassword: {password}\n"
        )
    return "\n".join(lines)


class Slapd:
    """
    A directory with users.

    @ivar port: of LDAP, and StartTLS.
    @ivar tlsPort: of LDAPS.
    @ivar certificate: the path of its certificate, for C{127.0.0.1}. For C{localhost}, libldap would take the name of
        the machine.
    """

    def __init__(self, test: TestCase) -> None:
        """@param test: it ends with it."""
        folder = os.path.abspath(test.mktemp())
        os.makedirs(os.path.join(folder, "db"))
        self.certificate, key = makeCertificate(folder, ["127.0.0.1"])
        self._configuration = os.path.join(folder, "slapd.conf")
        with open(self._configuration, "w") as file:
            file.write(
                _CONFIGURATION.format(
                    schema=_SCHEMA, folder=folder, certificate=self.certificate, key=key, base=BASE, admin=ADMIN
                )
            )
        assert _SLAPD is not None and _ADD is not None
        subprocess.run([_ADD, "-f", self._configuration], input=_entries().encode(), check=True, capture_output=True)
        self.port, self.tlsPort = _freePorts()
        self._process: subprocess.Popen[bytes] | None = None
        test.addCleanup(self.stop)

    async def start(self) -> None:
        """Start it, on the same ports as before."""
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tlsPort}"
        assert _SLAPD is not None
        command = [_SLAPD, "-d", "0", "-f", self._configuration, "-h", urls]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while True:
            try:
                for port in (self.port, self.tlsPort):
                    socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert self._process.poll() is None, "slapd has ended"
                await deferLater(reactor, 0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()


def _freePorts() -> Any:
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
