# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.talk}: messages to rooms, through a whole server (XEP-0045 §7.4, §7.5, §8.1, §17.2).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import render
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from tests.muc.company import ROOM, Scene, join, told

BODY = "<body>a</body>"


class TalkTestCase(SynchronousTestCase):
    """
    A moderated room with its owner, a member, a visitor; and a stranger outside.
    """

    def setUp(self) -> None:
        """
        Let them in.
        """
        self.begin(Scene({"moderatedroom": "1"}))

    def begin(self, scene: Scene) -> None:
        """
        Let them into a scene.
        """
        self.scene = scene
        self.owner = scene.owner
        scene.admin(jid="member@localhost", affiliation="member")
        self.member = scene.guest("member", "Member")
        self.visitor = scene.guest("visitor", "Visitor")
        self.stranger = scene.person("stranger")

    def silent(self) -> None:
        """
        See that nobody has heard anything.
        """
        for client in self.scene.clients.values():
            self.assertEqual(told(client), [], client.address)


class GroupchatTests(TalkTestCase):
    """
    To everybody (§7.4).
    """

    def test_everybody(self) -> None:
        """
        Everybody who is in hears it, and nobody else.
        """
        self.member.sends(f"<message to='{ROOM}' type='groupchat' id='hysf1v37'>{BODY}</message>")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.member.hears()],
            [f"<message to='member@localhost/r' type='groupchat' id='hysf1v37' from='{ROOM}/Member'>{BODY}</message>"],
        )
        for client in (self.owner, self.visitor):
            self.assertEqual(told(client), ["Member groupchat body:a"])
        self.silent()

    def test_visitor(self) -> None:
        """
        A visitor gets his message back with C{forbidden}, as it was, and nobody else hears it.
        """
        self.visitor.sends(
            f"<message to='{ROOM}' type='groupchat' id='8'><subject>s</subject>{BODY}"
            f"<x xmlns='{ns.MUC_USER}'/></message>"
        )
        [error] = self.visitor.hears()
        self.assertEqual(
            {**error.attributes}, {"to": "visitor@localhost/r", "from": ROOM, "id": "8", "type": "error"}
        )
        self.assertEqual([child.name for child in error.childElements()], ["subject", "body", "x", "error"])
        refusal = error.child("error")
        assert refusal is not None
        self.assertEqual(refusal.attributes, {"by": ROOM, "type": "auth"})
        self.assertIsNotNone(refusal.child("forbidden", ns.STANZA_ERRORS))
        self.silent()

    def test_stranger(self) -> None:
        """
        Who is not in is told C{not-acceptable}; so is another session of somebody who is.
        """
        for client in (self.stranger, self.scene.person("member/phone")):
            for inside in (BODY, "<subject>a</subject>", f"<subject>a</subject>{BODY}"):
                client.sends(f"<message to='{ROOM}' type='groupchat'>{inside}</message>")
                self.assertEqual(told(client), [f"room message error not-acceptable modify {ROOM}"])
        self.silent()

    def test_noRoom(self) -> None:
        """
        A room that is not, or not yet, is C{item-not-found} (§17.2).
        """
        other = "other@conference.localhost"
        self.stranger.sends(f"<message to='{other}' type='groupchat'>{BODY}</message>")
        self.assertIn("message error item-not-found cancel", told(self.stranger)[0])
        self.owner.sends(f"<presence to='{other}/Owner'><x xmlns='{ns.MUC}'/></presence>")
        self.owner.hears()
        for type in ("groupchat", "normal", "chat"):
            for to in (other, f"{other}/Owner") if type != "groupchat" else (other,):
                self.stranger.sends(f"<message to='{to}' type='{type}'>{BODY}</message>")
                self.assertIn("message error item-not-found cancel", told(self.stranger)[0])
        self.silent()
        self.owner.sends(f"<message to='{other}' type='groupchat'>{BODY}</message>")
        self.assertEqual(told(self.owner), [f"{other}/Owner groupchat body:a"])

    def test_otherTypes(self) -> None:
        """
        Any other type is C{bad-request} (§17.2), but a headline, which nobody waits for.
        """
        for client in (self.member, self.stranger):
            for type in ("", " type='normal'", " type='chat'", " type='shout'"):
                client.sends(f"<message to='{ROOM}'{type}>{BODY}</message>")
                self.assertEqual(told(client), [f"room message error bad-request modify {ROOM}"])
            for type in ("headline", "error"):
                client.sends(f"<message to='{ROOM}' type='{type}'>{BODY}</message>")
        self.silent()


class SubjectTests(TalkTestCase):
    """
    The subject (§8.1).
    """

    def subject(self) -> str | None:
        """
        The subject that the room has.
        """
        subject = self.scene.room.subject
        return subject.text if subject is not None else None

    def stored(self) -> str | None:
        """
        The subject that the store has.
        """
        record = self.successResultOf(self.scene.store.load(ROOM))
        return record.subject.text if record.subject is not None else None

    def test_changed(self) -> None:
        """
        A moderator changes it: everybody hears it from him, and it is kept.
        """
        self.owner.sends(f"<message to='{ROOM}' type='groupchat' id='lh2'><subject>Fire</subject></message>")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.owner.hears()],
            [
                f"<message to='owner@localhost/o' type='groupchat' id='lh2' from='{ROOM}/Owner'>"
                "<subject>Fire</subject></message>"
            ],
        )
        for client in (self.member, self.visitor):
            self.assertEqual(told(client), ["Owner groupchat subject:Fire"])
        self.assertEqual((self.subject(), self.stored()), ("Fire", "Fire"))

    def test_cleared(self) -> None:
        """
        An empty one takes it away.
        """
        self.owner.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")
        self.scene.forget()
        self.owner.sends(f"<message to='{ROOM}' type='groupchat'><subject></subject></message>")
        self.assertEqual(told(self.member), ["Owner groupchat subject:"])
        self.assertEqual((self.subject(), self.stored()), ("", ""))

    def test_noChange(self) -> None:
        """
        With a body or a thread it is a message like any other, which a participant may send and which changes no
        subject.
        """
        for extra in (BODY, "<thread>t</thread>"):
            self.member.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject>{extra}</message>")
            self.assertIn("subject:Fire", told(self.visitor)[0])
        self.assertIsNone(self.subject())

    def test_forbidden(self) -> None:
        """
        Who may not gets it back with C{forbidden}, and it stays.
        """
        for client in (self.member, self.visitor):
            client.sends(f"<message to='{ROOM}' type='groupchat' id='lh2'><subject>Fire</subject></message>")
            [error] = client.hears()
            self.assertEqual([child.name for child in error.childElements()], ["subject", "error"])
            self.assertEqual(error.get("from"), ROOM)
            refusal = error.child("error")
            assert refusal is not None
            self.assertEqual(refusal.attributes, {"by": ROOM, "type": "auth"})
            self.assertIsNotNone(refusal.child("forbidden", ns.STANZA_ERRORS))
        self.assertIsNone(self.subject())
        self.scene.forget()

    def test_allowed(self) -> None:
        """
        Where participants may, they may, and visitors still may not.
        """
        self.scene.configure(changesubject="1")
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")
        self.assertEqual(told(self.visitor), ["Member groupchat subject:Fire"])
        self.visitor.sends(f"<message to='{ROOM}' type='groupchat'><subject>Ice</subject></message>")
        self.assertEqual(told(self.visitor), [f"room message error forbidden auth {ROOM}"])
        self.assertEqual(self.subject(), "Fire")

    def test_durable(self) -> None:
        """
        Nobody hears of it before it is stored; what its sender says after it comes after it, what others say does not
        wait.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(Scene({"moderatedroom": "1"}, store))
        store.holding = frozenset(["change"])
        self.owner.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")
        self.owner.sends(f"<message to='{ROOM}' type='groupchat'><body>b</body></message>")
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><body>c</body></message>")
        self.assertEqual(told(self.visitor), ["Member groupchat body:c"])
        self.assertIsNone(self.subject())
        self.owner.sends(f"<presence type='unavailable' to='{ROOM}/Owner'/>")
        store.release()
        self.assertEqual(
            told(self.visitor),
            ["Owner groupchat subject:Fire", "Owner groupchat body:b", "Owner unavailable owner/none"],
        )

    def test_oneAtATime(self) -> None:
        """
        Two who change it at once do so one after the other, and the last one stays.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(Scene({"changesubject": "1"}, store))
        store.holding = frozenset(["change"])
        self.owner.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><subject>Ice</subject></message>")
        self.assertEqual(store.held, ["change"])
        while store.held:
            store.release()
        self.assertEqual(told(self.visitor), ["Owner groupchat subject:Fire", "Member groupchat subject:Ice"])
        self.assertEqual((self.subject(), self.stored()), ("Ice", "Ice"))

    def test_reserved(self) -> None:
        """
        What only the room may say does not pass with a subject either.
        """
        self.owner.sends(
            f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject>"
            f"<x xmlns='{ns.MUC_USER}'><status code='104'/></x>"
            f"<delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2002-09-10T23:08:25Z'/></message>"
        )
        self.assertEqual(told(self.member), ["Owner groupchat subject:Fire"])

    def test_failed(self) -> None:
        """
        If it cannot be stored, its sender gets it back as he sent it, nobody hears of it, and it stays as it was.
        """
        store = FailingRoomStore()
        self.begin(Scene({"moderatedroom": "1"}, store))
        store.failing = frozenset(["change"])
        self.owner.sends(f"<message to='{ROOM}' type='groupchat' id='4'><subject>Fire</subject></message>")
        [error] = self.owner.hears()
        self.assertEqual({**error.attributes}, {"to": "owner@localhost/o", "from": ROOM, "id": "4", "type": "error"})
        refusal = error.child("error")
        assert refusal is not None
        self.assertEqual(refusal.get("type"), "wait")
        self.assertIsNotNone(refusal.child("internal-server-error", ns.STANZA_ERRORS))
        self.assertIsNone(self.subject())
        self.silent()


class PrivateTests(TalkTestCase):
    """
    To one (§7.5).
    """

    def test_delivered(self) -> None:
        """
        It comes under the sender's occupant JID, marked with an empty C{muc#user}, with its id, type and content.
        """
        self.visitor.sends(f"<message to='{ROOM}/Member' type='chat' id='hgn'>{BODY}<y xmlns='urn:y'/></message>")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.member.hears()],
            [
                f"<message to='member@localhost/r' type='chat' id='hgn' from='{ROOM}/Visitor'>{BODY}"
                f"<y xmlns='urn:y'/><x xmlns='{ns.MUC_USER}'/></message>"
            ],
        )
        self.silent()

    def test_marked(self) -> None:
        """
        However the sender has marked it, it is marked once, and what only the room may say is not in it (§17.3,
        XEP-0203 §5).
        """
        for inside in (
            f"<x xmlns='{ns.MUC_USER}'/>",
            f"<x xmlns='{ns.MUC_USER}'><invite from='king@localhost'/></x>",
            f"<x xmlns='{ns.MUC_USER}'/><x xmlns='{ns.MUC_USER}'><status code='101'/></x>",
            f"<delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2002-09-10T23:08:25Z'/>",
        ):
            self.visitor.sends(f"<message to='{ROOM}/Member' type='chat'>{inside}{BODY}</message>")
            self.assertEqual(told(self.member), ["Visitor chat body:a x"])

    def test_types(self) -> None:
        """
        It may be of any type but groupchat.
        """
        for type, expected in (("", "normal"), (" type='normal'", "normal"), (" type='headline'", "headline")):
            self.owner.sends(f"<message to='{ROOM}/Member'{type}>{BODY}</message>")
            self.assertEqual(told(self.member), [f"Owner {expected} body:a x"])
        self.silent()

    def test_oneself(self) -> None:
        """
        One may write to oneself.
        """
        self.member.sends(f"<message to='{ROOM}/Member' type='chat'>{BODY}</message>")
        self.assertEqual(told(self.member), ["Member chat body:a x"])

    def test_groupchat(self) -> None:
        """
        Of type groupchat it is refused with C{bad-request} from the one it was for, by the room.
        """
        for client in (self.member, self.stranger):
            client.sends(f"<message to='{ROOM}/Owner' type='groupchat' id='bx7'>{BODY}</message>")
            [error] = client.hears()
            self.assertEqual(
                {**error.attributes}, {"to": client.address, "from": f"{ROOM}/Owner", "id": "bx7", "type": "error"}
            )
            self.assertEqual([child.name for child in error.childElements()], ["body", "error"])
            refusal = error.child("error")
            assert refusal is not None
            self.assertEqual(refusal.attributes, {"by": ROOM, "type": "modify"})
            self.assertIsNotNone(refusal.child("bad-request", ns.STANZA_ERRORS))
        self.silent()

    def test_nobody(self) -> None:
        """
        To a nick that nobody has it is C{item-not-found}.
        """
        self.member.sends(f"<message to='{ROOM}/Nobody' type='chat'>{BODY}</message>")
        self.assertEqual(told(self.member), [f"Nobody message error item-not-found cancel {ROOM}"])

    def test_stranger(self) -> None:
        """
        From one who is not in it is C{not-acceptable}, and he does not learn who is.
        """
        for nick in ("Member", "Nobody"):
            self.stranger.sends(f"<message to='{ROOM}/{nick}' type='chat'>{BODY}</message>")
            self.assertEqual(told(self.stranger), [f"{nick} message error not-acceptable modify {ROOM}"])
        self.silent()

    def test_restricted(self) -> None:
        """
        Where only moderators may, others are refused; but what comes back as an error gets to who wrote.
        """
        self.scene.configure(allowpm="moderators")
        self.member.sends(f"<message to='{ROOM}/Owner' type='chat'>{BODY}</message>")
        self.assertEqual(told(self.member), [f"Owner message error forbidden auth {ROOM}"])
        self.owner.sends(f"<message to='{ROOM}/Member' type='chat' id='5'>{BODY}</message>")
        self.assertEqual(told(self.member), ["Owner chat body:a x"])
        self.member.sends(
            f"<message to='{ROOM}/Owner' type='error' id='5'><error type='cancel' by='member@localhost'>"
            f"<not-acceptable xmlns='{ns.STANZA_ERRORS}'/></error></message>"
        )
        [bounced] = self.owner.hears()
        self.assertEqual((bounced.get("from"), bounced.get("id")), (f"{ROOM}/Member", "5"))
        self.assertNotIn("member@localhost", render(bounced).decode().replace(ROOM, ""))
        self.silent()

    def test_bouncedToNobody(self) -> None:
        """
        An error for one who is gone is dropped.
        """
        for to in (f"{ROOM}/Nobody", "other@conference.localhost/x"):
            for client in (self.member, self.stranger):
                error = f"<error type='auth'><forbidden xmlns='{ns.STANZA_ERRORS}'/></error>"
                client.sends(f"<message to='{to}' type='error'>{error}</message>")
        self.silent()


class OrderTests(TalkTestCase):
    """
    One sender's stanzas keep their order (RFC 6120 §10.1).
    """

    def test_joinThenSpeak(self) -> None:
        """
        Who enters a room that is at rest and speaks at once is heard after he is in.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(Scene({"persistentroom": "1"}, store))
        for client in (self.owner, self.member, self.visitor):
            client.vanishes()
        self.scene.muc.rooms.forget(self.scene.room)
        store.holding = frozenset(["load"])
        join(self.stranger, "Stranger")
        self.stranger.sends(f"<message to='{ROOM}' type='groupchat'>{BODY}</message>")
        self.assertEqual(told(self.stranger), [])
        store.release()
        self.assertEqual(told(self.stranger)[-1], "Stranger groupchat body:a")
