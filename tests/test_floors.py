# Copyright (c) The muccore authors. See LICENSE for details.
"""Check imports against the floors of C{docs/ARCHITECTURE.md}."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 450

FLOORS: dict[str, int] = {
    "muccore": 0,
    "muccore.compat": 0,
    "muccore.interfaces.*": 0,
    "muccore.log.*": 0,
    "muccore.xmpp.*": 0,
    "muccore.net.*": 1,
    "muccore.stream.*": 1,
    "muccore.session.*": 2,
    "muccore.routing.*": 3,
    "muccore.http.*": 4,
    "muccore.im.*": 4,
    "muccore.muc.*": 4,
    "muccore.pubsub.*": 4,
    "muccore.services.*": 4,
    "muccore.storage.*": 4,
    "muccore.config.*": 5,
    "muccore.operations.*": 5,
    "muccore.server.*": 5,
    "muccore.tap": 5,
    "muccore.testing.*": 5,
    "muccore.tools.*": 5,
}
"""The floor of each module. A name that ends in C{.*} covers a package with all its modules."""

RESTRICTED: dict[str, tuple[str, ...]] = {
    "muccore.http.*": ("muccore.http.*", "muccore.routing.handler"),
    "muccore.im.*": ("muccore.im.*", "muccore.net.slices", "muccore.routing.*"),
    "muccore.muc.*": (
        "muccore.net.limits",
        "muccore.net.slices",
        "muccore.net.timingwheel",
        "muccore.routing.handler",
        "muccore.routing.loading",
        "muccore.muc.*",
    ),
    "muccore.pubsub.*": (
        "muccore.net.slices",
        "muccore.pubsub.*",
        "muccore.routing.handler",
        "muccore.routing.turns",
    ),
    "muccore.services.*": ("muccore.routing.handler", "muccore.services.administration.*"),
    "muccore.storage.*": ("muccore.storage.*",),
}
"""What the packages of floor 4 may import besides floor 0."""


def covers(pattern: str, name: str) -> bool:
    """Whether an entry of a table covers a module."""
    package = pattern.removesuffix(".*")
    return name == package or (package != pattern and name.startswith(package + "."))


def modules() -> dict[str, Path]:
    """The name and file of every module of the package."""
    found = {}
    for path in sorted(ROOT.joinpath("muccore").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def package() -> tuple[dict[str, Path], dict[str, str], dict[str, ast.Module]]:
    """The file, text and syntax tree of every module of the package."""
    files = modules()
    sources = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    return files, sources, {name: ast.parse(source) for name, source in sources.items()}


def imported(tree: ast.AST, known: dict[str, Path], running: bool = False) -> Iterator[tuple[int, str]]:
    """
    The modules of the package that a module imports, at its top or elsewhere.

    @param running: leave out imports for annotations, which never run.
    @return: line numbers and names.
    """
    idle: set[ast.AST] = set()
    for node in ast.walk(tree):
        if running and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            idle.update(each for statement in node.body for each in ast.walk(statement))
        if node in idle:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in known else base for name in names]
        else:
            continue
        for name in names:
            if name.startswith((".", "muccore.")) or name == "muccore":
                yield node.lineno, name


def refusal(importer: str, target: str, floors: dict[str, int]) -> str | None:
    """
    Why a module may not import another one.

    @param floors: the floor of each module.
    @return: C{None} if it may.
    """
    if target not in floors:
        return "which is no module (relative imports are not used)"
    if floors[target] > floors[importer]:
        return f"from floor {floors[target]} to floor {floors[importer]}: upward"
    for restricted, allowed in RESTRICTED.items():
        if covers(restricted, importer) and floors[target] > 0 and not any(covers(each, target) for each in allowed):
            return f"but {restricted} may import only floor 0 and {', '.join(allowed)}"
    return None


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """
    Modules that import each other in a cycle.

    @return: the cycle, its first module repeated at its end; empty if there is none.
    """
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(edges.get(name, ())):
            found = walk(target, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    for name in sorted(edges):
        found = walk(name, [])
        if found:
            return found
    return []


class FloorTests(SynchronousTestCase):
    """The package as it is."""

    def setUp(self) -> None:
        """Read every module, once for all tests."""
        self.files, self.sources, self.trees = package()
        self.floors = {name: floor for name in self.files for pattern, floor in FLOORS.items() if covers(pattern, name)}

    def test_everyModuleHasAFloor(self) -> None:
        """Each module has a floor."""
        self.assertEqual(sorted(self.files.keys() - self.floors.keys()), [])

    def test_nothingIsLeftInTheTable(self) -> None:
        """Each entry of the tables covers a module."""
        patterns = {*FLOORS, *RESTRICTED, *(door for doors in RESTRICTED.values() for door in doors)}
        self.assertEqual([each for each in patterns if not any(covers(each, name) for name in self.files)], [])

    def test_noUpwardImports(self) -> None:
        """A module imports from its own floor and below only; those of floor 4 are restricted further."""
        wrong = [
            f"{self.files[name].relative_to(ROOT)}:{line}: imports {target}, {why}"
            for name, tree in self.trees.items()
            for line, target in imported(tree, self.files)
            if name in self.floors and (why := refusal(name, target, self.floors)) is not None
        ]
        self.assertEqual(wrong, [])

    def test_noCycles(self) -> None:
        """No modules import each other in a cycle, not even within functions. Annotations may."""
        edges = {name: {each for _, each in imported(tree, self.files, True)} for name, tree in self.trees.items()}
        self.assertEqual(cycle(edges), [])

    def test_noLongModules(self) -> None:
        """No module has more than 450 lines."""
        lengths = {name: len(source.splitlines()) for name, source in self.sources.items()}
        self.assertEqual({name: length for name, length in lengths.items() if length > LONGEST}, {})

    def test_everyModuleSaysWhatItIsFor(self) -> None:
        """Each module has a docstring and a licence line."""
        self.assertEqual([name for name, tree in self.trees.items() if not ast.get_docstring(tree)], [])
        notice = "# Copyright (c) The muccore authors. See LICENSE for details."
        self.assertEqual([name for name, source in self.sources.items() if notice not in source.split("\n")[:2]], [])

    def test_testCaseNames(self) -> None:
        """The tests that a module names exist; a module with tests under its name names them."""
        wrong = []
        for name, source in self.sources.items():
            package, _, last = name.removeprefix("muccore").rpartition(".")
            mirror = ROOT.joinpath("tests", *package.split("."), f"test_{last}.py")
            first = source.split("\n", 1)[0]
            if first.startswith("# -*- test-case-name: ") and first.endswith(" -*-"):
                for each in first.removeprefix("# -*- test-case-name: ").removesuffix(" -*-").split(","):
                    tests = ROOT.joinpath(*each.strip().split("."))
                    if not tests.with_suffix(".py").is_file() and not tests.joinpath("__init__.py").is_file():
                        wrong.append(f"{name}: there is no {each}")
            elif "test-case-name" in first:
                wrong.append(f"{name}: cannot read {first!r}")
            elif mirror.is_file():
                wrong.append(f"{name}: does not name {mirror.relative_to(ROOT)}")
        self.assertEqual(wrong, [])

    def test_reactorOnTopFloorOnly(self) -> None:
        """No module below floor 5 imports the reactor anywhere."""
        wrong = []
        for name, tree in self.trees.items():
            if self.floors.get(name) == 5:
                continue
            for node in ast.walk(tree):
                names = [alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)]
                wanted = "reactor" if getattr(node, "module", "") == "twisted.internet" else "twisted.internet.reactor"
                if wanted in names or getattr(node, "module", "") == "twisted.internet.reactor":
                    wrong.append(f"{name}:{node.lineno}")
        self.assertEqual(wrong, [])

    def test_importingInstallsNoReactor(self) -> None:
        """Importing everything below floor 5 installs no reactor, so that an embedding program can choose one."""
        names = [name for name in self.files if self.floors.get(name, 5) < 5]
        self.assertIn("muccore.muc.handler", names)
        script = "import importlib, json, sys\n" + "".join(f"importlib.import_module({name!r})\n" for name in names)
        script += "print(json.dumps('twisted.internet.reactor' in sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True
        )
        self.assertIs(json.loads(done.stdout), False)


class CheckerTests(SynchronousTestCase):
    """The checks notice what they look for."""

    def test_imports(self) -> None:
        """
        Every form of import is read, in functions as well; other packages are ignored, and imports for annotations
        recognized.
        """
        known = dict.fromkeys(["muccore", "muccore.xmpp.jid", "muccore.muc", "muccore.muc.model.room"], ROOT)
        source = (
            "import os, muccore.xmpp.jid\n"
            "from muccore.xmpp import jid\nfrom muccore import __version__\n"
            "from muccore.muc.model.room import Room, Seat\n"
            "from twisted.internet import defer\n"
            "def f():\n"
            "    from . import jid\n"
        )
        running = [
            (1, "muccore.xmpp.jid"), (2, "muccore.xmpp.jid"), (3, "muccore"), (4, "muccore.muc.model.room"), (7, "."),
        ]  # fmt: skip
        self.assertEqual(sorted(set(imported(ast.parse(source), known))), running)
        tree = ast.parse(f"{source}if TYPE_CHECKING:\n    import muccore.muc\n")
        self.assertEqual(sorted(set(imported(tree, known, running=True))), running)
        self.assertEqual(sorted(set(imported(tree, known))), [*running, (9, "muccore.muc")])

    def test_refusals(self) -> None:
        """Upward imports, and those between packages of floor 4, are refused; downward ones are not."""
        floors = {
            "muccore.xmpp.jid": 0,
            "muccore.stream.c2s": 1,
            "muccore.session.session": 2,
            "muccore.routing.handler": 3,
            "muccore.services.disco": 4,
            "muccore.muc.model.room": 4,
            "muccore.storage.memory": 4,
            "muccore.server.service": 5,
        }
        allowed = [
            (importer, target)
            for importer in floors
            for target in floors
            if importer != target and refusal(importer, target, floors) is None
        ]
        self.assertEqual(
            allowed,
            [
                ("muccore.stream.c2s", "muccore.xmpp.jid"),
                ("muccore.session.session", "muccore.xmpp.jid"),
                ("muccore.session.session", "muccore.stream.c2s"),
                ("muccore.routing.handler", "muccore.xmpp.jid"),
                ("muccore.routing.handler", "muccore.stream.c2s"),
                ("muccore.routing.handler", "muccore.session.session"),
                ("muccore.services.disco", "muccore.xmpp.jid"),
                ("muccore.services.disco", "muccore.routing.handler"),
                ("muccore.muc.model.room", "muccore.xmpp.jid"),
                ("muccore.muc.model.room", "muccore.routing.handler"),
                ("muccore.storage.memory", "muccore.xmpp.jid"),
                *(("muccore.server.service", target) for target in floors if target != "muccore.server.service"),
            ],
        )
        self.assertIsNotNone(refusal("muccore.xmpp.jid", ".", floors))

    def test_cycle(self) -> None:
        """A cycle is found whatever its length and start; without one, none is found."""
        self.assertEqual(cycle({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}), [])
        self.assertEqual(cycle({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}), ["b", "c", "d", "b"])
        self.assertEqual(cycle({"a": {"a"}}), ["a", "a"])
