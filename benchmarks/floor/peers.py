# -*- test-case-name: tests.test_floorbenchmark -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Other XMPP servers to compare with, where they are installed. As muccore here, they accept every password."""

from __future__ import annotations

import glob
import shutil
import time
from pathlib import Path
from typing import Final

from benchmarks.client import DOMAIN, ROOMS
from benchmarks.floor.programs import Program
from benchmarks.meter import Meter
from benchmarks.server import STARTING

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

_EJABBERD: Final = """\
hosts: [ {domain} ]
loglevel: error
certfiles: [ {folder}/both.pem ]
listen:
  - port: {port}
    ip: 127.0.0.1
    module: ejabberd_c2s
    starttls_required: {tls}
    max_stanza_size: 262144
auth_method: anonymous
anonymous_protocol: login_anon
allow_multiple_connections: true
disable_sasl_mechanisms: [ DIGEST-MD5 ]
modules:
  mod_disco: {{ }}
  mod_muc:
    host: {rooms}
    access: all
    access_create: all
    access_persistent: all
    max_users: 20000
    min_presence_interval: 0
    min_message_interval: 0
    default_room_options: {{ max_users: 20000 }}
"""

_LOOK: Final = 0.5
"""Seconds between two looks at whether a peer has come to rest."""

_REST: Final = 0.1
"""The share of a processor below which it has."""

_ERLANG_LIBRARIES: Final = "/usr/lib/*/ejabberd-*/ebin"


class Prosody(Program):
    """Prosody, as a distribution's package installs it, with its generational collector."""

    def command(self, folder: Path, port: int) -> list[str]:
        """See L{Program.command}."""
        configuration = folder / "prosody.cfg.lua"
        tls = "true" if self.tls else "false"
        text = _PROSODY.format(folder=folder, port=port, tls=tls, domain=DOMAIN, rooms=ROOMS)
        configuration.write_text(text, encoding="utf-8")
        return ["prosody", "-F", "--config", str(configuration)]


class Ejabberd(Program):
    """ejabberd, as Debian's package installs it; in the foreground, as no node of a cluster."""

    def command(self, folder: Path, port: int) -> list[str]:
        """See L{Program.command}."""
        configuration, both = folder / "ejabberd.yml", folder / "both.pem"
        both.touch(mode=0o600)
        both.write_bytes((folder / "server.crt").read_bytes() + (folder / "server.key").read_bytes())
        tls = "true" if self.tls else "false"
        text = _EJABBERD.format(folder=folder, port=port, tls=tls, domain=DOMAIN, rooms=ROOMS)
        configuration.write_text(text, encoding="utf-8")
        libraries = sorted(glob.glob(_ERLANG_LIBRARIES))[-1]
        return [
            *("env", f"EJABBERD_CONFIG_PATH={configuration}", f"EJABBERD_LOG_PATH={folder}/ejabberd.log"),
            *(f"ERL_LIBS={Path(libraries).parents[1]}", f"ERL_CRASH_DUMP={folder}/crash", "HOME=" + str(folder)),
            *("erl", "-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir", f'"{folder}"', "-s", "ejabberd"),
        ]

    def _awaitService(self) -> None:
        """It listens before it has loaded its program: wait until it has come to rest."""
        super()._awaitService()
        meter, end = Meter(self.pids[0]), time.monotonic() + STARTING
        before, spent = meter.cpu(), 1.0
        while spent > _REST * _LOOK and time.monotonic() < end:
            time.sleep(_LOOK)
            spent, before = meter.cpu() - before, meter.cpu()


PEERS: Final[dict[str, type[Program]]] = {"prosody": Prosody, "ejabberd": Ejabberd}
"""By the name of the program."""


def isInstalled(name: str) -> bool:
    """Whether a peer is installed."""
    return bool(glob.glob(_ERLANG_LIBRARIES) if name == "ejabberd" else shutil.which(name))
