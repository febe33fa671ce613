# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.version}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore import __version__
from muccore.services.version import VersionHandler
from tests.routing.helpers import Server, canonical


class VersionTests(SynchronousTestCase):
    """XEP-0092 §2"""

    def test_version(self) -> None:
        """The result has name and version, by default muccore's; the operating system is not disclosed (§5)."""
        for handler, fields in (
            (VersionHandler(), f"<name>muccore</name><version>{__version__}</version>"),
            (VersionHandler("a&b", "1"), "<name>a&amp;b</name><version>1</version>"),
        ):
            server = Server()
            server.add("localhost", handler)
            romeo = server.connect("romeo@localhost/orchard")
            self.assertEqual(
                romeo.ask("<iq type='get' id='1' to='localhost'><query xmlns='jabber:iq:version'/></iq>"),
                canonical(
                    "<iq type='result' id='1' from='localhost' to='romeo@localhost/orchard'>"
                    f"<query xmlns='jabber:iq:version'>{fields}</query></iq>"
                ),
            )

    def test_declared(self) -> None:
        """§4: it is in disco and in the documentation."""
        self.assertEqual((VersionHandler.features, VersionHandler.implements[0].number), (("jabber:iq:version",), 92))
