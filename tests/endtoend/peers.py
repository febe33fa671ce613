# Copyright (c) The muccore authors. See LICENSE for details.
"""Other servers as processes of tests: Debian's Prosody and ejabberd, each with data of its own, on loopback."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from twisted.trial.unittest import TestCase

from tests.certificates import makeCertificate

_PATIENCE = 60.0
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


class PeerServer:
    """
    A server.

    @ivar folder: everything that it writes is below it.
    @ivar port: of clients, with STARTTLS.
    @ivar certificate: the path of its certificate.
    @cvar name: its package.
    @cvar programs: the programs that have to be there.
    """

    name: ClassVar[str]
    programs: ClassVar[Sequence[str]]

    def __init__(self, test: TestCase) -> None:
        """@param test: it ends with it."""
        self.folder = tempfile.mkdtemp(prefix=f"muccore-{self.name}-")
        self.certificate, self.key = makeCertificate(self.folder, ["localhost", "conference.localhost"])
        self.port, self._otherPort = _freePorts()
        self._process: subprocess.Popen[bytes] | None = None
        self.writeConfiguration()
        test.addCleanup(shutil.rmtree, self.folder, True)
        test.addCleanup(self.stop)

    @classmethod
    def missing(cls) -> str | None:
        """Why there can be no such server, in a line."""
        found = all(shutil.which(each, path=_PATH) for each in cls.programs)
        return None if found else f"Debian's package {cls.name} is not installed"

    def file(self, name: str) -> str:
        """The path of a file of the server."""
        return os.path.join(self.folder, name)

    def write(self, name: str, content: str) -> None:
        """Write a file of the server."""
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(content)

    def writeConfiguration(self) -> None:
        """Write its configuration."""
        raise NotImplementedError("the server's writeConfiguration")

    def command(self) -> Sequence[str]:
        """The command that runs it in the foreground."""
        raise NotImplementedError("the server's command")

    def register(self, accounts: Mapping[str, str]) -> None:
        """Create accounts of C{localhost} with their passwords."""
        raise NotImplementedError("the server's register")

    def start(self) -> None:
        """Start it, and wait until it serves clients."""
        with open(self.file("output"), "ab") as output:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"{self.name} does not start:\n{self.output()}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way."""
        process, self._process = self._process, None
        if process is not None:
            self.end(process)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill(process)
                process.wait()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what does not end."""
        os.killpg(process.pid, signal.SIGKILL)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a running server to end."""
        process.terminate()

    def adapted(self, commands: str) -> str:
        """Commands for an installed server as those for this one."""
        raise NotImplementedError("the server's adapted")

    def output(self) -> str:
        """What it has written so far."""
        with open(self.file("output"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self, *command: str) -> str:
        """Run a command to its end; return its output."""
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE
        )
        if done.returncode:
            raise AssertionError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout


class Prosody(PeerServer):
    """Prosody with its default storage."""

    name = "prosody"
    programs = ("prosody", "prosodyctl")

    def writeConfiguration(self) -> None:
        """The modules of Debian's configuration that keep something, and archives of rooms."""
        os.makedirs(self.file("root/var/lib/prosody"))
        self.write(
            "prosody.cfg.lua",
            f"""
            run_as_root = true
            pidfile = "{self.file("prosody.pid")}"
            data_path = "{self.file("root/var/lib/prosody")}"
            interfaces = {{ "127.0.0.1" }}
            c2s_ports = {{ {self.port} }}
            c2s_direct_tls_ports = {{}}
            modules_enabled = {{
                "roster"; "saslauth"; "tls"; "disco"; "private"; "vcard4"; "vcard_legacy"; "pep"; "bookmarks";
                "blocklist"; "offline"; "mam";
            }}
            modules_disabled = {{ "s2s" }}
            authentication = "internal_hashed"
            ssl = {{ key = "{self.key}"; certificate = "{self.certificate}" }}
            log = {{ info = "*console" }}
            VirtualHost "localhost"
            Component "conference.localhost" "muc"
            modules_enabled = {{ "muc_mam" }}
            """,
        )

    def command(self) -> Sequence[str]:
        """See L{PeerServer.command}."""
        return ["prosody", "--config", self.file("prosody.cfg.lua"), "-F"]

    def register(self, accounts: Mapping[str, str]) -> None:
        """See L{PeerServer.register}."""
        for name, password in accounts.items():
            self.run("prosodyctl", "--config", self.file("prosody.cfg.lua"), "register", name, "localhost", password)

    def adapted(self, commands: str) -> str:
        """See L{PeerServer.adapted}."""
        return commands


class Ejabberd(PeerServer):
    """ejabberd with its default storage."""

    name = "ejabberd"
    programs = ("ejabberdctl",)

    @classmethod
    def missing(cls) -> str | None:
        """See L{PeerServer.missing}."""
        found = super().missing()
        if found is None and os.geteuid() not in (0, pwd.getpwnam("ejabberd").pw_uid):
            found = "ejabberdctl works for root and the user ejabberd only"
        return found

    def writeConfiguration(self) -> None:
        """The modules of Debian's configuration that keep something."""
        for each in ("spool", "logs"):
            os.mkdir(self.file(each))
        with open(self.certificate) as certificate, open(self.key) as key:
            self.write("server.pem", key.read() + certificate.read())
        self.write("inetrc", "")
        # Without epmd, which would stay when the server has ended.
        self.write(
            "ejabberdctl.cfg",
            f"""
            ERLANG_NODE=test@localhost
            ERL_DIST_PORT={self._otherPort}
            INET_DIST_INTERFACE=127.0.0.1
            ERL_OPTIONS="-env ERL_CRASH_DUMP_BYTES 0 -setcookie muccore"
            EJABBERD_PID_PATH={self.file("ejabberd.pid")}
            """,
        )
        self.write("ejabberd.yml", _EJABBERD.format(folder=self.folder, port=self.port))
        if os.geteuid() == 0:
            # As root, ejabberdctl runs everything as this user.
            user = pwd.getpwnam("ejabberd")
            for folder, _, names in os.walk(self.folder):
                for each in (folder, *(os.path.join(folder, name) for name in names)):
                    os.chown(each, user.pw_uid, user.pw_gid)

    def _ctl(self, *arguments: str) -> list[str]:
        folders = ("--config-dir", self.folder, "--logs", self.file("logs"), "--spool", self.file("spool"))
        program = shutil.which("ejabberdctl", path=_PATH)
        assert program is not None, "it is installed"
        return [program, *folders, *arguments]

    def command(self) -> Sequence[str]:
        """See L{PeerServer.command}."""
        return self._ctl("foreground")

    def ctl(self, *arguments: str) -> str:
        """Run C{ejabberdctl}; return its output."""
        return self.run(*self._ctl(*arguments))

    def register(self, accounts: Mapping[str, str]) -> None:
        """See L{PeerServer.register}; it has to run."""
        for name, password in accounts.items():
            self.ctl("register", name, "localhost", password)

    def end(self, process: subprocess.Popen[Any]) -> None:
        """See L{PeerServer.end}."""
        subprocess.run(self._ctl("stop"), cwd=self.folder, capture_output=True, check=False)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """See L{PeerServer.kill}: what was started is a shell in another process group."""
        with open(self.file("ejabberd.pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)

    def adapted(self, commands: str) -> str:
        """See L{PeerServer.adapted}."""
        return commands.replace("ejabberdctl ", f"{shlex.join(self._ctl())} ")


_EJABBERD = """
hosts: [localhost]
loglevel: info
certfiles: ["{folder}/server.pem"]
auth_method: internal
auth_password_format: scram
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true}}
acl:
  local: {{user_regexp: ""}}
access_rules:
  local: {{allow: local}}
modules:
  mod_roster: {{}}
  mod_private: {{}}
  mod_vcard: {{search: false}}
  mod_blocking: {{}}
  mod_privacy: {{}}
  mod_offline: {{}}
  mod_disco: {{}}
  mod_caps: {{}}
  mod_mam: {{default: always}}
  mod_pubsub: {{plugins: [flat, pep]}}
  mod_muc: {{access: all, access_create: all, host: "conference.@HOST@", default_room_options: {{mam: true}}}}
  mod_admin_extra: {{}}
"""


def _freePorts() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
