# Copyright (c) The muccore authors. See LICENSE for details.
"""A Prosody of the test's own, with its data, ports and names; the packaged one is not touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.endtoend.serverprocess import TIMEOUT, LoggedProcess

PROGRAM = shutil.which("prosody")

MISSING = None if PROGRAM is not None else "no prosody here (Debian's package prosody)"
"""Why tests with Prosody are skipped; C{None} where it is installed."""

_CONFIGURATION = """
run_as_root = true
daemonize = false
pidfile = "{folder}/pid"
data_path = "{folder}/data"
plugin_paths = {{ "{folder}" }}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "names"{more} }}
modules_disabled = {{ "offline" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {client} }}
s2s_ports = {{ {server} }}
http_ports = {{ }}
https_ports = {{ }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
s2s_require_encryption = true
s2s_secure_auth = {secure}
ssl = {{ certificate = "{certificate}"; key = "{key}"; cafile = "{authority}" }}
log = {{ info = "*console" }}
test_names = {{ {names} }}
VirtualHost "{domain}"
Component "rooms.{domain}" "muc"
    restrict_room_creation = false
    muc_room_locking = false
"""

_NAMES = """
-- Answers questions for the servers of domains from test_names: every domain is at 127.0.0.1.
module:set_global();
local adns = require "net.adns";
local ports = module:get_option("test_names", {});
function adns.resolver()
    local resolver = {};
    function resolver:lookup(callback, name, kind)
        local answer = {};
        local port = ports[name:gsub("%.$", ""):gsub("^_xmpp%-server%._tcp%.", "")];
        if kind == "SRV" and port and name:find("^_xmpp%-server") then
            answer[1] = { srv = { priority = 0, weight = 0, port = port, target = "localhost." } };
        elseif kind == "A" then
            answer[1] = { a = "127.0.0.1" };
        end
        callback(answer);
    end
    return resolver;
end
"""
"""A module in Lua, since Prosody asks only name servers on the usual port."""


class ProsodyServer:
    """
    A Prosody with one domain, its rooms, and some users with the password C{secret}.

    @ivar port: where clients connect.
    """

    def __init__(
        self, test: TestCase, domain: str, port: int, serverPort: int, names: Mapping[str, int],
        certificate: tuple[str, str], authority: str, secure: bool, *users: str, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        """
        @param serverPort: where other servers connect.
        @param names: the ports of those, by domain.
        @param secure: whether they need a certificate.
        @param bidirectional: whether to use streams in both directions.
        """
        self.port = port
        folder = os.path.abspath(test.mktemp())
        accounts = os.path.join(folder, "data", domain.replace(".", "%2e"), "accounts")
        os.makedirs(accounts)
        for user in users:
            with open(os.path.join(accounts, f"{user}.dat"), "w") as file:
                file.write('return { ["password"] = "secret" };\n')
        self._path = os.path.join(folder, "prosody.cfg.lua")
        listed = "; ".join(f'["{name}"] = {at}' for name, at in names.items())
        with open(self._path, "w") as file:
            file.write(_CONFIGURATION.format(
                folder=folder, client=port, server=serverPort, secure=str(secure).lower(), certificate=certificate[0],
                key=certificate[1], authority=authority, names=listed, domain=domain,
                more=', "s2s_bidi"' if bidirectional else "",
            ))  # fmt: skip
        with open(os.path.join(folder, "mod_names.lua"), "w") as file:
            file.write(_NAMES)
        self._process = LoggedProcess()
        test.addCleanup(self.stop)

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        assert PROGRAM is not None
        spawn: Any = reactor
        spawn.spawnProcess(self._process, PROGRAM, [PROGRAM, "-F", "--config", self._path], env=os.environ)
        for service in ("c2s", "s2s"):
            await self._process.wait(rf"Activated service '{service}' on").addTimeout(TIMEOUT, reactor)

    @property
    def output(self) -> str:
        """Its log so far."""
        return self._process.output

    def stop(self) -> Deferred[int]:
        """End it."""
        if self._process.status is None and self._process.transport is not None:
            transport: Any = self._process.transport
            transport.signalProcess("KILL")
        return self._process.ended().addTimeout(TIMEOUT, reactor)
