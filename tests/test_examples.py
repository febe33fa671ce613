# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of C{docs/examples/hello} and C{docs/writing-a-handler.md}: an installed package extends muccore by a plugin and
one line of configuration.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

import tests

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__)))
EXAMPLE = os.path.join(ROOT, "docs", "examples", "hello")

_PLUGINS = """
import hello
from twisted.plugin import getPlugins
from muccore.interfaces import IHandlerFactory, IStoreFactory
print(hello.__file__)
print(sorted(factory.name for factory in getPlugins(IHandlerFactory)))
print("guests" in [factory.scheme for factory in getPlugins(IStoreFactory)])
"""

_CONFIGURATION = """
[server]
domain = localhost
extra_handlers = {handler}
[c2s]
tls = off
allow_plaintext_auth = yes
[auth]
backend = guests:password
[muc]
domain = conference.localhost
[storage]
affiliations = memory:
"""

_CONFIGURED = """
from muccore.config.load import load
from muccore.config.errors import ConfigError
from muccore.server import preflight
from muccore.server.assembly import ServerComponents
from muccore.xmpp.jid import parse
from tests.routing.helpers import Client, FakeStream
from twisted.internet.task import Clock
from twisted.python.filepath import FilePath
FilePath("password").setContent(b"secret")
try:
    settings = load("server.cfg")
    preflight.checkHandlers(settings, Clock())
except ConfigError as e:
    print(e)
else:
    components, stream = ServerComponents(settings, Clock()), FakeStream()
    components.open()
    romeo = Client(components.sessions.bind(parse("romeo@localhost"), "orchard", stream), stream)
    for payload in "<{protocol} xmlns='urn:example:{protocol}'/>", "<query xmlns='http://jabber.org/protocol/disco#info'/>":
        print(*romeo.ask("<iq type='get' id='1' to='localhost'>" + payload + "</iq>"))
"""

_FORM = """
from muccore.config.load import load
from muccore.server import preflight
from muccore.server.assembly import ServerComponents
from muccore.xmpp.jid import parse
from tests.routing.helpers import Client, FakeStream
from twisted.internet.task import Clock
settings = load("server.cfg")
preflight.checkHandlers(settings, Clock())
components, stream = ServerComponents(settings, Clock()), FakeStream()
components.open()
romeo = Client(components.sessions.bind(parse("romeo@localhost"), "orchard", stream), stream)
room = "room@conference.localhost"
romeo.ask("<presence to='" + room + "/Romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
owner = "<query xmlns='http://jabber.org/protocol/muc#owner'/>"
print(*romeo.ask("<iq type='get' id='1' to='" + room + "'>" + owner + "</iq>"))
"""

_STORE = """
from muccore.storage.registry import makeStore
from twisted.internet import reactor
from twisted.python.filepath import FilePath
FilePath("password").setContent(b"secret\\n")
store = makeStore("accounts", "guests:password", FilePath("."), reactor)
print([
    store.open().result,
    store.checkPassword("guest7@localhost", "secret").result,
    store.checkPassword("guest7@localhost", "wrong").result,
    store.checkPassword("guest7@localhost", chr(7)).result,
    store.checkPassword("romeo@localhost", "secret").result,
    store.scramKeys("guest7@localhost", "SHA-256").result,
    store.close().result,
])
"""


def canBuild() -> bool:
    """Whether pip can build a package here without network access."""
    installed = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
    if not {"pip", "setuptools"} <= installed:
        return False
    # From 70.1 on, setuptools makes wheels by itself.
    version = importlib.metadata.version("setuptools").split(".")
    return "wheel" in installed or (int(version[0]), int(version[1])) >= (70, 1)


def run(program: str, folder: str, path: str) -> list[str]:
    """
    Run a Python program in a folder.

    @param path: where it finds modules, besides muccore's.
    @return: the lines of its output.
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([path, ROOT])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    output = done.stdout.decode()
    if done.returncode:
        raise AssertionError(output)
    return output.splitlines()


class ExampleTests(SynchronousTestCase):
    """The example package, installed into a temporary folder."""

    _places: ClassVar[list[str]] = []

    def setUp(self) -> None:
        """Install the package once for all tests; where no package can be built, copy its folders."""
        if not self._places:
            self._places.append(self.install(os.path.abspath(self.mktemp())))
        [self.place] = self._places

    def install(self, place: str) -> str:
        """Install the package into the folder C{installed}."""
        source, installed = os.path.join(place, "source"), os.path.join(place, "installed")
        shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "*.cache", "build", "*.egg-info"))
        if not canBuild():
            os.rename(source, installed)
            return place
        options = "--quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps --target"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options.split(), installed, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        return place

    def python(self, program: str) -> list[str]:
        """Run a program that finds the installed package and muccore."""
        return run(program, self.place, os.path.join(self.place, "installed"))

    def test_found(self) -> None:
        """C{getPlugins} finds the factories of the installed package."""
        file, handlers, store = self.python(_PLUGINS)
        self.assertTrue(file.startswith(os.path.join(self.place, "installed")), file)
        self.assertIn("'hello', 'wokkel-hello'", handlers)
        self.assertEqual(store, "True")

    def configured(self, handler: str) -> list[str]:
        """The answers of a server with this handler in its configuration."""
        with open(os.path.join(self.place, "server.cfg"), "w") as file:
            file.write(_CONFIGURATION.format(handler=handler))
        return self.python(_CONFIGURED.format(protocol="hello"))

    def test_handlers(self) -> None:
        """One line of configuration adds a handler of either kind to a domain: it answers, and is shown in disco."""
        for line, greeting in (("hello", "Hello, romeo!"), ("wokkel-hello:Good night", "Good night, romeo!")):
            told = self.configured(line)
            self.assertEqual(len(told), 2, told)
            answer, info = told
            self.assertIn(f'<hello xmlns="urn:example:hello">{greeting}</hello>', answer)
            self.assertIn('<feature var="urn:example:hello">', info)

    def test_badArgument(self) -> None:
        """An argument that the factory refuses is a configuration error with the factory's text."""
        told = "\n".join(self.configured(f"hello:{'x' * 41}"))
        self.assertIn("hello: greets with at most 40 characters, found 41", told)
        self.assertIn("server.cfg", told)

    def test_store(self) -> None:
        """Its store is selected by its scheme, and works."""
        self.assertEqual(self.python(_STORE), ["[None, True, False, False, False, None, None]"])


class PageTestCase(SynchronousTestCase):
    """
    The code on a page, written into a folder.

    @cvar page: the page.
    """

    page: ClassVar[str]

    def setUp(self) -> None:
        """Write the files; the configuration without a name becomes that of a server."""
        self.place = os.path.abspath(self.mktemp())
        with open(os.path.join(ROOT, "docs", self.page)) as page:
            blocks = re.findall(r"```(\w+)\n(?:# (\S+)\n)?(.*?)```", page.read(), re.DOTALL)
        self.names = [name for _, name, _ in blocks]
        for language, name, text in blocks:
            path = os.path.join(self.place, name or "server.cfg")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text if name else self.configuration(text))
            self.assertEqual(language, "python" if name else "ini")

    def configuration(self, text: str) -> str:
        """A whole configuration with the lines of the page."""
        raise NotImplementedError

    def trial(self, *modules: str) -> str:
        """Run tests of the page; return the last line of the output."""
        program = "import sys; from twisted.scripts.trial import run; sys.argv[:] = {}; run()"
        return run(program.format(["trial", *modules]), self.place, self.place)[-1]


class HandlerPageTests(PageTestCase):
    """The page on handlers."""

    page = "writing-a-handler.md"

    def configuration(self, text: str) -> str:
        """See L{PageTestCase.configuration}."""
        others = _CONFIGURATION.partition("{handler}")[2].replace("guests:password", "memory:")
        return text.replace("[server]", "[server]\ndomain = localhost") + others

    def test_files(self) -> None:
        """They are these."""
        examples = [each for name in ("letterbox", "heartbeat", "pulse") for each in (f"{name}.py", f"test_{name}.py")]
        plugin = "twisted/plugins/farewell_plugin.py"
        self.assertEqual(self.names, ["", "farewell.py", *examples, plugin, "test_farewell.py"])

    def test_configuration(self) -> None:
        """The configuration on the page adds the handler, with its option."""
        answer, info = run(_CONFIGURED.format(protocol="farewell"), self.place, self.place)
        self.assertIn('<farewell xmlns="urn:example:farewell">Adieu!</farewell>', answer)
        self.assertIn('<feature var="urn:example:farewell">', info)

    def test_tests(self) -> None:
        """The tests on the page run and pass."""
        tests = ("test_farewell", "test_letterbox", "test_heartbeat", "test_pulse")
        self.assertEqual(self.trial(*tests), "PASSED (successes=12)")


class RoomExtensionPageTests(PageTestCase):
    """The page on extensions of rooms."""

    page = "writing-a-room-extension.md"

    def configuration(self, text: str) -> str:
        """See L{PageTestCase.configuration}."""
        whole = _CONFIGURATION.replace("extra_handlers = {handler}\n", "").replace("guests:password", "memory:")
        return whole.replace("[muc]\n", text)

    def test_files(self) -> None:
        """They are these."""
        plugin = "twisted/plugins/manners_plugin.py"
        self.assertEqual(self.names, ["", "manners.py", "forgive.py", "dice.py", plugin, "test_manners.py"])

    def test_configuration(self) -> None:
        """The configuration on the page adds both to the rooms: they are in the form of a new room."""
        [form] = run(_FORM, self.place, self.place)
        self.assertIn("urn:example:manners#on", form)
        self.assertIn("urn:example:dice#on", form)

    def test_tests(self) -> None:
        """The tests on the page run and pass."""
        self.assertEqual(self.trial("test_manners"), "PASSED (successes=6)")
