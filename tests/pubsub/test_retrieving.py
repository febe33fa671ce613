# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.retrieving} (XEP-0060 §6.5)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.pubsub import retrieving
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, PAYLOAD, ROMEO, TUNE, PEPTestCase, refused


class RetrieveTests(PEPTestCase):
    """Retrieving items."""

    def setUp(self) -> None:
        """Juliet has five items, and Romeo sees them."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.befriend(JULIET, ROMEO)
        for id in "abcde":
            self.publish(self.juliet, id=id, max_items="max")

    def page(self, inside: str, extra: str = "") -> str:
        """Retrieve a page; return the ids, and index, first, last and count of the page."""
        request = f"<items node='{TUNE}'{extra}/><set xmlns='{ns.RSM}'>{inside}</set>"
        answer = self.ask(self.romeo, "get", request, JULIET)
        if answer["type"] == "error":
            return refused(answer)
        pubsub = next(answer.childElements())
        items, page = pubsub.childElements()
        ids = "".join(item["id"] for item in items.childElements())
        first = page.child("first")
        index = "" if first is None else first.get("index")
        words = (ids, index, page.childText("first"), page.childText("last"), page.childText("count"))
        return " ".join(word for word in words if word)

    def test_all(self) -> None:
        """All items are returned, as they were published, in this order."""
        answer = self.ask(self.romeo, "get", f"<items node='{TUNE}'/>", JULIET)
        items = "".join(f"<item id='{id}'>{PAYLOAD}</item>" for id in "abcde")
        self.assertEqual(
            [render(child).decode() for child in answer.childElements()],
            [f"<pubsub xmlns='{ns.PUBSUB}'><items node='{TUNE}'>{items}</items></pubsub>"],
        )

    def test_newest(self) -> None:
        """The newest ones can be asked for; then it is said how many there are (§6.5.7)."""
        answer = self.ask(self.romeo, "get", f"<items node='{TUNE}' max_items='2'/>", JULIET)
        text = render(answer).decode()
        self.assertEqual(self.items(self.romeo, to=JULIET, extra=" max_items='2'"), "d e")
        self.assertIn("<first index='3'>d</first><last>e</last><count>5</count>", text)
        self.assertEqual(self.items(self.romeo, to=JULIET, extra=" max_items='9'"), "a b c d e")
        self.assertEqual(self.items(self.romeo, to=JULIET, extra=" max_items='x'"), "modify bad-request")

    def test_pages(self) -> None:
        """They can be read page by page (XEP-0059), the newest page first or the oldest."""
        self.assertEqual(self.page("<max>2</max>"), "ab 0 a b 5")
        self.assertEqual(self.page("<max>2</max><after>b</after>"), "cd 2 c d 5")
        self.assertEqual(self.page("<max>2</max><before/>"), "de 3 d e 5")
        self.assertEqual(self.page("<max>2</max><before>d</before>"), "bc 1 b c 5")
        self.assertEqual(self.page("<max>2</max><index>4</index>"), "e 4 e e 5")
        self.assertEqual(self.page("<max>0</max>"), "5")
        self.assertEqual(self.page("<max>3</max>", " max_items='1'"), "a 0 a a 5")
        self.assertEqual(self.page("<after>x</after>"), "cancel item-not-found")
        self.assertEqual(self.page("<max>x</max>"), "modify bad-request")

    def test_byId(self) -> None:
        """Items are found by their ids; those that do not exist are left out (§6.5.9.12)."""
        inside = "<item id='d'/><item id='x'/><item id='a'/><item id='d'/><item/>"
        self.assertEqual(self.items(self.romeo, to=JULIET, inside=inside), "d a")
        self.assertEqual(self.items(self.romeo, to=JULIET, inside="<item id='x'/>"), "")

    def test_large(self) -> None:
        """What is too much for one answer is cut; too many items by id are refused."""
        self.patch(retrieving, "ANSWER_SIZE", len(PAYLOAD) * 2 + 10)
        self.assertEqual(self.items(self.romeo, to=JULIET), "d e")
        self.assertEqual(self.items(self.romeo, to=JULIET, inside="<item id='a'/><item id='b'/>"), "a b")
        inside = "<item id='a'/><item id='b'/><item id='c'/>"
        self.assertEqual(self.items(self.romeo, to=JULIET, inside=inside), "modify policy-violation")
        self.patch(retrieving, "PAGE", 1)
        self.assertEqual(self.items(self.romeo, to=JULIET), "e")

    def test_refused(self) -> None:
        """Each mistake has its error (§6.5.9)."""
        required = "auth not-authorized presence-subscription-required"
        self.assertEqual(self.items(self.nurse, to=JULIET), required)
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.items(self.nurse, "other", to), "cancel item-not-found")
        self.assertEqual(refused(self.ask(self.romeo, "get", "<items/>", JULIET)), "modify bad-request nodeid-required")

    def test_subid(self) -> None:
        """The identifier of a subscription need not be given; a wrong one is refused (§6.5.9.2)."""
        self.assertEqual(self.items(self.romeo, to=JULIET, extra=" subid='x'"), "a b c d e")
        self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}'/>", JULIET)
        self.assertEqual(self.items(self.romeo, to=JULIET, extra=" subid='x'"), "modify not-acceptable invalid-subid")
        self.assertEqual(self.items(self.romeo, to=JULIET), "a b c d e")

    def test_oneAtATime(self) -> None:
        """However much a client requests at once, one answer to it is in memory."""
        requests: list[tuple[object, ...]] = []
        held: Deferred[object] = Deferred()
        items = self.store.items

        def hold(*arguments: object) -> Deferred[object]:
            requests.append(arguments)
            return held

        self.store.items = hold
        payload = f"<pubsub xmlns='{ns.PUBSUB}'><items node='{TUNE}'/></pubsub>"
        for number in range(3):
            self.romeo.sends(f"<iq type='get' id='{number}' to='{JULIET}'>{payload}</iq>")
        self.assertEqual(len(requests), 1)
        self.store.items = items
        held.callback(self.successResultOf(items(*requests[0])))
        self.assertEqual([stanza["id"] for stanza in self.romeo.received()], ["0", "1", "2"])
