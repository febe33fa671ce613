# Copyright (c) The muccore authors. See LICENSE for details.
"""Build the wheel, install it into an environment with only its requirements, and run it there."""

from __future__ import annotations

import atexit
import email
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from twisted.trial.unittest import SynchronousTestCase

from muccore import __version__
from muccore.http.webchat.resources import CONVERSE

ROOT = Path(__file__).resolve().parent.parent
SHARED = (
    "server.cfg", "muccore.service", "muccore-pam.socket", "muccore-pam@.service", "fail2ban/filter.d/muccore.conf",
    "fail2ban/jail.d/muccore.conf",
)  # fmt: skip
"""The files of C{etc} that are installed in C{share/muccore}."""

PATIENCE = 60.0
"""Seconds to wait for anything."""

CONFIGURATION = """\
[server]
domain = localhost
[c2s]
listen = tcp:0:interface=127.0.0.1
tls = off
allow_plaintext_auth = yes
[auth]
backend = sqlite:../var/accounts.db
[storage]
affiliations = sqlite:../var/rooms.db
[muc]
domain = conference.localhost
"""

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))
}
"""The environment without variables that lead back to the checkout."""


def run(*command: str | Path, cwd: Path, given: str = "", status: int = 0) -> str:
    """
    Run a program to its end.

    @param given: its standard input.
    @param status: the expected exit status.

    @return: its output.
    """
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, input=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != status:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def needed(requirements: list[str]) -> Iterator[Distribution]:
    """The distributions of this environment that requirements name, and theirs in turn."""
    waiting = [(Requirement(each), "") for each in requirements]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        found = distribution(requirement.name)
        for wanted in ("", *sorted(requirement.extras)):
            if (found.name, wanted) not in seen:
                if not any(name == found.name for name, _ in seen):
                    yield found
                seen.add((found.name, wanted))
                waiting += [(Requirement(each), wanted) for each in found.requires or ()]


def equip(environment: Path, distributions: Iterator[Distribution]) -> None:
    """Copy distributions into an environment, as pip would install them, without network access."""
    (packages,) = environment.glob("lib/python*/site-packages")
    for each in distributions:
        for file in each.files or ():
            if ".." not in file.parts and not file.is_absolute():
                target = packages.joinpath(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(each.locate_file(file), target)
        for script in each.entry_points.select(group="console_scripts", name="twistd"):
            path = environment.joinpath("bin", script.name)
            call = f"import sys\nfrom {script.module} import {script.attr}\nsys.exit({script.attr}())\n"
            path.write_text(f"#!{environment}/bin/python\n{call}")
            path.chmod(0o755)


class Installation:
    """
    The wheel, built from a copy of a used checkout, and a bare environment in which it is installed.

    @ivar place: a folder for both.
    @ivar names: the files in the wheel.
    @ivar info: its folder of metadata.
    @ivar metadata: what stands there.
    @ivar bare: the environment.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        build = ("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", place, self._copy())
        run(*pip, *build, cwd=place)
        (path,) = place.glob("*.whl")
        self.info = f"muccore-{__version__}.dist-info"
        with zipfile.ZipFile(path) as wheel:
            self.names = set(wheel.namelist())
            self.metadata: Message = email.message_from_bytes(wheel.read(f"{self.info}/METADATA"))
        self.bare = place / "bare"
        venv.create(self.bare, with_pip=False, symlinks=True)
        wanted = [each for each in self.metadata.get_all("Requires-Dist", ()) if "extra ==" not in each]
        equip(self.bare, needed(wanted))
        python = self.bare / "bin" / "python"
        run(*pip, "--python", python, "install", "--no-index", "--no-deps", path, cwd=place)

    def _copy(self) -> Path:
        source = self.place / "source"
        for name in ("muccore", "twisted", "etc"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source / name)
        source.joinpath("twisted", "plugins", "dropin.cache").write_bytes(b"of somebody else")
        source.joinpath("muccore", "__pycache__").mkdir()
        source.joinpath("muccore", "__pycache__", "left.py").write_text("")
        return source


@cache
def installation() -> Installation:
    """The installation for all tests of this process."""
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Installation(place)


_EXTRAS = {"test", "dev", "ldap", "postgresql", "progress"}


class WheelTests(SynchronousTestCase):
    """The wheel, and its installation."""

    def setUp(self) -> None:
        """Write a configuration."""
        self.wheel = installation()
        self.folder = Path(tempfile.mkdtemp(dir=self.wheel.place))
        self.folder.joinpath("etc").mkdir()
        self.folder.joinpath("etc", "server.cfg").write_text(CONFIGURATION)

    def program(self, name: str) -> Path:
        """A program of the bare environment."""
        return self.wheel.bare / "bin" / name

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"never {what}")
            time.sleep(0.02)

    def talk(self, log: str) -> None:
        """Open a stream to the server that wrote a log."""
        (port,) = re.findall(r" starting on (\d+)$", log, re.MULTILINE)
        with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as client:
            client.sendall(
                b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
                b" to='localhost' version='1.0'>"
            )
            said = b""
            while b"</stream:features>" not in said:
                data = client.recv(65536)
                self.assertTrue(data, f"ended after {said!r}")
                said += data
        self.assertIn(b"SCRAM-SHA-256", said)

    def test_content(self) -> None:
        """
        It contains each module and its data, each plugin among Twisted's own, the files to copy, and nothing else: no
        plugin cache, which would name those of the building machine, and nothing that makes C{twisted} a package of
        this project.
        """
        modules = {path.relative_to(ROOT).as_posix() for path in ROOT.joinpath("muccore").rglob("*.py")}
        plugins = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("twisted/plugins/*.py")}
        self.assertIn("twisted/plugins/muccore_plugin.py", plugins)
        data = self.wheel.info.replace(".dist-info", ".data/data/share/muccore")
        shared = {f"{data}/{name}" for name in SHARED}
        content = {name for name in self.wheel.names if not name.startswith(self.wheel.info)}
        pages = {f"muccore/http/webchat/{name}" for name in ("page.html", "start.js", "style.css")}
        # Where it has been fetched.
        converse = {str(path.relative_to(ROOT)) for path in CONVERSE.rglob("*") if path.is_file()}
        data = {"muccore/muc/model/confusables.txt"} | pages | converse
        self.assertEqual(content, modules | plugins | shared | data)
        self.assertFalse(ROOT.joinpath("twisted", "__init__.py").exists())
        self.assertFalse(ROOT.joinpath("twisted", "plugins", "__init__.py").exists())

    def test_metadata(self) -> None:
        """It has its version, its licence, and the oldest working version of each requirement."""
        self.assertEqual(self.wheel.metadata["Version"], __version__)
        self.assertEqual(self.wheel.metadata["Requires-Python"], ">=3.11")
        self.assertEqual(self.wheel.metadata["License"] or self.wheel.metadata["License-Expression"], "MIT")
        about = [name for name in self.wheel.names if name.startswith(self.wheel.info)]
        self.assertTrue([name for name in about if name.endswith("/LICENSE")])
        for each in self.wheel.metadata.get_all("Requires-Dist", ()):
            self.assertEqual([bound.operator for bound in Requirement(each).specifier], [">="], each)
        self.assertEqual(set(self.wheel.metadata.get_all("Provides-Extra", ())), _EXTRAS)

    def test_complete(self) -> None:
        """Each module imports with only the wheel's requirements, except the WebSocket client for tests."""
        script = (
            "import importlib, pkgutil, muccore\n"
            "for found in pkgutil.walk_packages(muccore.__path__, 'muccore.'):\n"
            "    if found.name != 'muccore.testing.scansion.websocket':\n"
            "        importlib.import_module(found.name)\n"
            "print(muccore.__file__)\n"
        )
        place = run(self.program("python"), "-I", "-c", script, cwd=self.folder)
        self.assertTrue(place.startswith(f"{self.wheel.bare}/lib/"), place)

    def test_listed(self) -> None:
        """C{twistd --help} lists muccore, from any directory."""
        for cwd in (self.folder, Path("/")):
            self.assertRegex(run(self.program("twistd"), "--help", cwd=cwd), r"(?m)^    muccore +An XMPP server")

    def test_foreground(self) -> None:
        """
        C{twistd -n muccore} accepts clients, and ends when asked to. Paths in its configuration are relative to the
        file's folder.
        """
        log = self.folder / "log"
        with log.open("wb") as file:
            server = subprocess.Popen(
                [self.program("twistd"), "-n", "--pidfile=", "muccore", "-c", "../etc/server.cfg"],
                cwd=self.folder / "etc",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            self.until(lambda: "muccore serves" in log.read_text() or server.poll() is not None, "served")
            self.talk(log.read_text())
        finally:
            server.terminate()
            status = server.wait(PATIENCE)
        # twistd does what there is to do, and then ends by the same signal.
        self.assertEqual(status, -signal.SIGTERM)
        self.assertIn("muccore has ended", log.read_text())
        files = sorted(path.name for path in self.folder.joinpath("var").iterdir())
        self.assertEqual(files, ["accounts.db", "rooms.db", "rooms.db-control.lock", "rooms.db-occupants"])

    def test_daemon(self) -> None:
        """
        So does C{twistd muccore} in the background, with a pid file and a log; at the end the pid file is removed.
        """
        away = self.folder / "away"
        away.mkdir()
        pidFile, log = away / "server.pid", away / "server.log"
        options = (f"--pidfile={pidFile}", f"--logfile={log}")
        run(self.program("twistd"), *options, "muccore", "-c", "../etc/server.cfg", cwd=away)
        pid = int(pidFile.read_text())
        try:
            self.until(lambda: log.exists() and "muccore serves" in log.read_text(), "served")
            self.talk(log.read_text())
        finally:
            os.kill(pid, signal.SIGTERM)
            self.until(lambda: not pidFile.exists(), "ended")
        self.until(lambda: "Server Shut Down" in log.read_text(), "said that it has ended")
        self.assertIn("muccore has ended", log.read_text())
        self.assertNotIn("Traceback", log.read_text())
        self.assertTrue(self.folder.joinpath("var", "accounts.db").exists())

    def test_badConfiguration(self) -> None:
        """An invalid configuration is reported in one line, before twistd goes into the background."""
        self.folder.joinpath("etc", "server.cfg").write_text(CONFIGURATION.replace("listen", "lisden"))
        options = ("--pidfile=it.pid", "--logfile=it.log")
        said = run(
            self.program("twistd"), *options, "muccore", "-c", "etc/server.cfg", cwd=self.folder, status=1
        ).splitlines()
        self.assertEqual(len(said), 1)
        self.assertIn("etc/server.cfg:4: [c2s] lisden: no such key", said[0])
        self.assertFalse(self.folder.joinpath("it.pid").exists())

    def test_accounts(self) -> None:
        """C{muccorectl} is installed and adds accounts."""
        command = (self.program("muccorectl"), "-c", "etc/server.cfg")
        run(*command, "adduser", "romeo", cwd=self.folder, given="wherefore\n")
        self.assertEqual(run(*command, "listusers", cwd=self.folder), "romeo@localhost\n")

    def test_examples(self) -> None:
        """The configuration, the unit and fail2ban's files are in C{share/muccore}, to be copied."""
        for name in SHARED:
            installed = self.wheel.bare.joinpath("share", "muccore", name)
            self.assertEqual(installed.read_bytes(), ROOT.joinpath("etc", name).read_bytes())
