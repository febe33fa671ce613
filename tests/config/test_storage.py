# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.config.storage}."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError
from muccore.config.load import parse
from muccore.config.schema import Settings
from muccore.server.stores import ServerStores, occupantsPlace, permanent, placeOfUsers

POSTGRESQL = "postgresql://muccore:s3cret@127.0.0.1/muccore"
JOURNAL = f"{POSTGRESQL}?journal=var/archive"
KINDS = ("rooms", "archive", "audit", "rosters", "userdata", "pubsub")


def read(storage: Mapping[str, str], backend: str | None = None) -> Settings:
    """Read a configuration."""
    auth = "" if backend is None else f"backend = {backend}\n"
    lines = "".join(f"{key} = {value}\n" for key, value in storage.items())
    text = (
        f"[server]\ndomain = x\n[c2s]\nlisten = tcp:0:interface=127.0.0.1\ntls = off\n[auth]\n{auth}"
        f"[storage]\n{lines}[muc]\ndomain = conference.x\n"
    )
    return parse(text.encode(), "/base/server.cfg")


class PlaceTests(SynchronousTestCase):
    """Where everything is."""

    def places(self, storage: Mapping[str, str], backend: str | None = None) -> dict[str, tuple[str, str]]:
        """Key and description of each kind."""
        settings = read(storage, backend)
        found = {}
        for kind in KINDS:
            (section, key), description = settings.storage.placeOf(kind)
            self.assertEqual(section, "storage")
            found[kind] = (key, description)
        [host] = settings.hosts
        for kind in ("userdata", "pubsub"):
            (section, key), description = placeOfUsers(kind, settings, host)
            found[kind] = (f"[{section}] {key}", description or "")
        found["accounts"] = (" ".join(host.accountsAt), host.accounts)
        return found

    def test_default(self) -> None:
        """It is the place of everything that has no key of its own."""
        for default in ("sqlite:all.db", "memory:", JOURNAL):
            expected = dict.fromkeys(KINDS, ("default", default))
            expected |= dict.fromkeys(("userdata", "pubsub"), ("[storage] default", default))
            expected["accounts"] = ("storage default", default)
            self.assertEqual(self.places({"default": default}), expected)

    def test_own(self) -> None:
        """A key of its own counts more."""
        places = self.places({"default": "memory:", "rooms": "sqlite:r", "rosters": "sqlite:c"}, "sqlite:a")
        self.assertEqual(
            places,
            {
                "rooms": ("rooms", "sqlite:r"), "rosters": ("rosters", "sqlite:c"), "archive": ("default", "memory:"),
                "audit": ("default", "memory:"), "userdata": ("[storage] default", "memory:"),
                "pubsub": ("[storage] default", "memory:"), "accounts": ("auth backend", "sqlite:a"),
            },
        )  # fmt: skip

    def test_withoutDefault(self) -> None:
        """Without it, audit trails and rosters are where rooms are, documents where accounts are, archives nowhere."""
        for key in ("rooms", "affiliations"):
            places = self.places({key: "sqlite:r"}, "sqlite:a")
            for kind in ("rooms", "audit", "rosters"):
                self.assertEqual(places[kind], (key, "sqlite:r"))
            self.assertEqual(places["archive"], ("archive", ""))
            others = self.places({key: "sqlite:r"}, "insecure:")
            for kind in ("userdata", "pubsub"):
                self.assertEqual(places[kind], ("[auth] backend", "sqlite:a"))
                self.assertEqual(others[kind], (f"[storage] {key}", "sqlite:r"))

    def test_noArchive(self) -> None:
        """With a default, there is no archive if its key has no value."""
        self.assertEqual(self.places({"default": "memory:", "archive": ""})["archive"], ("archive", ""))
        self.assertEqual(self.places({"default": POSTGRESQL, "archive": ""})["rooms"], ("default", POSTGRESQL))
        self.assertIsNone(ServerStores(read({"default": "memory:", "archive": ""}), object()).archive)

    def test_occupants(self) -> None:
        """Occupants are where the default says if that can be, else beside the rooms."""
        for storage, place in (
            ({"default": "memory:"}, "memory:"),
            ({"default": "sqlite:all.db"}, "file:all.db-occupants"),
            ({"default": JOURNAL}, "memory:"),
            ({"default": JOURNAL, "occupants": "file:o"}, "file:o"),
            ({"default": "memory:", "rooms": "sqlite:r"}, "memory:"),
        ):
            self.assertEqual(occupantsPlace(read(storage)), place)

    def test_stores(self) -> None:
        """All stores are made, and are named by the key that says where they are."""
        settings = read({"default": "sqlite:all.db", "rooms": "sqlite:r"})
        keys = [key for (_, key), _ in ServerStores(settings, object()).all]
        self.assertEqual(keys, ["default", "rooms", "occupants", *["default"] * 5])
        self.assertEqual(
            dict(permanent(settings)),
            {
                "accounts of x": "sqlite:all.db", "userdata of x": "sqlite:all.db",
                "pubsub of x": "sqlite:all.db", "rooms": "sqlite:r", "archive": "sqlite:all.db",
                "audit": "sqlite:all.db", "rosters": "sqlite:all.db",
            },
        )  # fmt: skip


class ProblemTests(SynchronousTestCase):
    """What is refused."""

    def problems(self, storage: Mapping[str, str], backend: str | None = None) -> list[str]:
        """The lines for the operator, which have no password."""
        error = self.assertRaises(ConfigError, read, storage, backend)
        lines = [str(problem) for problem in error.problems]
        self.assertNotIn("s3cret", "".join(lines))
        return lines

    def test_bothNames(self) -> None:
        """Rooms have one key, under either name."""
        [line] = self.problems({"rooms": "memory:", "affiliations": "memory:"}, "memory:")
        self.assertIn('[storage] affiliations: found it beside "rooms"', line)
        self.assertIn("server.cfg:10:", line)

    def test_nothing(self) -> None:
        """Accounts and rooms must be somewhere."""
        lines = self.problems({})
        for place in ("[auth] backend", "[storage] rooms"):
            self.assertEqual(len([line for line in lines if f"{place}: found nothing, and there" in line]), 1, lines)
        self.assertEqual(len(lines), 2)
        self.assertIn("server.cfg:6: [auth]", "".join(lines))

    def test_unsuitable(self) -> None:
        """The default must be a place for what has no key of its own."""
        for default, problem in (
            ("nowhere:", "unknown store"), ("sqlite:", "needs the path"), ("postgresql://h", "name of a database"),
            ("ldaps:", ""), (POSTGRESQL, "journal=PATH"),
        ):  # fmt: skip
            lines = self.problems({"default": default})
            self.assertTrue(all("[storage] default" in line for line in lines), lines)
            self.assertIn(problem, lines[0])
        [line] = self.problems({"default": "file:x"}, "memory:")
        self.assertIn("a store that has no rooms", line)
        [line] = self.problems({"default": "file:x", "rooms": "memory:"})
        self.assertIn("a store that has no accounts", line)
