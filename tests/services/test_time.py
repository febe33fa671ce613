# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.time}."""

import time

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.time import TimeHandler
from muccore.xmpp.datetimes import parseStamp
from tests.routing.helpers import Server, canonical, xml


class TimeTests(SynchronousTestCase):
    """XEP-0202 §2"""

    def ask(self, handler: TimeHandler) -> list[str]:
        """Request the time; return what comes back."""
        server = Server()
        server.add("localhost", handler)
        romeo = server.connect("romeo@localhost/orchard")
        return romeo.ask("<iq type='get' id='1' to='localhost'><time xmlns='urn:xmpp:time'/></iq>")

    def test_time(self) -> None:
        """The time is in UTC, without an offset."""
        self.assertEqual(
            self.ask(TimeHandler(lambda: 1166551115.75)),
            canonical(
                "<iq type='result' id='1' from='localhost' to='romeo@localhost/orchard'><time xmlns='urn:xmpp:time'>"
                "<tzo>+00:00</tzo><utc>2006-12-19T17:58:35Z</utc></time></iq>"
            ),
        )

    def test_now(self) -> None:
        """By default it is the time of the machine."""
        before = int(time.time())
        [answer] = self.ask(TimeHandler())
        [element] = xml(answer).childElements()
        utc = element.child("utc")
        assert utc is not None
        self.assertTrue(before <= parseStamp(utc.text()) <= time.time())

    def test_declared(self) -> None:
        """§3: it is in disco and in the documentation."""
        self.assertEqual((TimeHandler.features, TimeHandler.implements[0].number), (("urn:xmpp:time",), 202))
