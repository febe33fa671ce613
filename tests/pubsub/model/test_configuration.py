# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.configuration} and L{muccore.pubsub.model.optionkinds}."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.model import configuration as configurations
from muccore.pubsub.model.configuration import (
    AUTHORIZE,
    OPEN,
    OPTIONS,
    PRESENCE,
    PUBLISHERS,
    ROSTER,
    WHITELIST,
    ConfigurationForms,
    Limits,
    NodeConfiguration,
    checkPreconditions,
)
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from tests.pubsub.helpers import form
from tests.pubsub.model.helpers import errorOf

LIMITS = Limits(5, 100, 1000, None)
MODELS = (OPEN, PRESENCE, ROSTER, AUTHORIZE, WHITELIST)
DEFAULT = NodeConfiguration()
FORMS = ConfigurationForms(LIMITS, MODELS)

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=35)

configured = st.builds(
    NodeConfiguration,
    title=_TEXT,
    description=_TEXT,
    type=_TEXT,
    language=_TEXT,
    contact=st.lists(st.sampled_from(["a@localhost", "b@localhost/x", "localhost"]), unique=True).map(tuple),
    accessModel=st.sampled_from(MODELS),
    rosterGroups=st.lists(_TEXT, unique=True, max_size=5).map(tuple),
    publishModel=st.sampled_from(["publishers", "subscribers", "open"]),
    subscribe=st.booleans(),
    deliverNotifications=st.booleans(),
    deliverPayloads=st.booleans(),
    notificationType=st.sampled_from(["headline", "normal"]),
    notifyConfiguration=st.booleans(),
    notifyDelete=st.booleans(),
    notifyRetract=st.booleans(),
    notifySubscriptions=st.booleans(),
    persistItems=st.booleans(),
    maxItems=st.none() | st.integers(1, LIMITS.items),
    itemExpire=st.none() | st.integers(1, 10**6),
    maxPayloadSize=st.none() | st.integers(1, LIMITS.itemSize - 1),
    sendLast=st.sampled_from(["never", "on_sub", "on_sub_and_presence"]),
)
"""Any configuration."""


def formOf(values: dict[str, Any], kind: str = "pubsub#node_config") -> Element:
    """A submitted form."""
    return next(parseStanza(f"<message>{form(kind, values)}</message>").childElements())


def submission(x: Element) -> Element:
    """A form that is submitted as it was sent."""
    copied = x.copy()
    copied.attributes["type"] = "submit"
    return copied


class TableTests(SynchronousTestCase):
    """The table."""

    def test_complete(self) -> None:
        """Each attribute has one row, and each row another name."""
        self.assertEqual({option.attribute for option in OPTIONS}, {each.name for each in fields(NodeConfiguration)})
        self.assertEqual(len({option.name for option in OPTIONS}), len(OPTIONS))

    @settings(max_examples=40)
    @given(configured)
    def test_stored(self, configuration: NodeConfiguration) -> None:
        """What was stored comes back."""
        stored = configurations.toStored(configuration)
        self.assertEqual(configurations.fromStored(stored), configuration)

    def test_storedBefore(self) -> None:
        """What was not stored by an earlier version has its default; what this one does not know is ignored."""
        self.assertEqual(configurations.fromStored({"title": ["A"], "x": ["y"]}), replace(DEFAULT, title="A"))

    @settings(max_examples=40)
    @given(configured, configured)
    def test_form(self, configuration: NodeConfiguration, base: NodeConfiguration) -> None:
        """A form that is submitted as it was sent changes nothing, whatever was there before."""
        x = submission(FORMS.make(configuration))
        self.assertEqual(FORMS.read(x, base), configuration)

    @settings(max_examples=40)
    @given(configured, configured)
    def test_preconditions(self, configuration: NodeConfiguration, other: NodeConfiguration) -> None:
        """What a node has are preconditions that it meets; what another has, only if it is the same."""
        x = submission(FORMS.make(configuration))
        for field in x.childElements():
            if field.get("var") == "FORM_TYPE":
                field.children = []
                field.add("value", text=ns.PUBSUB_PUBLISH_OPTIONS)
        options = FORMS.preconditions(x)
        checkPreconditions(configuration, options)
        same = replace(
            other, contact=tuple(sorted(other.contact)), rosterGroups=tuple(sorted(other.rosterGroups))
        ) == replace(
            configuration,
            contact=tuple(sorted(configuration.contact)),
            rosterGroups=tuple(sorted(configuration.rosterGroups)),
        )
        try:
            checkPreconditions(other, options)
        except StanzaError as e:
            self.assertEqual(errorOf(e), "cancel conflict precondition-not-met")
            self.assertFalse(same)
        else:
            self.assertTrue(same)


class FormTests(SynchronousTestCase):
    """Forms."""

    def read(self, **values: Any) -> NodeConfiguration | None:
        """Submit some values to the default configuration."""
        return FORMS.read(formOf(values), DEFAULT)

    def refusal(self, call: Callable[[], object]) -> tuple[str, str]:
        """The error of a call, and the first word of its text: the name of the field."""
        error = self.assertRaises(StanzaError, call)
        return errorOf(error), (error.text or "").partition(":")[0]

    def test_some(self) -> None:
        """Only what is submitted changes; unknown fields are ignored."""
        expected = replace(DEFAULT, title="A", maxItems=None, itemExpire=60, notifyConfiguration=True)
        values = {"title": "A", "max_items": "max", "item_expire": " 60 ", "notify_config": "true", "unknown": "1"}
        self.assertEqual(self.read(**values), expected)

    def test_cancelled(self) -> None:
        """A form that is cancelled changes nothing."""
        x = formOf({})
        x.attributes["type"] = "cancel"
        self.assertIsNone(FORMS.read(x, DEFAULT))

    def test_refused(self) -> None:
        """Each invalid value is refused, with the name of its field."""
        for name, value in (
            ("title", "x" * 257), ("max_items", "0"), ("max_items", "101"), ("max_items", "-1"), ("max_items", "ten"),
            ("max_items", "1" * 11), ("item_expire", "0"), ("item_expire", "9" * 10), ("max_payload_size", "1001"),
            ("max_payload_size", "max"), ("notify_sub", "maybe"), ("publish_model", "closed"),
            ("send_last_published_item", ""), ("notification_type", "chat"), ("contact", "@"),
            ("roster_groups_allowed", [str(number) for number in range(51)]), ("roster_groups_allowed", "x" * 1024),
        ):  # fmt: skip
            error, field = self.refusal(lambda name=name, value=value: self.read(**{name: value}))  # type: ignore[misc]
            self.assertEqual((error, field), ("modify not-acceptable", f"pubsub#{name}"), value)

    def test_accessModels(self) -> None:
        """An access model that there is not, or that the service does not have, is refused by an error of its own."""
        forms = ConfigurationForms(LIMITS, (OPEN, WHITELIST))
        expected = ("modify not-acceptable unsupported-access-model", "pubsub#access_model")
        for value in ("closed", PRESENCE):
            x = formOf({"access_model": value})
            self.assertEqual(self.refusal(lambda x=x: forms.read(x, DEFAULT)), expected)  # type: ignore[misc]
        shown = next(each for each in forms.make(DEFAULT).childElements() if each.get("var") == "pubsub#access_model")
        self.assertEqual(
            [each.childText("value") for each in shown.childElements() if each.name == "option"], [OPEN, WHITELIST]
        )

    def test_contradiction(self) -> None:
        """Only what the owner publishes can be purged when they go offline."""
        refused = self.refusal(lambda: self.read(purge_offline="1", publish_model="open"))
        self.assertEqual(refused, ("modify not-acceptable", "pubsub#purge_offline"))
        purging = self.read(purge_offline="1")
        self.assertEqual(purging, replace(DEFAULT, purgeOffline=True))
        self.assertEqual(DEFAULT.publishModel, PUBLISHERS)

    def test_omitted(self) -> None:
        """What a service does not offer is neither shown nor read, and no precondition."""
        forms = ConfigurationForms(LIMITS, MODELS, ["purgeOffline"])
        self.assertNotIn("pubsub#purge_offline", [each.get("var") for each in forms.make(DEFAULT).childElements()])
        self.assertEqual(forms.read(formOf({"purge_offline": "1"}), DEFAULT), DEFAULT)
        x = formOf({"purge_offline": "1"}, "pubsub#publish-options")
        self.assertEqual(self.refusal(lambda: forms.preconditions(x))[0], "cancel conflict precondition-not-met")

    def test_groups(self) -> None:
        """The groups of the owner are options; others may be named, too."""
        shown = FORMS.make(replace(DEFAULT, rosterGroups=("Friends",)), groups=["Friends", "Servants"])
        field = next(each for each in shown.childElements() if each.get("var") == "pubsub#roster_groups_allowed")
        values = [each.childText("value") if each.name == "option" else each.text() for each in field.childElements()]
        self.assertEqual(sorted(map(str, values)), ["Friends", "Friends", "Servants"])
        changed = self.read(roster_groups_allowed=["Others", "Friends"])
        assert changed is not None
        self.assertEqual(changed.rosterGroups, ("Others", "Friends"))

    def test_limits(self) -> None:
        """What a service allows bounds what a node has, if it was configured before, too."""
        configuration = replace(DEFAULT, maxItems=90, maxPayloadSize=900)
        self.assertEqual((configuration.kept(LIMITS), configuration.payloadSize(LIMITS)), (90, 900))
        lower = Limits(5, 10, 100, None)
        self.assertEqual((configuration.kept(lower), configuration.payloadSize(lower)), (10, 100))
        most = replace(DEFAULT, maxItems=None)
        self.assertEqual((most.kept(LIMITS), most.payloadSize(LIMITS)), (100, 1000))
        self.assertEqual(replace(most, persistItems=False).kept(LIMITS), 0)
        self.assertEqual((DEFAULT.since(500.0), replace(DEFAULT, itemExpire=60).since(500.0)), (0.0, 440.0))

    def test_unknownPrecondition(self) -> None:
        """A precondition that is no option of a node is refused (§7.1.5)."""
        x = formOf({"color": "red"}, "pubsub#publish-options")
        self.assertEqual(
            self.refusal(lambda: FORMS.preconditions(x)), ("cancel conflict precondition-not-met", "pubsub#color")
        )

    def test_creating(self) -> None:
        """A node that a publication creates has its options, and the rest is as by default."""
        options = FORMS.preconditions(formOf({"access_model": "open", "max_items": "max"}, "pubsub#publish-options"))
        self.assertEqual(FORMS.withOptions(DEFAULT, options), replace(DEFAULT, accessModel=OPEN, maxItems=None))
        contradicting = {"purgeOffline": True, "publishModel": "open"}
        self.refusal(lambda: FORMS.withOptions(DEFAULT, contradicting))

    def test_preconditionsCancelled(self) -> None:
        """Options of a publication cannot be cancelled."""
        x = formOf({}, "pubsub#publish-options")
        x.attributes["type"] = "cancel"
        self.assertEqual(self.refusal(lambda: FORMS.preconditions(x))[0], "modify bad-request")


