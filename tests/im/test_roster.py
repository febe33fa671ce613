# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.roster}."""

from __future__ import annotations

from muccore.im.roster import CONTACT_SIZE, GROUPS_LIMIT, TEXT_LIMIT
from muccore.interfaces import RosterChange, RosterItem
from muccore.xmpp import ns
from tests.im.imhelpers import ROSTER, IMTestCase, summary
from tests.routing.helpers import conditions, xml
from tests.turns import turn

JULIET, NURSE = "juliet@localhost", "nurse@localhost"


class GetTests(IMTestCase):
    """RFC 6121 §2.1.3, §2.1.4, §2.2"""

    def test_empty(self) -> None:
        """A client that requests its roster gets an empty one, with or without the address of its account."""
        romeo = self.connect("romeo", interested=False)
        for to in ("", "to='romeo@localhost'"):
            romeo.send(f"<iq type='get' id='1' {to}><query {ROSTER}/></iq>")
            self.assertEqual(self.received(romeo), ["roster"])

    def test_items(self) -> None:
        """All contacts, with what is known of them."""
        romeo = self.connect("romeo")
        self.set(romeo, f"<item jid='{JULIET}' name='Juliet'><group>b</group><group>a</group></item>")
        self.subscription(romeo, "subscribe", NURSE)
        self.assertEqual(
            self.get(self.connect("romeo/b")),
            ["roster, juliet@localhost none name:Juliet group:a group:b, nurse@localhost none ask:subscribe"],
        )

    def test_others(self) -> None:
        """A request about another account's roster is refused, whether the account exists or not (§2.1.5)."""
        romeo = self.connect("romeo")
        self.connect("juliet")
        for user in ("juliet", "nobody"):
            for type in ("get", "set"):
                answer = romeo.ask(f"<iq type='{type}' id='1' to='{user}@localhost'><query {ROSTER}/></iq>")
                self.assertEqual(conditions(answer), ["forbidden"])

    def test_features(self) -> None:
        """Versions are offered as a stream feature (§2.6.1)."""
        [feature] = self.roster.streamFeatures
        self.assertEqual([each.toXml() for each in feature.offer(None)], [f"<ver xmlns='{ns.ROSTER_VERSIONING}'/>"])

    def test_failingStore(self) -> None:
        """If the store fails, that is the answer."""
        romeo = self.connect("romeo", interested=False, available=False)
        self.store.slow = True
        romeo.send(f"<iq type='get' id='1'><query {ROSTER}/></iq>")
        self.store.fail("load")
        self.assertEqual(self.received(romeo), ["error internal-server-error"])
        self.assertFalse(romeo.session.interested)

    def test_gone(self) -> None:
        """Who has gone meanwhile gets nothing."""
        romeo = self.connect("romeo", interested=False, available=False)
        self.store.slow = True
        romeo.send(f"<iq type='get' id='1'><query {ROSTER}/></iq>")
        romeo.vanish()
        self.store.releaseAll()
        self.assertEqual(self.received(romeo), [])


class SetTests(IMTestCase):
    """RFC 6121 §2.3 to §2.5"""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.connect("romeo")
        self.phone = self.connect("romeo/phone")
        self.silent = self.connect("romeo/silent", interested=False)
        self.forget()

    def test_added(self) -> None:
        """A new contact is pushed to all interested resources, the sender included, and the result follows (§2.3.2)."""
        self.set(self.romeo, f"<item jid='{JULIET}' name='J'><group>a</group></item>")
        push = f"push, {JULIET} none name:J group:a"
        self.assertEqual(self.received(self.romeo), [push, "iq result from romeo@localhost to romeo@localhost/a"])
        self.assertEqual(self.received(self.phone), [push])
        self.assertEqual(self.received(self.silent), [])

    def test_push(self) -> None:
        """A push comes from the account, with an id and a version of its own (§2.1.6, §2.6.3)."""
        versions = []
        for name in "ab":
            self.set(self.phone, f"<item jid='{JULIET}' name='{name}'/>")
            [push] = map(xml, self.romeo.take())
            self.assertEqual((push["from"], push["to"]), ("romeo@localhost", "romeo@localhost/a"))
            query = push.child("query", ns.ROSTER)
            assert query is not None
            versions.append(query["ver"])
            self.romeo.send(f"<iq type='result' id='{push['id']}'/>")
        self.assertEqual(len(set(versions)), 2)
        self.assertEqual(self.received(self.romeo), [])

    def test_updated(self) -> None:
        """Name and groups become exactly what is set (§2.4.1); a subscription that is set does not count (§2.1.5)."""
        self.subscription(self.romeo, "subscribe", JULIET)
        self.set(self.romeo, f"<item jid='{JULIET}' name='J' subscription='both' ask='x'><group>a</group></item>")
        self.received(self.romeo)
        self.set(self.romeo, f"<item jid='{JULIET}' subscription='none'><group>c</group><group>b</group></item>")
        self.assertEqual(self.received(self.romeo)[0], f"push, {JULIET} none ask:subscribe group:b group:c")
        self.set(self.romeo, f"<item jid='{JULIET}'/>")
        self.assertEqual(self.received(self.romeo)[0], f"push, {JULIET} none ask:subscribe")

    def test_addresses(self) -> None:
        """Addresses are prepared; domains and full JIDs are contacts, too."""
        self.set(self.romeo, "<item jid='JULIET@LocalHost'/>")
        self.set(self.romeo, "<item jid='transport.lit'/>")
        self.set(self.romeo, "<item jid='juliet@localhost/Balcony'/>")
        self.assertEqual(
            self.get(self.romeo)[-1],
            "roster, juliet@localhost none, transport.lit none, juliet@localhost/Balcony none",
        )

    def test_refused(self) -> None:
        """What is wrong, and the error of it (§2.3.3, §2.5.3); nothing of it is stored or pushed."""
        groups = "".join(f"<group>{n}</group>" for n in range(GROUPS_LIMIT + 1))
        long = "ä" * (TEXT_LIMIT // 2 + 1)
        for items, condition in (
            ("", "bad-request"),
            (f"<item jid='{JULIET}'/><item jid='{NURSE}'/>", "bad-request"),
            ("<item/>", "bad-request"),
            ("<item jid='a@b@c'/>", "jid-malformed"),
            ("<item jid=''/>", "jid-malformed"),
            ("<item jid='romeo@localhost'/>", "not-allowed"),
            ("<item jid='romeo@localhost/x'/>", "not-allowed"),
            (f"<item jid='{JULIET}'><group>a</group><group>a</group></item>", "bad-request"),
            (f"<item jid='{JULIET}'><group/></item>", "not-acceptable"),
            (f"<item jid='{JULIET}'><group>{long}</group></item>", "not-acceptable"),
            (f"<item jid='{JULIET}' name='{long}'/>", "not-acceptable"),
            (f"<item jid='{JULIET}'>{groups}</item>", "not-acceptable"),
            (f"<item jid='{JULIET}' subscription='remove'/>", "item-not-found"),
        ):
            self.set(self.romeo, items)
            self.assertEqual(self.received(self.romeo), [f"error {condition}"], items)
        self.assertEqual(self.received(self.phone), [])
        self.assertEqual(self.get(self.romeo), ["roster"])

    def test_limits(self) -> None:
        """Names at their limits are fine, and so are as many groups."""
        groups = "".join(f"<group>{n}</group>" for n in range(GROUPS_LIMIT))
        self.set(self.romeo, f"<item jid='{JULIET}' name='{'x' * TEXT_LIMIT}'>{groups}</item>")
        self.assertIn("push", self.received(self.romeo)[0])

    def test_tooMany(self) -> None:
        """There is a limit of contacts; those in the roster can be changed still."""
        for n in range(self.contacts):
            self.set(self.romeo, f"<item jid='{n}@remote.lit'/>")
        self.received(self.romeo)
        self.set(self.romeo, f"<item jid='{JULIET}'/>")
        self.assertEqual(self.received(self.romeo), ["error resource-constraint"])
        for type in ("subscribe", "subscribed"):
            self.subscription(self.romeo, type, JULIET)
            self.assertEqual(self.received(self.romeo), ["error resource-constraint"])
        self.set(self.romeo, "<item jid='1@remote.lit' name='x'/>")
        self.set(self.romeo, "<item jid='2@remote.lit' subscription='remove'/>")
        self.set(self.romeo, f"<item jid='{JULIET}'/>")
        self.assertNotIn("error", str(self.received(self.romeo)))

    def test_tooLarge(self) -> None:
        """
        There is a limit of their addresses, names and groups together, from the store, too; at it, contacts can become
        smaller still, and so can a roster above it.
        """
        item = "<item jid='{}@remote.lit' name='{}'>{}</item>"
        groups = "".join(f"<group>{n}</group>" for n in range(GROUPS_LIMIT))
        # Their names leave less than another one.
        for n in range(self.contacts * CONTACT_SIZE // TEXT_LIMIT - 1):
            self.set(self.romeo, item.format(n, "x" * TEXT_LIMIT, ""))
        self.set(self.romeo, item.format("a", "", groups))
        self.assertNotIn("error", str(self.received(self.romeo)))
        for _ in range(2):
            for text in (item.format("b", "x" * TEXT_LIMIT, groups), item.format("a", "x" * TEXT_LIMIT, groups)):
                self.set(self.romeo, text)
                self.assertEqual(self.received(self.romeo), ["error resource-constraint"])
            for client in (self.romeo, self.phone):
                client.session.end()
            self.sessions.endings.finishAll()
            self.romeo, self.phone = self.connect("romeo"), self.connect("romeo/phone")
            self.forget()
        self.roster.limit = 1
        self.set(self.romeo, item.format("a", "", groups.replace("<group>0</group>", "")))
        self.assertNotIn("error", str(self.received(self.romeo)))
        self.set(self.romeo, item.format("a", "", groups))
        self.assertEqual(self.received(self.romeo), ["error resource-constraint"])

    def test_removed(self) -> None:
        """A contact without subscriptions is removed: they learn nothing (§2.5.2)."""
        paris = "paris@remote.lit"
        self.set(self.romeo, f"<item jid='{paris}'/>")
        self.forget()
        self.set(self.romeo, f"<item jid='{paris}' subscription='remove'/>")
        push = f"push, {paris} remove"
        self.assertEqual(self.received(self.romeo), [push, "iq result from romeo@localhost to romeo@localhost/a"])
        self.assertEqual(self.received(self.phone), [push])
        self.assertEqual((self.remote.received, self.get(self.romeo)), ([], ["roster"]))

    def test_removedSubscriptions(self) -> None:
        """The subscriptions of both are cancelled, and requests that wait (§2.5.2)."""
        own, other = "romeo@localhost", "paris@remote.lit"
        resources = [f"unavailable from {own}/{name} to {other}" for name in ("a", "phone", "silent")]
        unsubscribe, unsubscribed = (f"{type} from {own} to {other}" for type in ("unsubscribe", "unsubscribed"))
        for stanzas, expected in (
            (("out subscribe",), [unsubscribe]),
            (("out subscribe", "in subscribed"), [unsubscribe]),
            (("in subscribe", "out subscribed"), [*resources, unsubscribed]),
            (("in subscribe", "set"), [unsubscribed]),
            (
                ("in subscribe", "out subscribed", "out subscribe", "in subscribed"),
                [unsubscribe, *resources, unsubscribed],
            ),
        ):
            for each in stanzas:
                way, _, type = each.partition(" ")
                if way == "out":
                    self.subscription(self.romeo, type, other)
                elif way == "in":
                    self.fromRemote(type, own)
                else:
                    self.set(self.romeo, f"<item jid='{other}'/>")
            self.remote.received.clear()
            self.set(self.romeo, f"<item jid='{other}' subscription='remove'/>")
            self.assertEqual(self.remote.received, expected, stanzas)
            self.assertEqual(self.state("romeo", other), "NONE")

    def test_notDurable(self) -> None:
        """What could not be stored is neither pushed nor confirmed."""
        self.store.slow = True
        self.set(self.romeo, f"<item jid='{JULIET}'/>")
        self.assertEqual((self.received(self.romeo), self.received(self.phone)), ([], []))
        self.store.fail("change")
        self.assertEqual(self.received(self.romeo), ["error internal-server-error"])
        self.assertEqual(self.received(self.phone), [])
        self.store.slow = False
        self.assertEqual(self.get(self.romeo), ["roster"])


class VersionTests(IMTestCase):
    """RFC 6121 §2.6"""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.connect("romeo")
        self.set(self.romeo, f"<item jid='{JULIET}'/>")
        self.romeo.take()

    def version(self) -> str:
        """The present version."""
        [answer] = self.romeo.ask(f"<iq type='get' id='1'><query {ROSTER} ver=''/></iq>")
        query = xml(answer).child("query", ns.ROSTER)
        assert query is not None
        return query["ver"]

    def test_bootstrap(self) -> None:
        """With an empty version the whole roster comes with its version; without one, without (§2.6.2)."""
        self.assertTrue(self.version())
        self.assertEqual(self.get(self.romeo, ""), [f"roster, {JULIET} none"])
        [answer] = self.romeo.ask(f"<iq type='get' id='1'><query {ROSTER}/></iq>")
        self.assertNotIn("ver=", answer)

    def test_unchanged(self) -> None:
        """Who knows the present version gets an empty result."""
        self.assertEqual(
            self.get(self.romeo, self.version()), ["iq result from romeo@localhost to romeo@localhost/a"]
        )

    def test_changed(self) -> None:
        """Who knows an earlier one gets an empty result, and a push for each contact that has changed, in order."""
        version = self.version()
        self.set(self.romeo, f"<item jid='{NURSE}'/>")
        self.set(self.romeo, f"<item jid='{JULIET}' name='a'/>")
        self.set(self.romeo, f"<item jid='{JULIET}' name='b'/>")
        self.set(self.romeo, "<item jid='x@y'/>")
        self.set(self.romeo, f"<item jid='{NURSE}' subscription='remove'/>")
        self.start()
        phone = self.connect("romeo/phone")
        self.assertEqual(
            self.get(phone, version),
            [
                "iq result from romeo@localhost to romeo@localhost/phone",
                f"push, {JULIET} none name:b",
                "push, x@y none",
                f"push, {NURSE} remove",
            ],
        )

    def test_unknown(self) -> None:
        """Who knows one that is unknown here gets the whole roster."""
        for version in ("x", "0", "\U0001f600", self.version() + "0"):
            self.assertEqual(self.get(self.romeo, version), [f"roster, {JULIET} none"])

    def test_resultFirst(self) -> None:
        """A change that waits for the roster is pushed after the result, whose version it follows."""
        self.start()
        phone = self.connect("romeo/phone", interested=False, available=False)
        self.store.slow = True
        phone.send(f"<iq type='get' id='get'><query {ROSTER} ver=''/></iq>")
        self.fromRemote("subscribe", "romeo@localhost")
        self.set(phone, f"<item jid='{NURSE}'/>")
        self.store.releaseAll()
        self.assertEqual(
            self.received(phone),
            [
                f"roster, {JULIET} none",
                f"push, {NURSE} none",
                "iq result from romeo@localhost to romeo@localhost/phone",
            ],
        )


class ManyTests(IMTestCase):
    """A roster that is too large for one turn."""

    def setUp(self) -> None:
        super().setUp()
        self.contacts = 1000
        self.names = [f"friend{n}@remote.lit" for n in range(1000)]
        items = {name: RosterItem() for name in self.names}
        self.store.change("romeo@localhost", RosterChange("e", 7, 0, items))
        self.start()
        self.romeo = self.connect("romeo", interested=False, available=False)

    def test_slices(self) -> None:
        """It is rendered in slices, during which others are served; pushes of later changes follow it."""
        self.romeo.send(f"<iq type='get' id='get'><query {ROSTER} ver=''/></iq>")
        self.set(self.romeo, f"<item jid='{self.names[0]}' name='x'/>")
        turns = 0
        while not (received := self.romeo.take()):
            turn(self.clock)
            turns += 1
        self.assertGreater(turns, 2)
        roster, push, result = map(xml, received)
        query = roster.child("query", ns.ROSTER)
        assert query is not None
        self.assertEqual([each["jid"] for each in query.childElements()], self.names)
        self.assertEqual((query["ver"], result["type"]), ("e-7", "result"))
        self.assertEqual(summary(push), f"push, {self.names[0]} none name:x")

    def test_shutDown(self) -> None:
        """At the end of the server it is answered at once."""
        self.romeo.send(f"<iq type='get' id='get'><query {ROSTER}/></iq>")
        self.assertEqual(self.romeo.take(), [])
        self.successResultOf(self.roster.shutDown(True))
        self.assertEqual(len(self.romeo.take()), 1)

    def test_gone(self) -> None:
        """Nobody is told who has gone."""
        self.romeo.send(f"<iq type='get' id='get'><query {ROSTER}/></iq>")
        self.romeo.vanish()
        while self.clock.getDelayedCalls():
            turn(self.clock)
        self.assertEqual(self.romeo.take(), [])
