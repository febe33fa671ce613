# -*- test-case-name: tests.test_floorbenchmark -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Other XMPP servers to compare with, where they are installed. As muccore here, they accept every password."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from benchmarks.client import DOMAIN, ROOMS
from benchmarks.floor.programs import Program

_PROSODY: Final = """\
run_as_root = true
data_path = "{folder}"
pidfile = "{folder}/prosody.pid"
log = {{ error = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
c2s_require_encryption = {tls}
allow_unencrypted_plain_auth = true
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
network_backend = "epoll"
-- As fast as it gets, of the two collectors.
gc = {{ mode = "generational" }}
modules_enabled = {{ "saslauth", "tls", "disco" }}
modules_disabled = {{ "s2s", "offline" }}
ssl = {{ certificate = "{folder}/server.crt"; key = "{folder}/server.key" }}
VirtualHost "{domain}"
Component "{rooms}" "muc"
"""


class Prosody(Program):
    """Prosody, as a distribution's package installs it, with its generational collector."""

    def command(self, folder: Path, port: int) -> list[str]:
        """See L{Program.command}."""
        configuration = folder / "prosody.cfg.lua"
        tls = "true" if self.tls else "false"
        text = _PROSODY.format(folder=folder, port=port, tls=tls, domain=DOMAIN, rooms=ROOMS)
        configuration.write_text(text, encoding="utf-8")
        return ["prosody", "-F", "--config", str(configuration)]


PEERS: Final[dict[str, type[Program]]] = {"prosody": Prosody}
"""By the name of the program."""


def isInstalled(name: str) -> bool:
    """Whether a peer is installed."""
    return shutil.which(name) is not None
