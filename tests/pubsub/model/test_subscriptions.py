# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.subscriptions}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.model.subscriptions import DEFAULT, Subscription, SubscriptionOptions
from muccore.xmpp.errors import StanzaError
from tests.pubsub.model.helpers import errorOf
from tests.pubsub.model.test_configuration import formOf, submission

KIND = "pubsub#subscribe_options"


class SubscriptionTests(SynchronousTestCase):
    """Subscriptions and their options."""

    def test_stored(self) -> None:
        """What was stored comes back."""
        for options in (DEFAULT, SubscriptionOptions(False)):
            subscription = Subscription("1", "pending", options)
            self.assertEqual(Subscription.fromStored(subscription.stored), subscription)

    def test_form(self) -> None:
        """A form that is submitted as it was sent changes nothing; an empty one does not either, nor one cancelled."""
        for options in (DEFAULT, SubscriptionOptions(False)):
            for other in (DEFAULT, SubscriptionOptions(False)):
                self.assertEqual(other.changed(submission(options.form())), options)
            self.assertEqual(options.changed(formOf({}, KIND)), options)
        cancelled = formOf({"deliver": "0"}, KIND)
        cancelled.attributes["type"] = "cancel"
        self.assertIsNone(DEFAULT.changed(cancelled))

    def test_refused(self) -> None:
        """Invalid options are refused (§6.3.6), and so is a request without a form."""
        for x in (formOf({"deliver": "maybe"}, KIND), formOf({"deliver": "1"}), None):
            error = self.assertRaises(StanzaError, DEFAULT.changed, x)
            self.assertEqual(errorOf(error), "modify bad-request invalid-options")
