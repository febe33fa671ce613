# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.explicitmentions} (XEP-0513)."""

from __future__ import annotations

from typing import Any

from muccore.testing.doubles import FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    codesOf,
    errorText,
    form,
    join,
    sendGroupchat,
    sendIQ,
    summaries,
    values,
)

DEFAULTS = {
    "mentions#count": ["10"],
    "mentions#individual": ["participants"],
    "mentions#channel": ["moderators"],
    "mentions#associations": ["moderators"],
    "mentions#hats": ["moderators"],
}


def mention(kind: str = "", attributes: str = "occupantid='x'") -> str:
    """A mention of one user, or of a group."""
    if kind:
        attributes = f"mentions='{ns.MENTIONS}#{kind}'"
    return f"<mention xmlns='{ns.MENTIONS}' {attributes}/>"


class MentionsTestCase(RoomTestCase):
    """A persistent room with Juliet as a participant."""

    fields: dict[str, Any] = {"persistentroom": True}

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.enter("juliet")

    def permit(self, client: Client, type: str = "submit", to: str = ROOM, **fields: Any) -> None:
        """Submit permissions."""
        named = {f"mentions#{name}": value for name, value in fields.items()}
        sendIQ(client, "set", f"<query xmlns='{ns.MENTIONS}'>{form(ns.MENTIONS, named, type)}</query>", to=to)


class FilterTests(MentionsTestCase):
    """Which mentions are sent."""

    def sent(self, client: Client, *mentions: str) -> list[str]:
        """The kinds of the mentions that others get; C{""} is for one user."""
        self.discardReceived()
        sendGroupchat(client, "<body>x</body>" + "".join(mentions))
        [message] = self.owner.received()
        self.assertEqual(message.childText("body"), "x")
        found = (child.get("mentions") or "" for child in message.childElements() if child.name == "mention")
        return [each.rpartition("#")[2] for each in found]

    def test_defaults(self) -> None:
        """Everybody may mention individual users, moderators groups."""
        groups = ["channel", "hats", "moderators", "participants", "visitors", "owner", "admin", "member", "none"]
        for group in groups:
            both = (mention(), mention(group))
            self.assertEqual(self.sent(self.juliet, *both), [""], group)
            self.assertEqual(self.sent(self.owner, *both), ["", group])

    def test_permitted(self) -> None:
        """§3.6: Each kind has its permission: participants, moderators or nobody."""
        kinds = ["", "channel", "hats", "member"]
        mentions = [mention(kind) for kind in kinds]
        for value, expected in (("participants", (kinds, kinds)), ("moderators", ([], kinds)), ("none", ([], []))):
            self.permit(self.owner, individual=value, channel=value, associations=value, hats=value)
            found = self.sent(self.juliet, *mentions), self.sent(self.owner, *mentions)
            self.assertEqual(found, expected, value)
        self.permit(self.owner, hats="participants")
        self.assertEqual(self.sent(self.juliet, *mentions), ["hats"])

    def test_others(self) -> None:
        """What a room has no permission for passes: other groups, and other elements."""
        self.permit(self.owner, individual="none", channel="none", associations="none", hats="none")
        self.assertEqual(self.sent(self.juliet, mention("space"), mention("server")), ["space", "server"])
        self.assertEqual(self.sent(self.juliet, mention(attributes="mentions='urn:x#y'")), ["y"])
        self.assertEqual(self.sent(self.juliet, "<mention xmlns='urn:x'/>"), [""])

    def test_count(self) -> None:
        """§3.6: Of too many none is sent, moderators' included."""
        self.permit(self.owner, count=2)
        for client in (self.owner, self.juliet):
            self.assertEqual(self.sent(client, mention(), mention()), ["", ""])
            self.assertEqual(self.sent(client, mention(), mention(), mention()), [])
        self.permit(self.owner, count=0)
        self.assertEqual(self.sent(self.juliet, mention()), [])


class PermissionTests(MentionsTestCase):
    """Reading and changing the permissions."""

    def form(self, client: Client) -> Element:
        """The form."""
        client.received()
        sendIQ(client, "get", f"<query xmlns='{ns.MENTIONS}'/>")
        x = self.result(client).child("x", ns.DATA)
        assert x is not None
        return x

    def test_form(self) -> None:
        """§3.6: It is for everybody; all fields are required."""
        for client in (self.owner, self.juliet, self.client("nurse")):
            x = self.form(client)
            self.assertEqual((x.get("type"), values(x)), ("form", {"FORM_TYPE": [ns.MENTIONS], **DEFAULTS}))
            fields = [each for each in x.childElements() if each.name == "field" and each.get("var") != "FORM_TYPE"]
            self.assertTrue(all(field.child("required") is not None for field in fields))

    def test_disco(self) -> None:
        """§2, §3.2, §3.6: The features are there, and the permissions in C{muc#roominfo}."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        answer = self.result(self.juliet)
        features = {each.get("var") for each in answer.childElements() if each.name == "feature"}
        kinds = ("", "#channel", "#associations", "#hats")
        self.assertLessEqual({f"{ns.MENTIONS}{kind}" for kind in kinds}, features)
        self.assertEqual({each for each in features if str(each).endswith(("#space", "#server"))}, set())
        x = answer.child("x", ns.DATA)
        assert x is not None
        self.assertEqual({var: value for var, value in values(x).items() if var in DEFAULTS}, DEFAULTS)

    def test_change(self) -> None:
        """§3.6: The owner gets the result; all are told what has changed, and nothing else; it is stored."""
        self.permit(self.owner, count=1, individual="participants", channel="none")
        answer, code, told = self.owner.received()
        self.assertEqual(codesOf(code), [104])
        self.assertEqual((answer.get("type"), list(answer.childElements())), ("result", []))
        [_, toJuliet] = self.juliet.received()
        for message in (told, toJuliet):
            self.assertEqual(message.get("type"), "groupchat")
            x = message.child("x", ns.DATA)
            assert x is not None
            changed = {"FORM_TYPE": [ns.MENTIONS], "mentions#count": ["1"], "mentions#channel": ["none"]}
            self.assertEqual((x.get("type"), values(x)), ("result", changed))
        self.startServer(self.server.store)
        [self.owner] = self.login("owner")
        join(self.owner, "Owner")
        expected = {**DEFAULTS, "mentions#count": ["1"], "mentions#channel": ["none"]}
        self.assertEqual(values(self.form(self.owner)), {"FORM_TYPE": [ns.MENTIONS], **expected})

    def test_unchanged(self) -> None:
        """Nobody is told of what stays the same, nor of a form that is cancelled."""
        self.permit(self.owner, count=10)
        self.permit(self.owner, "cancel")
        self.assertEqual((summaries(self.owner), summaries(self.juliet)), (["result q"] * 2, []))

    def test_configurationForm(self) -> None:
        """They are in the room's configuration form, too, and a change there is told as well."""
        self.juliet.received()
        self.configure({"mentions#count": 3})
        [_, _, told] = self.owner.received()
        x = told.child("x", ns.DATA)
        assert x is not None
        self.assertEqual(values(x)["mentions#count"], ["3"])

    def configure(self, fields: dict[str, Any]) -> None:
        """Configure the room."""
        inside = form(ns.MUC_ROOMCONFIG, fields)
        sendIQ(self.owner, "set", f"<query xmlns='{ns.MUC_OWNER}'>{inside}</query>")

    def test_refused(self) -> None:
        """§3.6: Only owners may; values are checked, and the error names the field."""
        for client in (self.juliet, self.client("nurse")):
            client.received()
            self.permit(client, count=1)
            self.assertEqual(summaries(client), ["error q auth forbidden"])
        for fields, field in (({"count": 101}, "mentions#count"), ({"channel": "owner"}, "mentions#channel")):
            self.permit(self.owner, **fields)
            [error] = self.owner.received()
            self.assertIn(field, errorText(error))
        sendIQ(self.owner, "set", f"<query xmlns='{ns.MENTIONS}'/>")
        self.assertEqual(summaries(self.owner), ["error q modify bad-request"])
        self.assertEqual(values(self.form(self.owner)), {"FORM_TYPE": [ns.MENTIONS], **DEFAULTS})

    def test_storeFails(self) -> None:
        """What cannot be stored is refused, and nobody is told."""
        store = FailingRoomStore(self.server.store)
        self.server.muc.rooms.store = store
        store.failing = frozenset({"change"})
        self.permit(self.owner, count=1)
        self.assertEqual(summaries(self.owner), ["error q wait internal-server-error"])
        self.assertEqual(self.juliet.received(), [])

    def test_locked(self) -> None:
        """A room that has not been configured stays locked."""
        other = "other@conference.localhost"
        join(self.owner, "Owner", to=other)
        self.owner.received()
        self.permit(self.owner, to=other, count=1)
        self.assertEqual(summaries(self.owner), ["error q cancel not-allowed"])
        self.assertTrue(self.room(other).locked)
