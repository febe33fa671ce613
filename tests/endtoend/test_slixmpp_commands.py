# Copyright (c) The muccore authors. See LICENSE for details.
"""Ad-hoc commands of rooms (XEP-0050) with slixmpp's plugin, which gets a form, fills it in and submits it."""

from __future__ import annotations

from typing import Any

from slixmpp import JID
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.endtoend.serverprocess import CLEAN
from tests.endtoend.slixmppthread import ROOM, Slixmpp, statuses
from tests.endtoend.test_slixmpp import SlixmppTests as _SlixmppTests

HATS = "urn:xmpp:hats:commands:"
TEACHER = ("Teacher", "urn:example:teacher", 327.255249)


def hatsOf(presence: Any) -> list[tuple[str, str, float]]:
    """The title, URI and hue of each hat in a presence."""
    return [(hat["title"], hat["uri"], hat["hue"]) for hat in presence["hats"]["hats"]]


class CommandTests(_SlixmppTests):
    """Clients that know commands and hats."""

    async def logIn(self, name: str, **options: Any) -> Slixmpp:
        """Log a client in with the plugins."""
        client = await super().logIn(name, **options)
        client.register_plugin("xep_0050")
        client.register_plugin("xep_0317")
        return client

    async def createRoom(self, owner: Slixmpp) -> None:
        """Create a persistent room. For asyncio."""
        await owner.room.join_muc_wait(JID(ROOM), "Romeo")
        form = await owner.room.get_room_config(ROOM)
        answers = form["values"]
        answers["muc#roomconfig_persistentroom"] = True
        form["type"] = "submit"
        form["values"] = answers
        await owner.room.set_room_config(ROOM, form)

    async def execute(self, client: Slixmpp, node: str, **values: str) -> Any:
        """Execute a command, and fill its form in; C{__} stands for C{#}. For asyncio."""
        commands = client["xep_0050"]
        command = (await commands.send_command(ROOM, node))["command"]
        if not values:
            return command
        self.assertEqual((command["status"], command["actions"]), ("executing", {"complete"}))
        form = command["form"]
        named = {name.replace("__", "#"): value for name, value in values.items()}
        self.assertEqual(named.keys() - form.get_fields().keys(), set())
        form.reply()
        form.set_values({"FORM_TYPE": form.get_values()["FORM_TYPE"], **named})
        answer = await commands.send_command(
            ROOM, node, action="complete", payload=form, sessionid=command["sessionid"]
        )
        self.assertEqual(answer["command"]["status"], "completed")
        return answer["command"]

    async def test_hats(self) -> None:
        """An owner finds the commands, creates a hat and assigns it; it is there after a restart, and is removed."""
        await self.asyncioThread.run(self.giveHat())
        self.assertEqual(await self.server.stop(), CLEAN)
        await self.server.start()
        await self.asyncioThread.run(self.removeHat())
        self.assertEqual(self.server.unexpectedLines, [])

    async def giveHat(self) -> None:
        """Create and assign it."""
        romeo, juliet = [await self.logIn(name) for name in ("romeo", "juliet")]
        await self.createRoom(romeo)
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        offered = {}
        for client in (romeo, juliet):
            items = (await client["xep_0050"].get_commands(ROOM))["disco_items"]["items"]
            offered[client] = {node.removeprefix(HATS) for _, node, _ in items}
        self.assertLessEqual({"create", "destroy", "list", "assign", "unassign", "list-assigned"}, offered[romeo])
        self.assertEqual(offered[juliet], {"list"})
        title, uri, hue = TEACHER
        await self.execute(romeo, f"{HATS}create", hats__title=title, hats__uri=uri, hats__hue=str(hue))
        await self.execute(romeo, f"{HATS}assign", hats__jid="juliet@localhost", hats__uri=uri)
        presence = await juliet.nextPresence("Juliet", "available")
        while not presence.get_plugin("hats", check=True):
            presence = await juliet.nextPresence("Juliet", "available")
        self.assertEqual(hatsOf(presence), [TEACHER])

    async def removeHat(self) -> None:
        """Find it, and remove it."""
        romeo, juliet = [await self.logIn(name) for name in ("romeo", "juliet")]
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        self.assertEqual(hatsOf(await juliet.nextPresence("Juliet", "available")), [TEACHER])
        table = (await self.execute(romeo, f"{HATS}list-assigned"))["form"]
        title, uri, hue = TEACHER
        self.assertEqual(list(table.get_reported()), ["hats#jid", "hats#uri", "hats#title", "hats#hue"])
        [item] = table.get_items()
        self.assertEqual(
            dict(item),
            {"hats#jid": "juliet@localhost", "hats#uri": uri, "hats#title": title, "hats#hue": str(hue)},
        )
        await self.execute(romeo, f"{HATS}unassign", hats__jid="juliet@localhost", hats__uri=uri)
        presence = await juliet.nextPresence("Juliet", "available")
        self.assertFalse(presence.get_plugin("hats", check=True))

    async def test_timed(self) -> None:
        """A moderator mutes an occupant; it ends by itself. A ban that ends while the server is down is over then."""
        await self.asyncioThread.run(self.muteAndBan())
        self.assertEqual(await self.server.stop(), CLEAN)
        # Ends are rounded up to full seconds.
        await deferLater(reactor, 2.0)  # type: ignore[arg-type]
        await self.server.start()
        await self.asyncioThread.run(self.enterAfterBan())
        self.assertEqual(self.server.unexpectedLines, [])

    async def muteAndBan(self) -> None:
        """Mute, wait for the end, and ban."""
        romeo, juliet = [await self.logIn(name) for name in ("romeo", "juliet")]
        await self.createRoom(romeo)
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        await juliet.nextPresence("Juliet", "available")
        await self.execute(romeo, "x-muc#mute", occupant="Juliet", duration="1s", reason="Hush")
        muted = (await juliet.nextPresence("Juliet", "available"))["muc"]
        self.assertEqual(muted["role"], "visitor")
        self.assertRegex(muted["item"]["reason"], r"^Hush \(until [0-9TZ:-]+\)$")
        back = (await juliet.nextPresence("Juliet", "available"))["muc"]
        self.assertEqual((back["role"], back["item"]["reason"]), ("participant", "The mute is over."))
        await self.execute(romeo, "x-muc#ban", jid="juliet@localhost", duration="1s")
        self.assertEqual(statuses(await juliet.nextPresence("Juliet", "unavailable")), {110, 301})

    async def enterAfterBan(self) -> None:
        """Enter."""
        juliet = await self.logIn("juliet")
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        self.assertEqual(statuses(await juliet.nextPresence("Juliet", "available")), {110})
