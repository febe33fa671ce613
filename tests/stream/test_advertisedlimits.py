# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.advertisedlimits}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.advertisedlimits import AdvertisedLimits
from muccore.xmpp.rendering import render


class AdvertisedLimitsTests(SynchronousTestCase):
    """L{AdvertisedLimits}"""

    def test_offered(self) -> None:
        """The limits are offered to every stream; without a time there is none."""
        start = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes>"
        for idle, expected in ((None, f"{start}</limits>"), (180, f"{start}<idle-seconds>180</idle-seconds></limits>")):
            feature = AdvertisedLimits(Stage.BINDING, 10000, idle)
            self.assertTrue(verifyObject(IStreamFeature, feature))
            for secure in (False, True):
                [offered] = feature.offer(Offering(secure, None))
                self.assertEqual(render(offered).decode(), expected)
