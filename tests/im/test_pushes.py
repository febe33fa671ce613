# -*- test-case-name: tests.im.test_pushes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.pushes} and L{muccore.im.pushregistrations} (XEP-0357)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

from muccore.im.pushes import ERRORS_LIMIT, SENDER, TEXT, TEXT_SIZE, TIMEOUT, PushHandler
from muccore.im.pushregistrations import KEY, KIND, NODE_SIZE, SERVICES_LIMIT, decode
from muccore.im.userstate import RECENT_TIME
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.services.disco import AccountDiscoHandler
from muccore.testing.inmemory import Client
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReply
from muccore.xmpp.rendering import render
from tests.configuration import Logged
from tests.im.userdatahelpers import UserDataTestCase
from tests.routing.helpers import xml

SERVICE = "push@localhost/app"
ROOM = "orchard@conference.localhost"
OPTIONS = (
    f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.PUBLISH_OPTIONS}</value></field>"
    "<field var='secret'><value>a&amp;b</value></field></x>"
)


def enable(service: str = SERVICE, node: str = "n", inside: str = "") -> str:
    """A request."""
    return f"<enable xmlns='{ns.PUSH}' jid='{service}' node='{node}'>{inside}</enable>"


def disable(service: str = SERVICE, node: str | None = None) -> str:
    """A request."""
    return f"<disable xmlns='{ns.PUSH}' jid='{service}'{'' if node is None else f' node={node!r}'}/>"


class PushTestCase(UserDataTestCase):
    """Juliet has a phone and a push service for it; Romeo writes."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.logged = Logged(self)
        self.patch(eventlog, "limit", RateLimit())
        self.handler = PushHandler(self.store, self.states, ["conference.localhost"])
        for handler in (AccountDiscoHandler(), self.handler):
            self.server.addHandler(handler)
        self.phone, self.romeo = self.login("juliet/phone", "romeo")
        self.service = self.server.client(SERVICE)

    def enable(self, *arguments: str, client: Client | None = None) -> str:
        """Enable a service; return the outcome."""
        return self.outcome(client or self.phone, "set", enable(*arguments))

    def say(self, text: str = "hi", to: str = "juliet@localhost", type: str = "chat") -> None:
        """Romeo writes something."""
        self.romeo.sends(f"<message type='{type}' to='{to}'><body>{text}</body></message>")

    def pushed(self, service: Client | None = None) -> list[Element]:
        """What a service has got."""
        found = (service or self.service).received()
        for each in found:
            self.assertEqual((each.name, each["type"], each["from"]), ("iq", "set", "juliet@localhost"))
        return found

    def answer(self, request: Element, condition: str = "", type: str | None = None) -> None:
        """The service answers."""
        if condition:
            reply = errorReply(request, StanzaError(condition, type))
            self.service.sends(render(reply).decode())
        else:
            self.service.sends(f"<iq type='result' id='{request['id']}' to='{request['from']}'/>")

    def stored(self) -> list[str]:
        """The services that are stored, as C{service node}."""
        document = self.successResultOf(self.store.get("juliet@localhost", KIND, KEY))
        return [f"{each.service} {each.node}" for each in decode(document).values()]

    def away(self) -> None:
        """The phone goes."""
        self.phone.dropConnection()


class RegistrationTests(PushTestCase):
    """§4 to §6"""

    def test_disco(self) -> None:
        """§4.1: the feature is that of the account; guests have none."""
        for guests, address, expected in (
            (False, "juliet", True), (True, "juliet", True), (True, "6d3f6a5c-93b1-4b6e-8a4f-000000000000", False),
        ):  # fmt: skip
            self.handler.guests = guests
            [client] = self.login(f"{address}/x")
            answer = self.ask(client, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", f"{address}@localhost")
            self.assertEqual(f"var='{ns.PUSH}'" in render(answer).decode(), expected)
        answer = self.ask(self.phone, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", "localhost")
        self.assertNotIn(ns.PUSH.encode(), render(answer))

    def test_enable(self) -> None:
        """§5: services are stored before the answer; the last request for a service and node counts."""
        self.store.slow = True
        self.phone.sends(f"<iq type='set' id='1'>{enable()}</iq>")
        self.assertEqual(self.phone.received(), [])
        self.store.release()
        self.assertEqual(self.received(self.phone), ["iq 1 result"])
        self.store.slow = False
        self.assertEqual(self.enable(SERVICE, "m", OPTIONS), "result")
        self.assertEqual(self.enable(SERVICE, "n", OPTIONS), "result")
        self.assertEqual(self.stored(), [f"{SERVICE} m", f"{SERVICE} n"])
        document = self.successResultOf(self.store.get("juliet@localhost", KIND, KEY))
        [first, _] = decode(document).values()
        self.assertEqual(first.resource, "phone")
        self.assertNotIn("a&amp;b", repr(first))

    def test_invalid(self) -> None:
        """What names no service, or has another form, is refused."""
        for payload, condition in (
            (f"<enable xmlns='{ns.PUSH}' node='n'/>", "bad-request"), (enable(""), "bad-request"),
            (enable("@"), "jid-malformed"), (enable(node="n" * (NODE_SIZE + 1)), "policy-violation"),
            (enable(inside=OPTIONS.replace("submit", "form")), "bad-request"),
            (enable(inside=OPTIONS.replace("#publish", "#node")), "bad-request"),
            (enable(inside=f"<x xmlns='{ns.DATA}' type='submit'/>"), "bad-request"),
            (enable(inside=OPTIONS.replace("a&amp;b", "x" * 5000)), "policy-violation"),
            (f"<disable xmlns='{ns.PUSH}'/>", "bad-request"), (disable("@"), "jid-malformed"),
        ):  # fmt: skip
            self.assertEqual(self.outcome(self.phone, "set", payload), condition, payload)
        for type, to in (("get", ""), ("set", "localhost"), ("set", "romeo@localhost")):
            self.assertEqual(self.outcome(self.phone, type, enable(), to), "service-unavailable")
        self.assertEqual(self.stored(), [])

    def test_disable(self) -> None:
        """§6: one node of a service is disabled, or all of them."""
        for node in "abc":
            self.enable(SERVICE, node)
        self.enable("other.example", "a")
        for payload, left in (
            (disable(node="b"), [f"{SERVICE} a", f"{SERVICE} c", "other.example a"]),
            (disable(node="x"), [f"{SERVICE} a", f"{SERVICE} c", "other.example a"]),
            (disable(), ["other.example a"]), (disable(), ["other.example a"]), (disable("other.example"), []),
        ):  # fmt: skip
            self.assertEqual(self.outcome(self.phone, "set", payload), "result")
            self.assertEqual(self.stored(), left)

    def test_limit(self) -> None:
        """Above the limit, what was enabled longest ago makes room."""
        for number in range(SERVICES_LIMIT):
            self.enable(SERVICE, f"{number}")
        self.enable(SERVICE, "0")
        self.enable(SERVICE, "new")
        expected = [*range(2, SERVICES_LIMIT), 0, "new"]
        self.assertEqual(self.stored(), [f"{SERVICE} {node}" for node in expected])

    def test_storeFails(self) -> None:
        """What cannot be stored is not in effect."""
        self.say()
        self.store.failing = True
        self.assertEqual(self.enable(), "internal-server-error")
        self.store.failing = False
        self.away()
        self.say()
        self.assertEqual(self.pushed(), [])


class PublishTests(PushTestCase):
    """§7"""

    def setUp(self) -> None:
        """Juliet's phone has enabled a service."""
        super().setUp()
        self.enable(SERVICE, "n", OPTIONS)

    def test_notification(self) -> None:
        """§7: the service is told that there is a message, and nothing about it; with its options."""
        self.away()
        self.say()
        [request] = self.pushed()
        expected = (
            f"<pubsub xmlns='{ns.PUBSUB}'><publish node='n'><item><notification xmlns='{ns.PUSH}'>"
            f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.PUSH_SUMMARY}</value></field>"
            "<field var='message-count'><value>1</value></field></x></notification></item></publish>"
            f"<publish-options>{OPTIONS}</publish-options></pubsub>"
        )
        self.assertEqual([render(child, None).decode() for child in request.childElements()], [expected])

    def test_content(self) -> None:
        """The sender and the beginning of the text are told if the configuration wants that."""
        self.away()
        text = "x" * (TEXT_SIZE + 1)
        for content, sender, body in ((SENDER, True, False), (TEXT, True, True)):
            self.handler.content = content
            self.say(text)
            [request] = self.pushed()
            shown = render(request).decode()
            self.assertEqual("<value>romeo@localhost/pc</value>" in shown, sender)
            self.assertEqual(f"<value>{text[:-1]}</value>" in shown, body)
            self.answer(request)

    def test_states(self) -> None:
        """A client that is used is not woken up; one that is not, has no stream, or has ended, is."""
        self.phone.sends("<presence/>")
        self.say()
        self.assertEqual(self.pushed(), [])
        session = self.phone.session
        session.enableManagement(True, None)
        for change, count in (
            (lambda: session.setActive(False), 1), (lambda: session.setActive(True), 0),
            (lambda: session.streamLost(self.phone, False), 1), (session.end, 1),
        ):  # fmt: skip
            change()
            self.say()
            # What is redelivered goes first.
            self.server.clock.advance(1)
            found = self.pushed()
            self.assertEqual(len(found), count)
            for request in found:
                self.answer(request)

    def test_otherClients(self) -> None:
        """Other clients make no difference, whether they are used or not."""
        [pc] = self.login("juliet/pc")
        pc.sends("<presence/>")
        self.away()
        self.say()
        [request] = self.pushed()
        self.answer(request)
        self.say(to="juliet@localhost/pc")
        self.assertEqual(len(self.pushed()), 1)

    def test_which(self) -> None:
        """What is not worth it, and what the account sends itself, wakes nobody up."""
        [pc] = self.login("juliet/pc")
        self.away()
        pc.sends("<message to='juliet@localhost' type='chat'><body>note</body></message>")
        self.romeo.sends(f"<message to='juliet@localhost' type='chat'><active xmlns='{ns.CHAT_STATES}'/></message>")
        self.say(type="headline")
        self.assertEqual(self.pushed(), [])

    def test_oneAtATime(self) -> None:
        """What comes before the service has answered is in the next notification."""
        self.away()
        for _ in range(5):
            self.say()
        [request] = self.pushed()
        self.answer(request)
        [request] = self.pushed()
        self.answer(request)
        self.assertEqual(self.pushed(), [])
        self.assertEqual([call for call in self.server.clock.getDelayedCalls() if call.getTime() > TIMEOUT + 10**9], [])

    def test_returned(self) -> None:
        """A client that has returned meanwhile is not woken up again."""
        self.away()
        self.say()
        self.say()
        [request] = self.pushed()
        self.login("juliet/phone")
        self.answer(request)
        self.assertEqual(self.pushed(), [])

    def test_error(self) -> None:
        """§7.1: a service that refuses is disabled, which is stored."""
        for condition in ("item-not-found", "forbidden", "not-allowed"):
            self.away()
            self.say()
            [request] = self.pushed()
            self.answer(request, condition)
            self.assertEqual(self.stored(), [])
            self.say()
            self.assertEqual(self.pushed(), [])
            self.assertIn(
                f"push-disabled by juliet@localhost: {SERVICE}, {condition}", self.logged.lines(LogLevel.info)
            )
            [self.phone] = self.login("juliet/phone")
            self.enable()

    def test_revoked(self) -> None:
        """§8: a service that tells the account not to publish any more is disabled; nobody else can do that."""
        text = (
            "<message to='juliet@localhost'><pubsub xmlns='{}' node='{}'>"
            "<affiliation jid='juliet@localhost' affiliation='{}'/></pubsub></message>"
        )
        self.phone.sends("<presence/>")
        self.phone.received()
        for client, node, affiliation, left in (
            (self.romeo, "n", "none", 1), (self.service, "m", "none", 1), (self.service, "n", "member", 1),
            (self.service, "n", "none", 0),
        ):  # fmt: skip
            client.sends(text.format(ns.PUBSUB, node, affiliation))
            self.assertEqual((len(self.stored()), len(self.phone.received())), (left, left))
        self.away()
        self.say()
        self.assertEqual(self.pushed(), [])

    def test_slowStore(self) -> None:
        """A service that has refused is told nothing while that is being stored."""
        self.away()
        self.say()
        [request] = self.pushed()
        self.store.slow = True
        self.answer(request, "item-not-found")
        self.say()
        self.assertEqual(self.pushed(), [])
        self.store.release()
        self.store.slow = False
        self.assertEqual(self.stored(), [])

    def test_transient(self) -> None:
        """§7.1: errors that may pass disable it when there are many in a row."""
        self.away()
        kinds = [("remote-server-not-found", None), ("policy-violation", "wait"), ("", None)]
        for number in range(ERRORS_LIMIT * 2 - 1):
            self.say()
            [request] = self.pushed()
            condition, type = kinds[number % 2] if number != ERRORS_LIMIT - 1 else kinds[2]
            self.assertEqual(len(self.stored()), 1)
            if number % 3 == 1:
                self.server.clock.advance(TIMEOUT)
            self.answer(request, condition, type)
        self.assertEqual(len(self.stored()), 1)
        self.say()
        [request] = self.pushed()
        self.answer(request, "service-unavailable")
        self.assertEqual(self.stored(), [])

    def test_noService(self) -> None:
        """A service that is not there is no reason to fail."""
        self.enable("push.example", "n")
        self.away()
        self.say()
        [request] = self.pushed()
        self.assertEqual(len(self.stored()), 2)
        self.answer(request)

    def test_forged(self) -> None:
        """Nobody else can answer for a service."""
        self.away()
        self.say()
        [request] = self.pushed()
        for client, id in ((self.romeo, request["id"]), (self.service, "x")):
            client.sends(
                f"<iq type='error' id='{id}' to='juliet@localhost'><error type='cancel'>"
                f"<item-not-found xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
            )
        self.assertEqual(len(self.stored()), 1)
        self.say()
        self.answer(request)
        self.assertEqual(len(self.pushed()), 1)

    def test_enabledAgain(self) -> None:
        """An error does not disable what was enabled with something else meanwhile."""
        self.away()
        self.say()
        [request] = self.pushed()
        [self.phone] = self.login("juliet/phone")
        self.enable(SERVICE, "n", "")
        self.answer(request, "item-not-found")
        self.assertEqual(len(self.stored()), 1)

    def test_disabled(self) -> None:
        """A service that is disabled gets nothing, however much there is to tell."""
        self.away()
        self.say()
        self.say()
        [request] = self.pushed()
        [pc] = self.login("juliet/pc")
        self.outcome(pc, "set", disable())
        self.answer(request)
        self.assertEqual(self.pushed(), [])

    def test_accountRemoved(self) -> None:
        """With the account, what was to be told is forgotten."""
        self.away()
        self.say()
        self.say()
        [request] = self.pushed()
        self.successResultOf(Deferred.fromCoroutine(self.handler.forget(jid.parse("juliet@localhost"))))
        self.answer(request)
        self.assertEqual(self.pushed(), [])

    def test_loaded(self) -> None:
        """Services are known after a restart."""
        self.away()
        self.server.clock.advance(RECENT_TIME)
        self.say()
        self.assertEqual(len(self.pushed()), 1)


class RoomTests(PushTestCase):
    """Conversations in rooms."""

    def setUp(self) -> None:
        """Romeo and Juliet are in a room, Juliet with a service."""
        super().setUp()
        self.enable()
        for client, nick in ((self.romeo, "Romeo"), (self.phone, "Juliet")):
            client.sends(f"<presence to='{ROOM}/{nick}'><x xmlns='{ns.MUC}'/></presence>")
        form = f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query>"
        self.romeo.sends(f"<iq type='set' id='1' to='{ROOM}'>{form}</iq>")
        self.phone.sends(f"<presence to='{ROOM}/Juliet'><x xmlns='{ns.MUC}'/></presence>")
        self.server.clock.advance(1)

    def held(self, inactive: bool) -> None:
        """The phone goes, for a time; or nobody uses it."""
        if inactive:
            self.phone.session.setActive(False)
        else:
            self.phone.session.enableManagement(True, None)
            self.phone.session.streamLost(self.phone, False)

    def count(self) -> int:
        """How many notifications there are; all are answered."""
        found = self.pushed()
        for request in found:
            self.answer(request)
        return len(found)

    def assertOnlyMentions(self) -> None:
        """Check what wakes the phone up."""
        for text, count in (("hello all", 0), ("Juliet: hello", 1), ("julieta", 0)):
            self.say(text, ROOM, "groupchat")
            self.assertEqual(self.count(), count, text)
        self.say("psst", f"{ROOM}/Juliet")
        self.assertEqual(self.count(), 1)
        self.romeo.sends(f"<message type='groupchat' to='{ROOM}'><subject>Juliet</subject></message>")
        self.assertEqual(self.count(), 0)
        self.say("not in a room", "juliet@localhost")
        self.assertEqual(self.count(), 1)

    def test_active(self) -> None:
        """While the client is used, nothing does."""
        self.say("Juliet: hello", ROOM, "groupchat")
        self.say("psst", f"{ROOM}/Juliet")
        self.assertEqual(self.count(), 0)

    def test_inactive(self) -> None:
        """While it is not used, mentions and private messages do."""
        self.held(True)
        self.assertOnlyMentions()

    def test_withoutStream(self) -> None:
        """So they do while the session waits to be resumed."""
        self.held(False)
        self.assertOnlyMentions()

    def test_own(self) -> None:
        """What the user says by another client mentions nobody."""
        [pc] = self.login("juliet/pc")
        pc.sends(f"<presence to='{ROOM}/Juliet'><x xmlns='{ns.MUC}'/></presence>")
        self.held(True)
        pc.sends(f"<message type='groupchat' to='{ROOM}'><body>Juliet is me</body></message>")
        self.assertEqual(self.count(), 0)

    def test_absent(self) -> None:
        """Who is not in the room is told of mentions, and not of copies of what was said to all."""
        self.away()
        for inside, count in (
            (f"<mentions xmlns='{ns.MENTION_NOTIFICATIONS}'><forwarded xmlns='{ns.FORWARD}'/></mentions>", 1),
            (f"<forwarded xmlns='{ns.FORWARD}'/>", 0),
        ):
            text = f"<message from='{ROOM}' to='juliet@localhost'>{inside}<body>Romeo: hi</body></message>"
            self.server.rooms.send(xml(text.replace("<message", "<message xmlns='jabber:client'")))
            self.assertEqual(self.count(), count)

    def test_otherClient(self) -> None:
        """A client without a service is no reason to tell that of another."""
        [pc] = self.login("juliet/pc")
        pc.sends(f"<presence to='{ROOM}/Juliet'><x xmlns='{ns.MUC}'/></presence>")
        pc.session.setActive(False)
        self.say("Juliet: hello", ROOM, "groupchat")
        self.assertEqual(self.count(), 0)
