# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.commands} (XEP-0050)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Commands, Completed, badPayload
from muccore.xmpp.commandsessions import LIFETIME, SIZE_LIMIT
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from tests.routing.helpers import xml

ROMEO = jid.parse("romeo@localhost/a")
PARIS = jid.parse("paris@localhost/a")
DOMAIN = jid.parse("localhost")


class Greet(Command[list[Any]]):
    """Has no stages. What it is carried out on is a list, to which it adds the requester."""

    node, name = "greet", "Greet"

    def mayUse(self, subject: list[Any], requester: jid.JID) -> bool:
        """Everybody may."""
        return True

    def carryOut(self, request: CommandRequest[list[Any]]) -> Completed:
        """Greet them."""
        request.subject.append(request.requester.local)
        return Completed([Element(("urn:x", "hello"))], "Done.")


class Order(Command[list[Any]]):
    """
    Three stages: a dish that depends on nothing, a size whose options depend on the dish, and a number.

    @ivar refused: the error with which it fails.
    @ivar waiting: what it waits for.
    """

    node, name, stages = "order", "Order", 3
    refused: StanzaError | None = None
    waiting: Deferred[Completed] | None = None

    def mayUse(self, subject: list[Any], requester: jid.JID) -> bool:
        """All but Paris, and nobody once it is over."""
        return requester.local != "paris" and "closed" not in subject

    def form(self, request: CommandRequest[list[Any]], stage: int) -> CommandForm:
        """Make one of the three."""
        if "sold out" in request.subject:
            raise StanzaError("item-not-found", text="There is nothing left.")
        if stage == 0:
            return CommandForm("urn:x", [(Field("text-single", "dish", required=True), "soup")], "Order", ["Choose."])
        if stage == 1:
            if request.values["dish"] == "stone":
                raise badPayload("dish: not edible")
            sizes = ((f"{request.values['dish']} S", "Small"), (f"{request.values['dish']} L", "Large"))
            return CommandForm("urn:x", [(Field("list-single", "size", options=sizes, required=True), None)])
        return CommandForm("urn:x", [(Field("text-single", "number"), "1"), (Field("jid-single", "for"), None)])

    def carryOut(self, request: CommandRequest[list[Any]]) -> Completed | Deferred[Completed]:
        """Note the order."""
        if not str(request.values.get("number") or "1").isdigit():
            raise badPayload("number: not a number")
        if self.waiting is not None:
            return self.waiting
        if self.refused is not None:
            raise self.refused
        request.subject.append(dict(request.values))
        return Completed(note="Ordered.")


def submission(type: str = "submit", formType: str = "urn:x", **values: str) -> str:
    """Return a submitted form."""
    fields = {"FORM_TYPE": formType, **values}
    inside = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
    return f"<x xmlns='{ns.DATA}' type='{type}'>{inside}</x>"


class CommandTestCase(SynchronousTestCase):
    """A set of two commands, and what they are carried out on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.order = Order()
        self.commands = Commands([Greet(), self.order], self.clock.seconds)
        self.subject: list[Any] = []

    def request(self, payload: str = "", who: jid.JID = ROMEO, iq: str = "", **attributes: str | None) -> Any:
        """Execute a command, C{order} if no other is named."""
        named = {"node": "order", **attributes}
        written = "".join(f" {name}='{value}'" for name, value in named.items() if value is not None)
        element = xml(f"<iq{iq}><command xmlns='{ns.COMMANDS}'{written}>{payload}</command></iq>")
        return self.commands.execute(self.subject, element, who, DOMAIN)

    def go(self, stage: int = 0, **values: str) -> Any:
        """Begin a session and submit forms up to a stage; return the last answer."""
        given = [{"dish": "soup"}, {"size": "soup L"}, {"number": "2"}]
        answer = self.request()
        for each in given[:stage]:
            answer = self.request(submission(**each), sessionid=answer["sessionid"])
        return answer

    def assertRefused(
        self, condition: str, payload: str = "", general: str = "bad-request", type: str = "modify", **more: Any
    ) -> StanzaError:
        """Check that a request gets an error with this specific condition (C{""} for none)."""
        error = self.assertRaises(StanzaError, self.request, payload, **more)
        self.assertEqual((error.condition, error.type), (general, type))
        specific = error.appCondition
        self.assertEqual("" if specific is None else specific.name, condition)
        self.assertIn(None if specific is None else specific.uri, (None, ns.COMMANDS))
        return error

    def assertStage(self, answer: Element, stage: int, session: str | None = None) -> None:
        """Check the form of a stage, and its actions."""
        self.assertEqual((answer.uri, answer.name), (ns.COMMANDS, "command"))
        self.assertEqual((answer["node"], answer["status"], answer[ns.XML, "lang"]), ("order", "executing", "en"))
        self.assertIn(session, (None, answer["sessionid"]))
        actions, form = answer.childElements()
        forward = "complete" if stage == 2 else "next"
        self.assertEqual((actions.name, actions.attributes), ("actions", {"execute": forward}))
        self.assertEqual([each.name for each in actions.childElements()], ["prev", forward] if stage else ["next"])
        self.assertEqual((form.uri, form["type"]), (ns.DATA, "form"))
        [var, *_] = [each.get("var") for each in form.childElements() if each.get("type") != "hidden" and "var" in
                     each.attributes]  # fmt: skip
        self.assertEqual(var, ("dish", "size", "number")[stage])

    def assertEnded(self, answer: Element, status: str = "completed", note: str = "", type: str = "info") -> None:
        """Check an answer that ends a session."""
        self.assertEqual(answer["status"], status)
        notes = [(each.get("type"), each.text()) for each in answer.childElements() if each.name == "note"]
        self.assertEqual(notes, [(type, note)] if note else [])
        self.assertRefused("session-expired", "", "not-allowed", "cancel", sessionid=answer["sessionid"])

    def valueOf(self, answer: Element, var: str) -> str | None:
        """The value of a field in a form."""
        [form] = [each for each in answer.childElements() if each.name == "x"]
        [field] = [each for each in form.childElements() if each.get("var") == var]
        return field.childText("value")


class DiscoveryTests(CommandTestCase):
    """Section 2.2."""

    def test_list(self) -> None:
        """The list has those commands that the requester may use."""
        for who, nodes in ((ROMEO, ["greet", "order"]), (PARIS, ["greet"])):
            items = self.commands.items(self.subject, who, DOMAIN, ns.COMMANDS)
            assert items is not None
            self.assertEqual((items.uri, items["node"]), (ns.DISCO_ITEMS, ns.COMMANDS))
            self.assertEqual([each["node"] for each in items.childElements()], nodes)
            first = next(items.childElements())
            self.assertEqual(first.attributes, {"jid": "localhost", "node": "greet", "name": "Greet"})
        info = self.commands.info(self.subject, ROMEO, ns.COMMANDS)
        assert info is not None
        [identity, *features] = info.childElements()
        self.assertEqual((identity["category"], identity["type"]), ("automation", "command-list"))
        self.assertEqual([each["var"] for each in features], [ns.DISCO_INFO, ns.DISCO_ITEMS])

    def test_command(self) -> None:
        """A command has an identity and two features, and no items; it is forbidden to those who may not use it."""
        info = self.commands.info(self.subject, ROMEO, "order")
        assert info is not None
        self.assertEqual((info.uri, info["node"]), (ns.DISCO_INFO, "order"))
        [identity, *features] = info.childElements()
        self.assertEqual(identity.attributes, {"category": "automation", "type": "command-node", "name": "Order"})
        self.assertEqual([each["var"] for each in features], [ns.COMMANDS, ns.DATA])
        items = self.commands.items(self.subject, ROMEO, DOMAIN, "order")
        assert items is not None
        self.assertEqual(list(items.childElements()), [])
        for ask in (
            lambda: self.commands.info(self.subject, PARIS, "order"),
            lambda: self.commands.items(self.subject, PARIS, DOMAIN, "order"),
        ):
            self.assertEqual(self.assertRaises(StanzaError, ask).condition, "forbidden")

    def test_otherNodes(self) -> None:
        """Other nodes are left to others; so is the list, if there are no commands."""
        self.assertIsNone(self.commands.info(self.subject, ROMEO, "other"))
        self.assertIsNone(self.commands.items(self.subject, ROMEO, DOMAIN, "other"))
        none: Commands[list[Any]] = Commands([], self.clock.seconds)
        self.assertIsNone(none.info(self.subject, ROMEO, ns.COMMANDS))
        self.assertIsNone(none.items(self.subject, ROMEO, DOMAIN, ns.COMMANDS))
        self.assertFalse(none)

    def test_oneNodeEach(self) -> None:
        """Two commands cannot have one node (section 3.2)."""
        self.assertRaises(ValueError, Commands, [Greet(), Greet()], self.clock.seconds)


class ExecutionTests(CommandTestCase):
    """Section 2.4."""

    def test_simple(self) -> None:
        """A command without stages is carried out at once (section 2.4.1)."""
        for action in ("execute", None):
            answer = self.request(node="greet", action=action)
            self.assertEqual((answer["status"], answer["node"]), ("completed", "greet"))
            self.assertEqual([each.name for each in answer.childElements()], ["note", "hello"])
            self.assertTrue(answer["sessionid"])
        self.assertEqual(self.subject, ["romeo", "romeo"])
        self.request(submission(), node="greet")
        self.assertEqual(len(self.subject), 3)

    def test_stages(self) -> None:
        """Each form leads to the next, and the last one to the outcome; C{execute} is the action that is offered."""
        for actions in ((None, None, None), ("execute", "execute", "execute"), ("next", "next", "complete")):
            self.subject.clear()
            answer = self.request()
            id = answer["sessionid"]
            self.assertStage(answer, 0)
            self.assertEqual(self.valueOf(answer, "dish"), "soup")
            answer = self.request(submission(dish="cake"), action=actions[0], sessionid=id)
            self.assertStage(answer, 1, id)
            answer = self.request(submission(size="cake L"), action=actions[1], sessionid=id, status="completed")
            self.assertStage(answer, 2, id)
            self.assertEqual(self.subject, [])
            answer = self.request(submission(number="3", **{"for": "nurse@localhost"}), action=actions[2], sessionid=id)
            self.assertEqual(answer["sessionid"], id)
            self.assertEnded(answer, note="Ordered.")
            expected = {"dish": "cake", "size": "cake L", "number": "3", "for": jid.parse("nurse@localhost")}
            self.assertEqual(self.subject, [expected])

    def test_back(self) -> None:
        """Going back shows the form before, with what was submitted; what follows is then submitted anew."""
        answer = self.go(2)
        id = answer["sessionid"]
        answer = self.request(action="prev", sessionid=id)
        self.assertStage(answer, 1, id)
        self.assertEqual(self.valueOf(answer, "size"), "soup L")
        answer = self.request(submission(size="nonsense"), action="prev", sessionid=id)
        self.assertStage(answer, 0, id)
        self.assertEqual(self.valueOf(answer, "dish"), "soup")
        for values in ({"dish": "fish"}, {"size": "fish S"}, {}):
            answer = self.request(submission(**values), sessionid=id)
        self.assertEnded(answer, note="Ordered.")
        self.assertEqual(self.subject, [{"dish": "fish", "size": "fish S"}])

    def test_cancel(self) -> None:
        """Cancelling ends the session at every stage, also for those who may not use the command any more."""
        for stage in range(3):
            id = self.go(stage)["sessionid"]
            answer = self.request(action="cancel", sessionid=id)
            self.assertEqual(list(answer.childElements()), [])
            self.assertEnded(answer, "canceled")
        id = self.go()["sessionid"]
        self.subject.append("closed")
        self.assertEqual(self.request(action="cancel", sessionid=id)["status"], "canceled")

    def test_submittedAtOnce(self) -> None:
        """A form may be submitted without being asked for (as in XEP-0317 §4.3)."""
        for action in (None, "execute", "next"):
            answer = self.request(submission(dish="soup"), action=action)
            self.assertStage(answer, 1)
            self.assertStage(self.request(submission(size="soup S"), sessionid=answer["sessionid"]), 2)
        self.assertRefused("bad-payload", submission())
        self.assertRefused("bad-action", submission(dish="soup"), action="complete")

    def test_severalSessions(self) -> None:
        """A requester may have several sessions of a command (section 3.3)."""
        first, second = self.go(1), self.go(1)
        self.assertNotEqual(first["sessionid"], second["sessionid"])
        for answer, size in ((second, "soup S"), (first, "soup L")):
            self.request(submission(size=size), sessionid=answer["sessionid"])
            self.request(submission(), sessionid=answer["sessionid"])
        self.assertEqual([each["size"] for each in self.subject], ["soup S", "soup L"])


class ErrorTests(CommandTestCase):
    """Section 4.4."""

    def test_actions(self) -> None:
        """Unknown actions are malformed; those that a stage does not offer are bad."""
        self.assertRefused("malformed-action", action="destroy")
        self.assertRefused("malformed-action", action="")
        for action in ("prev", "next", "complete", "cancel"):
            self.assertRefused("bad-action", action=action)
        self.assertRefused("bad-action", submission(dish="soup"), action="prev")
        self.assertRefused("bad-action", submission(dish="soup"), action="cancel")
        self.assertRefused("bad-action", submission(), node="greet", action="complete")
        for stage, bad in ((0, ("prev", "complete")), (1, ("complete",)), (2, ("next",))):
            answer = self.go(stage)
            for action in bad:
                self.assertRefused("bad-action", submission(), action=action, sessionid=answer["sessionid"])
            self.assertEqual(self.request(action="cancel", sessionid=answer["sessionid"])["status"], "canceled")

    def test_payload(self) -> None:
        """A form that is missing, of another kind or invalid is bad; the session stays at its stage."""
        id = self.go()["sessionid"]
        for payload, text in (
            ("", "must contain the form"),
            (submission(), "dish: must be filled in"),
            (f"<x xmlns='{ns.DATA}' type='submit'/>", "dish: must be filled in"),
            (submission(dish=""), "dish: must be filled in"),
            (submission("form", dish="soup"), "type submit"),
            (submission("submit", "urn:y", dish="soup"), "FORM_TYPE"),
            (submission(dish="stone"), "dish: not edible"),
            (submission(dish="x" * SIZE_LIMIT), "longer than"),
            (submission("cancel"), "dish: must be filled in"),
        ):
            self.assertIn(text, self.assertRefused("bad-payload", payload, sessionid=id).text or "")
        answer = self.request(submission("cancel", dish="soup"), sessionid=id)
        self.assertStage(answer, 1, id)  # a form of type cancel counts as submitted (section 3.5.1)
        self.assertIn("options", self.assertRefused("bad-payload", submission(size="cake L"), sessionid=id).text or "")
        self.request(submission(size="soup L"), sessionid=id)
        for values in ({"for": "a@b@c"}, {"number": "many"}):
            self.assertRefused("bad-payload", submission(**values), sessionid=id)
        self.assertEnded(self.request(submission(number="2"), sessionid=id), note="Ordered.")

    def test_sessions(self) -> None:
        """Ids are those that were given to the requester; sessions time out."""
        id = self.go()["sessionid"]
        for made in ("", "mine"):
            self.assertRefused("bad-sessionid", submission(dish="soup"), sessionid=made)
        self.assertRefused("bad-sessionid", sessionid=id, who=jid.parse("romeo@localhost/b"))
        self.assertRefused("bad-sessionid", sessionid=id, node="greet")
        self.clock.advance(LIFETIME)
        self.assertRefused("session-expired", submission(dish="soup"), "not-allowed", "cancel", sessionid=id)

    def test_locale(self) -> None:
        """A language that is none is refused, at either place; every other one is answered in English."""
        for written in ("no_language", "-", "x" * 65, "en-"):
            self.assertRefused("bad-locale", **{"xml:lang": written})
            self.assertRefused("bad-locale", iq=f" xml:lang='{written}'")
        for written in ("fr-ca", "de", "zh-Hant-TW", ""):
            self.assertStage(self.request(**{"xml:lang": written}), 0)
            self.assertStage(self.request(iq=f" xml:lang='{written}'"), 0)

    def test_commands(self) -> None:
        """Unknown commands, commands without a name, and a set without commands."""
        self.assertRefused("", node="other", general="item-not-found", type="cancel")
        self.assertRefused("", node=None)
        self.commands = Commands([], self.clock.seconds)
        self.assertRefused("", general="feature-not-implemented", type="cancel")

    def test_forbidden(self) -> None:
        """Whoever may not use a command is refused, at each stage; the session then ends."""
        self.assertRefused("", who=PARIS, general="forbidden", type="cancel")
        self.assertRefused("", submission(dish="soup"), who=PARIS, general="forbidden", type="cancel")
        id = self.go(2)["sessionid"]
        self.subject.append("closed")
        self.assertRefused("", submission(), sessionid=id, general="forbidden", type="cancel")
        self.subject.clear()
        self.assertRefused("session-expired", submission(), "not-allowed", "cancel", sessionid=id)

    def test_failed(self) -> None:
        """A command that fails is completed with a note of type error (section 3.6)."""
        for error, text in (
            (StanzaError("conflict", text="Too late."), "Too late."),
            (StanzaError("forbidden"), "You are not allowed to do this."),
            (StanzaError("not-acceptable"), "not acceptable"),
        ):
            id = self.go(2)["sessionid"]
            self.order.refused = error
            answer = self.request(submission(), sessionid=id)
            self.assertEqual(answer["sessionid"], id)
            self.assertEnded(answer, note=text, type="error")
        self.subject.append("sold out")
        self.assertEnded(self.request(), note="There is nothing left.", type="error")
        self.subject.clear()
        id = self.go(1)["sessionid"]
        self.subject.append("sold out")
        self.assertEnded(self.request(submission(size="x"), sessionid=id), note="There is nothing left.", type="error")

    def test_tryAgain(self) -> None:
        """After an error that passes, the same may be submitted again."""
        id = self.go(2)["sessionid"]
        self.order.refused = StanzaError("internal-server-error", "wait")
        self.assertRefused("", submission(), "internal-server-error", "wait", sessionid=id)
        self.order.refused = None
        self.assertEnded(self.request(submission(), sessionid=id), note="Ordered.")

    def test_deferred(self) -> None:
        """While a command is carried out, its session has ended; if it fails, the same holds as at once."""
        for fail, status in ((None, "completed"), (StanzaError("conflict"), "completed")):
            id = self.go(2)["sessionid"]
            self.order.waiting = waiting = Deferred()
            result = self.request(submission(), sessionid=id)
            self.assertNoResult(result)
            self.assertRefused("session-expired", submission(), "not-allowed", "cancel", sessionid=id)
            waiting.callback(Completed(note="Yes.")) if fail is None else waiting.errback(fail)
            answer = self.successResultOf(result)
            self.assertEqual(answer["status"], status)
            self.assertEnded(answer, note="conflict" if fail else "Yes.", type="error" if fail else "info")
        id = self.go(2)["sessionid"]
        for error in (StanzaError("internal-server-error", "wait"), badPayload("number: too many")):
            self.order.waiting = waiting = Deferred()
            result = self.request(submission(), sessionid=id)
            waiting.errback(error)
            self.assertIs(self.failureResultOf(result, StanzaError).value, error)
        self.order.waiting = waiting = Deferred()
        result = self.request(submission(), sessionid=id)
        waiting.errback(ZeroDivisionError())
        self.failureResultOf(result, ZeroDivisionError)


class AnyRequestTests(CommandTestCase):
    """Any sequence of requests."""

    @settings(max_examples=50)
    @given(st.data())
    def test_any(self, data: st.DataObject) -> None:
        """
        Every request is answered or refused with an error of the table; an order is complete, and is carried out at
        most once a session.
        """
        self.setUp()
        ids = ["", "x"]
        executed = 0
        for _ in range(data.draw(st.integers(1, 12))):
            values = data.draw(
                st.dictionaries(
                    st.sampled_from(["dish", "size", "number", "for"]),
                    st.sampled_from(["", "soup", "soup L", "stone", "2", "a@b"]),
                )
            )
            types = st.sampled_from(["submit", "submit", "cancel", "form"])
            payload = data.draw(st.one_of(st.just(""), types.map(lambda type: submission(type, **values))))  # noqa: B023
            try:
                answer = self.request(
                    payload,
                    sessionid=data.draw(st.one_of(st.none(), st.sampled_from(ids))),
                    action=data.draw(
                        st.sampled_from([None, None, "execute", "next", "prev", "complete", "cancel", "other"])
                    ),
                    who=data.draw(st.sampled_from([ROMEO, ROMEO, ROMEO, PARIS])),
                )
            except StanzaError as e:
                self.assertIn(e.condition, ("bad-request", "not-allowed", "forbidden"))
                continue
            ids.append(answer["sessionid"])
            executed += answer["status"] == "completed"
            self.assertEqual(len(self.subject), executed)
        for order in self.subject:
            self.assertIn(order["size"], (f"{order['dish']} S", f"{order['dish']} L"))
