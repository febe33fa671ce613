# Copyright (c) The muccore authors. See LICENSE for details.
"""Runs the suite: C{make interop}. C{SINTTEST}, in the environment, has further arguments of Java."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.configuration import ENVIRONMENT
from tests.endtoend import serverprocess
from tests.endtoend.serverprocess import CLEAN, ServerProcess, ctl
from tests.interop.cases import CASES, RACES

FOLDER = Path(__file__).parent
MAIN = "org.igniterealtime.smack.inttest.SmackIntegrationTestFramework"
PASSWORD = "interop"
TRIES = 6
"""How often a case with a race is run before it has failed."""
PORT = 5222
"""Smack always connects to this port of the host that it is told."""

_RESULT = re.compile(r"^\w+: (\w+\.\w+) \((.+)\) (Success|Failed|is not possible)$", re.MULTILINE)
_WORDS = {"Success": "passed", "Failed": "failed", "is not possible": "skipped"}


def freeAddress() -> str:
    """Find an address of this machine on which the port is free."""
    for number in range(1, 255):
        address = f"127.0.0.{number}"
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((address, PORT))
            except OSError:
                continue
            return address
    raise OSError(f"port {PORT} is not free on any loopback address")


def resultsOf(log: str) -> dict[tuple[str, str], str]:
    """Find what became of each case, by its name and the kind of its connections, in a log of Smack."""
    return {(case, connections): _WORDS[word] for case, connections, word in _RESULT.findall(log)}


def specified(case: str) -> str:
    """The key of L{CASES} for a case: itself or its class."""
    return case if case in CASES else case.partition(".")[0]


class SuiteTests(TestCase):
    """Smack's cases against one server."""

    timeout = 900
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        skip = f"not found: {', '.join(missing)}. The suite needs Java (11 or newer) and Maven"

    async def setUp(self) -> None:
        """Get the suite, and start a server with an administrator."""
        self.classpath = await self.resolve()
        self.address = freeAddress()
        self.server = ServerProcess(
            self,
            server={"domain": "localhost", "extra_handlers": "interop-accounts:admin@localhost"},
            c2s={"listen": f"tcp:{PORT}:interface={self.address}"},
            auth={"backend": "sqlite:muccore.db"},
            storage={"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"},
            # One case lists the occupants of a room without being one.
            muc={"domain": "conference.localhost", "room_defaults": "x-muc#roomconfig_publiclist = 1"},
        )
        path = os.pathsep.join([str(FOLDER / "plugins"), ENVIRONMENT["PYTHONPATH"]])
        self.server.environment = {**ENVIRONMENT, "PYTHONPATH": path}
        self.patch(serverprocess, "ENVIRONMENT", self.server.environment)
        self.assertEqual((await ctl(self.server, "adduser", "admin", password=PASSWORD))[0], 0)
        await self.server.start()

    async def execute(self, *command: str) -> str:
        """Run a command; return what it writes."""
        spawned = getProcessOutputAndValue(command[0], command[1:], env=os.environ, path=self.folder, reactor=reactor)
        out, err, status = await spawned
        self.assertIn(status, (0, 2), (out + err).decode("utf-8", "replace"))
        return (out + err).decode("utf-8", "replace")

    async def resolve(self) -> str:
        """Let Maven find the suite, and return the class path."""
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        found = Path(self.folder, "classpath")
        goal = ["dependency:build-classpath", f"-Dmdep.outputFile={found}"]
        await self.execute(shutil.which("mvn") or "", "-q", "-B", "-f", str(FOLDER / "pom.xml"), *goal)
        return found.read_text()

    async def cases(self, names: Iterable[str]) -> str:
        """Run cases, and return Smack's log."""
        options = {
            "service": "localhost",
            "host": self.address,
            # Smack's newer connections do not begin every TLS handshake for which they have asked.
            "securityMode": "disabled",
            "adminAccountUsername": "admin",
            "adminAccountPassword": PASSWORD,
            "replyTimeout": "10000",
            # These look for the server at port 443 of its domain.
            "disabledConnections": "modular-websocket-okhttp,modular-websocket-java11",
            "enabledTests": ",".join(names),
        }
        arguments = [f"-Dsinttest.{key}={value}" for key, value in options.items()]
        further = os.environ.get("SINTTEST", "").split()
        java = shutil.which("java") or ""
        return await self.execute(java, "-Duser.language=en", "-cp", self.classpath, *arguments, *further, MAIN)

    async def test_suite(self) -> None:
        """
        Every case passes; one with a race does so within some tries. None is missing, and the server logs no error.
        """
        log = await self.cases(CASES)
        results = resultsOf(log)
        raced = sorted(case for (case, _), word in results.items() if word == "failed" and case in RACES)
        for case in raced:
            for _ in range(1, TRIES):
                again = resultsOf(await self.cases([case]))
                if set(again.values()) == {"passed"}:
                    results.update(again)
                    break
        self.report(results, raced)
        found = {specified(case) for case, _ in results}
        self.assertEqual([name for name in CASES if name not in found], [], log)
        self.assertEqual([case for case, word in results.items() if word == "failed"], [], log)
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])

    def report(self, results: Mapping[tuple[str, str], str], raced: Iterable[str]) -> None:
        """Print how many cases there are of each specification, and what became of them."""
        counts: dict[str, Counter[str]] = {}
        for (case, _), word in results.items():
            for row in (CASES[specified(case)], "together"):
                counts.setdefault(row, Counter())[word] += 1
        print()
        for row, count in sorted(counts.items()):
            words = [f"{count[word]} {word}" for word in ("passed", "failed", "skipped")]
            print(f"{row}: {count.total()} run: {', '.join(words)}")
        for case in raced:
            print(f"tried again: {case}: {RACES[case]}")
