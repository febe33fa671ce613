# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.management} (XEP-0060 §8.1 to §8.5)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, form, refused, told


def values(answer: Element) -> dict[str, list[str]]:
    """The values of the form in an answer, by names without C{pubsub#}."""
    element = next(next(answer.childElements()).childElements())
    x = element.child("x", ns.DATA)
    assert x is not None
    return {
        (field.get("var") or "").removeprefix("pubsub#"): [
            value.text() for value in field.childElements() if value.name == "value"
        ]
        for field in x.childElements()
    }


class ManagementTests(PEPTestCase):
    """Juliet's nodes."""

    def setUp(self) -> None:
        """She hears of them, and Romeo, too."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.befriend(JULIET, ROMEO)
        self.present(self.juliet, TUNE)
        self.present(self.romeo, TUNE)

    def create(self, attribute: str = f" node='{TUNE}'", client: Client | None = None, configure: str = "") -> str:
        """Create a node of Juliet's; return the outcome."""
        return refused(self.ask(client or self.juliet, "set", f"<create{attribute}/>{configure}", JULIET))

    def configured(self, **given: str) -> str:
        """C{<configure/>}."""
        return f"<configure>{form('pubsub#node_config', dict(given))}</configure>"

    def test_created(self) -> None:
        """A node has the default configuration or another one (§8.1)."""
        self.assertEqual(self.create(), "result")
        self.assertEqual(self.create(" node='b'", configure=self.configured(access_model="open", title="B")), "result")
        self.assertEqual(self.create(" node='c'", configure="<configure/>"), "result")
        self.assertEqual(self.further, [])
        for node, access in ((TUNE, "presence"), ("b", "open"), ("c", "presence")):
            found = values(self.own(self.juliet, "get", f"<configure node='{node}'/>"))
            self.assertEqual((found["access_model"], found["max_items"]), ([access], ["1"]))

    def test_instant(self) -> None:
        """Without a name the service makes one (§8.1.1)."""
        answer = self.ask(self.juliet, "set", "<create/>")
        [created] = next(answer.childElements()).childElements()
        self.assertEqual(self.publish(self.juliet, created["node"]), "result")

    def test_notCreated(self) -> None:
        """Each mistake has its error."""
        self.create()
        self.assertEqual(self.create(), "cancel conflict")
        self.assertEqual(self.create(" node='a'", self.romeo), "auth forbidden")
        self.assertEqual(self.create(f" node='{'x' * 513}'"), "modify not-acceptable")
        for given, expected in (({"access_model": "x"}, " unsupported-access-model"), ({"max_items": "11"}, "")):
            outcome = self.create(" node='a'", configure=self.configured(**given))
            self.assertEqual(outcome, f"modify not-acceptable{expected}")
        named = self.configured().replace("<configure>", "<configure node='a'>")
        self.assertEqual(self.create(" node='a'", configure=named), "modify bad-request")
        before = refused(self.ask(self.juliet, "set", f"{self.configured()}<create node='a'/>"))
        self.assertEqual(before, "modify bad-request")
        cancelled = f"<configure>{form('pubsub#node_config', {}, 'cancel')}</configure>"
        self.assertEqual(self.create(" node='a'", configure=cancelled), "modify bad-request")

    def test_configured(self) -> None:
        """Owners see the whole configuration and change it (§8.2); too many items go."""
        for id in "abc":
            self.publish(self.juliet, id=id, max_items="max")
        x = form("pubsub#node_config", {"max_items": "2", "title": "Tunes"})
        self.assertEqual(self.own(self.juliet, "set", f"<configure node='{TUNE}'>{x}</configure>")["type"], "result")
        self.assertEqual(self.further, [])
        self.assertEqual(self.items(self.romeo, to=JULIET), "b c")
        found = values(self.own(self.juliet, "get", f"<configure node='{TUNE}'/>"))
        self.assertEqual((found["max_items"], found["title"], found["persist_items"]), (["2"], ["Tunes"], ["1"]))
        self.assertEqual(found["FORM_TYPE"], [ns.PUBSUB_NODE_CONFIG])
        cancelled = form("pubsub#node_config", {"title": "X"}, "cancel")
        answer = self.own(self.juliet, "set", f"<configure node='{TUNE}'>{cancelled}</configure>")
        self.assertEqual(answer["type"], "result")
        self.assertEqual(values(self.own(self.juliet, "get", f"<configure node='{TUNE}'/>"))["title"], ["Tunes"])

    def test_groups(self) -> None:
        """The form offers the groups of the roster."""
        self.create()
        self.befriend(JULIET, ROMEO, groups=["Friends", "Work"])
        text = render(self.own(self.juliet, "get", f"<configure node='{TUNE}'/>")).decode()
        for group in ("Friends", "Work"):
            self.assertIn(f"<option label='{group}'><value>{group}</value></option>", text)

    def test_configurationTold(self) -> None:
        """Subscribers are told of a new configuration if it says so (§8.2.5.3)."""
        self.create()
        for given, expected in (
            ({"notify_config": "1"}, [f"configuration {TUNE} x"]),
            ({"title": "A", "deliver_payloads": "0"}, [f"configuration {TUNE}"]), ({"title": "A"}, []),
            ({"title": "B", "notify_config": "0"}, []),
        ):  # fmt: skip
            x = form("pubsub#node_config", dict(given))
            self.own(self.juliet, "set", f"<configure node='{TUNE}'>{x}</configure>")
            self.assertEqual([told(each) for each in self.further], expected)
            self.assertEqual(self.heard(self.romeo), expected)

    def test_default(self) -> None:
        """The configuration of new nodes can be asked for (§8.3)."""
        found = values(self.own(self.juliet, "get", "<default/>"))
        self.assertEqual(found["access_model"], ["presence"])
        self.assertEqual(found["send_last_published_item"], ["on_sub_and_presence"])

    def test_notConfigured(self) -> None:
        """Each mistake has its error (§8.2.3)."""
        self.create()
        x = form("pubsub#node_config", {"max_items": "0"})
        for type, inside in (("get", ""), ("set", x)):
            for client, attribute, expected in (
                (self.romeo, f" node='{TUNE}'", "auth forbidden"),
                (self.juliet, "", "modify bad-request nodeid-required"),
                (self.juliet, " node='x'", "cancel item-not-found"),
            ):
                answer = self.own(client, type, f"<configure{attribute}>{inside}</configure>", JULIET)
                self.assertEqual(refused(answer), expected)
        for inside, expected in ((x, "modify not-acceptable"), ("", "modify bad-request")):
            answer = self.own(self.juliet, "set", f"<configure node='{TUNE}'>{inside}</configure>")
            self.assertEqual(refused(answer), expected)

    def test_deleted(self) -> None:
        """Subscribers are told, perhaps where to go instead (§8.4); then there is no such node."""
        redirect = "<redirect uri='xmpp:a@b'/>"
        for inside, expected in (("", f"delete {TUNE}"), (redirect, f"delete {TUNE} redirect xmpp:a@b")):
            self.publish(self.juliet)
            self.romeo.received()
            answer = self.own(self.juliet, "set", f"<delete node='{TUNE}'>{inside}</delete>")
            self.assertEqual(answer["type"], "result")
            self.assertEqual([told(each) for each in self.further], [expected])
            self.assertEqual(self.heard(self.romeo), [expected])
            self.assertEqual(self.items(self.juliet), "cancel item-not-found")
        self.publish(self.juliet, notify_delete="0")
        self.romeo.received()
        self.own(self.juliet, "set", f"<delete node='{TUNE}'/>")
        self.assertEqual(self.heard(self.romeo), [])

    def test_notDeleted(self) -> None:
        """Each mistake has its error (§8.4.3)."""
        self.create()
        for client, inside, expected in (
            (self.romeo, f"<delete node='{TUNE}'/>", "auth forbidden"),
            (self.juliet, "<delete node='x'/>", "cancel item-not-found"),
            (self.juliet, "<delete/>", "modify bad-request nodeid-required"),
            (self.juliet, f"<delete node='{TUNE}'><redirect/></delete>", "modify bad-request"),
            (self.juliet, f"<delete node='{TUNE}'><redirect uri='{'x' * 2049}'/></delete>", "modify bad-request"),
        ):
            self.assertEqual(refused(self.own(client, "set", inside, JULIET)), expected)
        self.assertEqual(self.items(self.juliet), "")

    def test_purged(self) -> None:
        """All items go, and subscribers are told once, if they are told of items that go (§8.5)."""
        for values, expected in (({}, [f"purge {TUNE}"]), ({"notify_retract": "0"}, [])):
            x = form("pubsub#node_config", {"max_items": "5", **values})
            self.create()
            self.own(self.juliet, "set", f"<configure node='{TUNE}'>{x}</configure>")
            for id in "abc":
                self.publish(self.juliet, id=id)
            self.romeo.received()
            self.assertEqual(self.own(self.juliet, "set", f"<purge node='{TUNE}'/>")["type"], "result")
            self.assertEqual(self.heard(self.romeo), expected)
            self.assertEqual(self.items(self.juliet), "")

    def test_notPurged(self) -> None:
        """Each mistake has its error (§8.5.3)."""
        self.publish(self.juliet, id="a")
        self.publish(self.juliet, "transient", persist_items="0")
        for client, inside, expected in (
            (self.romeo, f"<purge node='{TUNE}'/>", "auth forbidden"),
            (self.juliet, "<purge node='x'/>", "cancel item-not-found"),
            (self.juliet, "<purge/>", "modify bad-request nodeid-required"),
            (self.juliet, "<purge node='transient'/>", "cancel feature-not-implemented unsupported persistent-items"),
        ):
            self.assertEqual(refused(self.own(client, "set", inside, JULIET)), expected)
        self.assertEqual(self.items(self.juliet), "a")
