# Copyright (c) The muccore authors. See LICENSE for details.
"""Run every scenario of this folder, and the examples of two pages of docs, each against a whole server of its own."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.testing.scansion import __main__ as command
from muccore.testing.scansion.language import Script
from muccore.testing.scansion.options import RunOptions
from muccore.testing.scansion.runner import run
from muccore.testing.scansion.script import load, parse
from muccore.testing.server import RunningServer, startServer

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parent.parent
_DOCUMENT: Final = _ROOT.joinpath("docs", "scenarios.md").read_text("utf-8")
_ROOMS: Final = _ROOT.joinpath("docs", "rooms.md").read_text("utf-8")


class _ServerTests(TestCase):
    """A server for each test."""

    timeout = 60
    server: RunningServer
    storage: ClassVar[dict[str, str]] = {}
    pubsub: ClassVar[dict[str, str]] = {}

    async def setUp(self) -> None:
        """Start it."""
        # All scenarios together create more rooms than one user may in a minute.
        options = {"rooms_per_minute": "0", "default_archive": "no"}
        listen = {"listen": "tcp:0:interface=127.0.0.1"}
        upload = {"store": "memory:", "file_size": "1 MiB", "public_url": "https://files.localhost"}
        services = "stun:stun.shakespeare.lit:9998\n turn:relay.shakespeare.lit:9999"
        external = {"services": services, "secret": "shared with the relay"}
        self.server = await startServer(
            reactor, http=listen, muc=options, storage=self.storage, upload=upload, external_services=external,
            pubsub=self.pubsub,
        )
        self.addCleanup(self.server.stop)


class ArchiveScenarioTests(_ServerTests):
    """Two tests for each scenario of a server with archives."""

    storage: ClassVar[dict[str, str]] = {"archive": "memory:"}


class PubSubScenarioTests(_ServerTests):
    """Two tests for each scenario of a publish-subscribe service."""

    pubsub: ClassVar[dict[str, str]] = {"domain": "pubsub.localhost"}


class ScenarioTests(_ServerTests):
    """Two tests for each scenario, over TCP and WebSocket; one for each example of the documentation."""

    async def test_commands(self) -> None:
        """The command lines of the documentation pass, run from the checkout."""
        prefix = "    python -m muccore.testing.scansion "
        lines = [line.removeprefix(prefix) for line in _DOCUMENT.splitlines() if line.startswith(prefix)]
        self.assertEqual(len(lines), 2)
        for line in lines:
            words = [str(self.server.port) if word == "5222" else word for word in shlex.split(line)]
            files = sorted(glob.glob(str(_ROOT / words.pop())))
            printed: list[str] = []
            chosen = command.parseArguments([*words, *files])
            self.assertEqual(await command.run(reactor, chosen, printed.append), 0, "".join(printed))
            self.assertEqual(printed[-1], f"{len(files)} passed, 0 failed\n")


def _testOf(name: str, script: Script, websocket: bool = False) -> Callable[[_ServerTests], Coroutine[Any, Any, None]]:
    """Return the test of one scenario."""

    async def test(self: _ServerTests) -> None:
        port = self.server.portOf("listen", "http") if websocket else self.server.port
        await run(reactor, script, RunOptions(self.server.host, port, exact=True, websocket=websocket))

    test.__name__ = f"test_{name}"
    test.__doc__ = f"{script.title}."
    return test


for _case, _folder in (
    (ScenarioTests, _HERE), (ArchiveScenarioTests, _HERE / "archive"), (PubSubScenarioTests, _HERE / "pubsub"),
):  # fmt: skip
    for _path in sorted(_folder.glob("*.scs")):
        _script = load(str(_path))
        setattr(_case, f"test_{_path.stem}", _testOf(_path.stem, _script))
        setattr(_case, f"test_{_path.stem}_websocket", _testOf(f"{_path.stem}_websocket", _script, True))
_examples = re.findall(r"^```scansion\n(.*?)^```$", _DOCUMENT + _ROOMS, re.DOTALL | re.MULTILINE)
for _number, _text in enumerate(_examples, 1):
    _script = parse(_text, str(_HERE / f"documentation-{_number}.scs"))
    setattr(ScenarioTests, f"test_documentation{_number}", _testOf(f"documentation{_number}", _script))
