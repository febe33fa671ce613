# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.clientstate}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Stage
from muccore.stream.clientstate import ClientStateFeature
from muccore.stream.features import BINDING_FEATURES, mergeNonzas
from muccore.xmpp import ns
from muccore.xmpp.element import Element


class FeatureTests(SynchronousTestCase):
    """The stream feature (XEP-0352 §4)."""

    def test_offered(self) -> None:
        """It is offered after the log-in."""
        [feature] = [each for each in BINDING_FEATURES if isinstance(each, ClientStateFeature)]
        self.assertIs(feature.stage, Stage.BINDING)
        [offered] = feature.offer(None)
        self.assertEqual(offered.toXml(), f"<csi xmlns='{ns.CLIENT_STATE}'/>")

    def test_nonzas(self) -> None:
        """Both elements set the state of the session, and are not answered."""
        states: list[bool] = []

        class Session:
            """Notes its state."""

            def setActive(self, active: bool) -> None:
                states.append(active)

        nonzas = mergeNonzas(BINDING_FEATURES)
        session: Any = Session()
        for name in ("inactive", "active"):
            nonzas[ns.CLIENT_STATE, name](session, Element((ns.CLIENT_STATE, name)))
        self.assertEqual(states, [False, True])
