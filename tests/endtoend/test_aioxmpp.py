# Copyright (c) The muccore authors. See LICENSE for details.
"""The whole life of a room with aioxmpp over TLS, whose clients return to it by themselves after C{kill -9}."""

from __future__ import annotations

from typing import Any

from muccore.xmpp import ns
from tests.endtoend.persistentserver import PEOPLE, PersistentServerTests
from tests.endtoend.slixmppthread import ROOM

_VENUE = "balcony@conference.localhost"
_KEPT = [
    ("Romeo", ""), ("Romeo", "I am Romeo"), ("Tybalt", "I am Tybalt"), ("Tybalt", "retracted"), ("Tybalt", "retracted"),
    ("Tybalt", ""), ("", ""),
]  # fmt: skip
"""The archive: the subject, messages, and what has retracted them."""


class AioxmppTests(PersistentServerTests):
    """One room from its creation to its end."""

    storage = {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}

    async def setUp(self) -> None:
        """Find aioxmpp, and start the server."""
        await super().setUp()
        # Not at the top: without aioxmpp only these tests fail.
        from tests.endtoend import aioxmppclient

        self.lib = aioxmppclient

    async def test_life(self) -> None:
        """
        Romeo creates and configures a moderated room, in which Juliet registers, Tybalt asks for voice and Mercutio is
        invited; they talk, retract and are moderated. After C{kill -9} the clients return by themselves, and all of it
        is there, until Romeo destroys it.
        """
        await self.asyncioThread.run(self.begin())
        await self.asyncioThread.run(self.moderate())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.end())
        self.assertEqual(self.server.unexpectedLines, [])

    async def begin(self) -> None:
        """From the creation to a discussion."""
        lib = self.lib
        aioxmpp = lib.aioxmpp
        self.ids: dict[str, str] = {}
        self.people = [lib.Person(self.asyncioThread, name, self.server.port, self.server.certificate)
                       for name in PEOPLE]  # fmt: skip
        romeo, juliet, tybalt, mercutio = self.people
        for each in self.people:
            await each.logIn()

        # Creation and configuration (XEP-0045 §10.1)
        self.assertEqual(await romeo.enter(), {110, 170, 201})
        room = romeo.inside.jid
        form = aioxmpp.muc.ConfigurationForm.from_xso(await romeo.rooms.get_room_config(room))
        form.roomname.value = "The orchard"
        form.persistentroom.value = form.moderatedroom.value = form.allowinvites.value = True
        reply = form.render_reply()
        for field in reply.fields:
            if field.var == "x-muc#roomconfig_selfregistration":
                field.values[:] = ["approval"]
        await romeo.rooms.set_room_config(room, reply)
        info = await juliet.client.summon(aioxmpp.DiscoClient).query_info(room)
        self.assertEqual([(each.category, each.name) for each in info.identities], [("conference", "The orchard")])
        self.assertLessEqual({"muc_moderated", ns.MAM, ns.MODERATE}, info.features)

        # Registration (§7.10), which Romeo approves (§9.9); then the nick is Juliet's.
        registration = aioxmpp.ibr.Query()
        asked = await juliet.request("get", registration)
        self.assertIn("muc#register_roomnick", [field.var for field in asked.form.fields])
        registration.form = lib.submitted(**{"FORM_TYPE": ns.MUC_REGISTER, "muc#register_roomnick": "Juliet"})
        await juliet.request("set", registration)
        asked = (await romeo.nextMessage(lambda message: message.xep0004_data)).xep0004_data[0]
        values = {field.var: field.values[0] for field in asked.fields if field.values}
        self.assertEqual((values["x-muc#register_jid"], values["muc#register_roomnick"]),
                         ("juliet@localhost", "Juliet"))  # fmt: skip
        answer = aioxmpp.Message(type_=aioxmpp.MessageType.NORMAL, to=room)
        answer.xep0004_data.append(lib.submitted(**{**values, "muc#register_allow": "1"}))
        await romeo.send(answer)
        approved = (await juliet.nextMessage(lambda message: message.xep0045_muc_user)).xep0045_muc_user
        self.assertEqual(approved.status_codes, {101})
        with self.assertRaises(aioxmpp.errors.XMPPCancelError) as caught:
            await tybalt.enter("Juliet")
        self.assertEqual(caught.exception.condition, aioxmpp.ErrorCondition.CONFLICT)
        await juliet.enter()
        self.assertEqual((juliet.inside.me.affiliation, juliet.inside.me.role), ("member", "participant"))

        # Voice (§7.13, §8.6)
        await tybalt.enter()
        self.assertEqual((tybalt.inside.me.affiliation, tybalt.inside.me.role), ("none", "visitor"))
        await tybalt.inside.muc_request_voice()
        (request, submission), _ = await romeo.next("on_muc_role_request")
        self.assertEqual(request.roomnick.value, "Tybalt")
        request.request_allow.value = True
        submission.set_result(request.render_reply())
        await tybalt.next("on_muc_role_changed")
        self.assertEqual(tybalt.inside.me.role, "participant")

        # Invitations (§7.8, XEP-0249)
        for mode in (aioxmpp.im.InviteMode.MEDIATED, aioxmpp.im.InviteMode.DIRECT):
            token, _ = await juliet.inside.invite(mercutio.client.local_jid.bare(), "Come", mode=mode)
            await token
            (_, address, inviter, received), more = await mercutio.next("on_muc_invitation")
            self.assertEqual((address, received, more["reason"]), (room, mode, "Come"))
            expected = f"{ROOM}/Juliet" if mode is aioxmpp.im.InviteMode.MEDIATED else "juliet@localhost/aioxmpp"
            self.assertEqual(str(inviter), expected)
        await mercutio.enter()

        # Subject (§8.1), messages (§7.4), nicks (§7.6), private messages (§7.5)
        for each in self.people:
            await each.next("on_topic_changed")
        await romeo.inside.set_topic({None: "Love"})
        for each in self.people:
            (setter, topic), _ = await each.next("on_topic_changed")
            self.assertEqual((setter.nick, topic.any()), ("Romeo", "Love"))
        for person, text in ((romeo, "I am Romeo"), (tybalt, "I am Tybalt"), (tybalt, "Thou villain"), (tybalt, "Boy")):
            await person.say(text)
            for each in self.people:
                (message, occupant, _), _ = await each.next("on_message")
                self.assertEqual((occupant.nick, message.body.any()), (person.nick, text))
            self.ids[text] = message.xep0359_stanza_ids[0].id_
        await mercutio.inside.set_nick("Ghost")
        for each in self.people:
            (_, old, new), _ = await each.next("on_nick_changed")
            self.assertEqual((old, new), ("Mercutio", "Ghost"))
        private = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=room.replace(resource="Romeo"))
        private.body[None] = "Alone"
        await juliet.send(private)
        message = await romeo.nextMessage(lambda message: message.type_ is aioxmpp.MessageType.CHAT)
        self.assertEqual(self.lib.textOf(message), ("Juliet", "Alone"))

    async def moderate(self) -> None:
        """From retractions to the end of the discussion."""
        lib = self.lib
        aioxmpp = lib.aioxmpp
        romeo, juliet, tybalt, mercutio = self.people

        # Retraction by the author only (XEP-0424), and by a moderator (XEP-0425)
        for person in (juliet, tybalt):
            message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT, to=romeo.inside.jid)
            message.retract = lib.Retract()
            message.retract.id_ = self.ids["Boy"]
            await person.send(message)
        refused = await juliet.nextMessage(lambda message: message.type_ is aioxmpp.MessageType.ERROR)
        self.assertEqual(refused.error.condition, aioxmpp.ErrorCondition.FORBIDDEN)
        for each in self.people:
            retracted = await each.nextMessage(lambda message: message.retract)
            self.assertEqual((retracted.from_.resource, retracted.retract.id_), ("Tybalt", self.ids["Boy"]))
        moderate = lib.Moderate()
        moderate.id_, moderate.reason, moderate.retract = self.ids["Thou villain"], "Peace", lib.Retract()
        await romeo.request("set", moderate)
        for each in self.people:
            retracted = (await each.nextMessage(lambda message: message.retract)).retract
            self.assertEqual((retracted.id_, retracted.reason), (self.ids["Thou villain"], "Peace"))

        # Archive, in pages (XEP-0313)
        for size in (2, 100):
            self.assertEqual([lib.textOf(each) for each in await juliet.archived(size)], _KEPT)

        # Kick (§8.2), ban (§9.1), lists (§9)
        ghost = next(each for each in romeo.inside.members if each.nick == "Ghost")
        await romeo.inside.kick(ghost, "A plague")
        _, more = await mercutio.next("on_exit")
        self.assertEqual((more["muc_leave_mode"], more["muc_reason"]), (aioxmpp.muc.LeaveMode.KICKED, "A plague"))
        await romeo.inside.muc_set_affiliation(mercutio.client.local_jid.bare(), "admin")
        villain = next(each for each in romeo.inside.members if each.nick == "Tybalt")
        await romeo.inside.ban(villain, "A villain")
        _, more = await tybalt.next("on_exit")
        self.assertEqual((more["muc_leave_mode"], more["muc_reason"]), (aioxmpp.muc.LeaveMode.BANNED, "A villain"))
        left = [await juliet.next("on_leave") for _ in range(2)]
        self.assertEqual([more["muc_leave_mode"] for _, more in left],
                         [aioxmpp.muc.LeaveMode.KICKED, aioxmpp.muc.LeaveMode.BANNED])  # fmt: skip
        await self.assertAffiliations()

    async def assertAffiliations(self) -> None:
        """Check the lists."""
        romeo = self.people[0]
        room = romeo.inside.jid
        lists: dict[str, Any] = {}
        for affiliation in ("owner", "admin", "member", "outcast"):
            lists[affiliation] = [str(each) for each in await romeo.rooms.get_affiliated(room, affiliation)]
        expected = {"owner": "romeo", "admin": "mercutio", "member": "juliet", "outcast": "tybalt"}
        self.assertEqual(lists, {key: [f"{name}@localhost"] for key, name in expected.items()})

    async def end(self) -> None:
        """From the restart to the destruction."""
        lib = self.lib
        aioxmpp = lib.aioxmpp
        romeo, juliet, tybalt, _ = self.people
        for each in self.people:
            each.connectTo(self.server.port)
        for each in (romeo, juliet):
            # aioxmpp has connected and entered again.
            await each.next("on_muc_resume")
            _, more = await each.next("on_muc_enter")
            self.assertEqual(set(more["muc_status_codes"]), {110, 170})
            (setter, topic), _ = await each.next("on_topic_changed")
            self.assertEqual((setter.nick, topic.any()), ("Romeo", "Love"))
        self.assertEqual(juliet.inside.me.affiliation, "member")
        self.assertEqual([lib.textOf(each) for each in await juliet.archived(3)], _KEPT)
        await self.assertAffiliations()
        form = aioxmpp.muc.ConfigurationForm.from_xso(await romeo.rooms.get_room_config(romeo.inside.jid))
        self.assertEqual((form.roomname.value, form.moderatedroom.value), ("The orchard", True))
        if not tybalt.client.established:
            await tybalt.client.on_stream_established.future()
        with self.assertRaises(aioxmpp.errors.XMPPAuthError) as caught:
            await tybalt.enter()
        self.assertEqual(caught.exception.condition, aioxmpp.ErrorCondition.FORBIDDEN)

        # Destruction (§10.9)
        destroy = aioxmpp.muc.xso.DestroyRequest()
        destroy.reason, destroy.jid = "Dawn", aioxmpp.JID.fromstr(_VENUE)
        await romeo.request("set", aioxmpp.muc.xso.OwnerQuery(destroy=destroy))
        await juliet.next("on_exit")
        ended = (await juliet.nextRoomPresence(lambda x: x.destroy)).destroy
        self.assertEqual((ended.reason, str(ended.jid)), ("Dawn", _VENUE))
        with self.assertRaises(aioxmpp.errors.XMPPCancelError) as caught:
            await juliet.archived(1)
        self.assertEqual(caught.exception.condition, aioxmpp.ErrorCondition.GONE)
        self.assertEqual(caught.exception.condition_obj.new_address, f"xmpp:{_VENUE}?join")
