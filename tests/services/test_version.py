# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.version}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore import __version__
from muccore.services.version import VersionHandler
from tests.routing.helpers import Server, canonical


class VersionTests(SynchronousTestCase):
    """XEP-0092 §2"""

    def ask(self, handler: VersionHandler) -> list[str]:
        """What the server tells Romeo."""
        server = Server()
        server.add("localhost", handler)
        romeo = server.connect("romeo@localhost/orchard")
        return romeo.ask("<iq type='get' id='1' to='localhost'><query xmlns='jabber:iq:version'/></iq>")

    def result(self, inside: str) -> list[str]:
        """A result as it comes back."""
        return canonical(
            "<iq type='result' id='1' from='localhost' to='romeo@localhost/orchard'>"
            f"<query xmlns='jabber:iq:version'>{inside}</query></iq>"
        )

    def test_default(self) -> None:
        """Name and version; the operating system is not told (§5)."""
        expected = self.result(f"<name>muccore</name><version>{__version__}</version>")
        self.assertEqual(self.ask(VersionHandler()), expected)

    def test_configured(self) -> None:
        """Both can be set."""
        expected = self.result("<name>a&amp;b</name><version>1</version>")
        self.assertEqual(self.ask(VersionHandler("a&b", "1")), expected)

    def test_declared(self) -> None:
        """§4: it is told by disco, and in the documentation."""
        self.assertEqual((VersionHandler.features, VersionHandler.implements[0].number), (("jabber:iq:version",), 92))
