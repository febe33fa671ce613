# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.pubsub}: publish-subscribe from the configuration."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.domain import PubSubDomainHandler
from muccore.server.assembly import ServerComponents
from muccore.server.pubsub import pubSubLimits, pubSubSettings
from muccore.testing.server import makeSettings
from muccore.xmpp.jid import parse

GUEST = "0a4d55a8-d778-422e-8a8e-bf0a1cf2b7d3"


class SettingsTests(SynchronousTestCase):
    """Settings made from the configuration."""

    def test_users(self) -> None:
        """What users may publish is in C{[users]}."""
        values = {"pubsub_nodes": "3", "pubsub_items": "4", "pubsub_item_size": "5 KiB", "pubsub_data": "6 KiB"}
        limits = pubSubLimits(makeSettings(users=values))
        self.assertEqual((limits.nodes, limits.items, limits.itemSize, limits.totalSize), (3, 4, 5120, 6144))

    def test_services(self) -> None:
        """What services may have is in C{[pubsub]}."""
        values = {
            "domain": "pubsub.localhost", "name": "News", "nodes": "3", "items": "4", "item_size": "5 KiB",
            "nodes_per_user": "6", "subscriptions": "7",
        }  # fmt: skip
        made = pubSubSettings(makeSettings(pubsub=values))
        self.assertEqual((made.name, made.nodesPerUser), ("News", 6))
        limits = made.limits
        self.assertEqual((limits.nodes, limits.items, limits.itemSize, limits.subscriptions), (3, 4, 5120, 7))
        self.assertIsNone(limits.totalSize)

    def test_creation(self) -> None:
        """Anyone, accounts of this server, or nobody may create nodes; guests may not."""
        for creation, expected in (("anyone", [True, True, True, False]), ("local", [True, True, False, False]),
                                   ("nobody", [False] * 4)):  # fmt: skip
            settings: Any = {"pubsub": {"creation": creation}, "host b.example": {}, "auth": {"anonymous": "yes"}}
            mayCreate = pubSubSettings(makeSettings(**settings)).mayCreate
            senders = ("juliet@localhost", "romeo@b.example", "nurse@c.example", f"{GUEST}@localhost")
            self.assertEqual([mayCreate(parse(f"{sender}/pc")) for sender in senders], expected)


class DocumentTests(SynchronousTestCase):
    """C{docs/pubsub.md}"""

    def test_example(self) -> None:
        """Its configuration makes a service, with the limits that it names."""
        page = Path(__file__).parents[2].joinpath("docs", "pubsub.md").read_text("utf-8")
        [example] = re.findall(r"^```ini\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        parser = ConfigParser()
        parser.read_string(example)
        settings = makeSettings(**{name: dict(parser[name]) for name in parser.sections()})
        self.assertEqual(settings.pubsub.domain, ("pubsub.example.org",))
        made = pubSubSettings(settings)
        numbers = (made.nodesPerUser, made.limits.nodes, made.limits.items, made.limits.itemSize // 1024)
        self.assertEqual((*numbers, made.limits.subscriptions), (20, 1000, 500, 64, 10000))
        self.assertEqual(settings.pubsub.creation, "local")


class AssemblyTests(SynchronousTestCase):
    """A server with such a service."""

    def test_service(self) -> None:
        """It has its domain, is found by the users of the first host, and forgets accounts of all hosts."""
        settings: Any = {"pubsub": {"domain": "pubsub.localhost"}, "host b.example": {}}
        made = ServerComponents(makeSettings(**settings), Clock())
        self.successResultOf(made.open())
        first, second = made.hosts
        self.assertEqual([domain.name for domain in first.pubSubDomains], ["pubsub.localhost"])
        self.assertEqual(second.pubSubDomains, [])
        [handler] = [each for each in first.pubSubDomains[0] if isinstance(each, PubSubDomainHandler)]
        self.assertIn(("pubsub.localhost", "Publish-subscribe"), list(first.handlers.disco._items()))
        for host in made.hosts:
            assert host.handlers.accounts is not None
            self.assertEqual(host.handlers.accounts.removers["subscriptions to pubsub.localhost"], handler.forgetEntity)
        made.reconfigure(makeSettings(pubsub={"domain": "pubsub.localhost", "name": "News"}), {})
        self.assertEqual(handler.settings.name, "News")
