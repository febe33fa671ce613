# Copyright (c) The muccore authors. See LICENSE for details.
"""Passwords and removals of accounts (XEP-0077), with slixmpp over TLS, and across C{kill -9}."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from slixmpp.exceptions import IqError
from twisted.internet import reactor
from twisted.python.filepath import FilePath

from muccore.interfaces import RosterChange, RosterItem
from muccore.storage.sqlite.rosters import SQLiteRosters
from muccore.xmpp import ns
from tests.endtoend.clients import bounded, logIn
from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import Slixmpp

CONTACTS: Final = 600
"""Contacts of Romeo: so many that some are not told yet when the server is killed."""

NEW: Final = "a rose by any other name"


class RegistrationTests(PersistentServerTests):
    """Changes of accounts by their users."""

    async def logIn(self, name: str, password: str) -> Any:
        """Log slixmpp in. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, password)
        client.register_plugin("xep_0077", {"create_account": False})
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        return client

    async def test_slixmpp(self) -> None:
        """Juliet changes her password, logs in with it, and removes the account; it cannot be used then."""
        await self.asyncioThread.run(self.change())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.cancel())
        await self.server.logged("account-removed by juliet@localhost: juliet@localhost")
        self.assertEqual(self.server.unexpectedLines, [])
        self.assertNotIn(NEW, self.server.output)

    async def change(self) -> None:
        """Change the password."""
        juliet = await self.logIn("juliet", "juliet's")
        with self.assertRaises(IqError) as caught:
            await juliet["xep_0077"].change_password("short", jid="localhost")
        self.assertEqual(caught.exception.condition, "not-acceptable")
        await juliet["xep_0077"].change_password(NEW, jid="localhost")

    async def cancel(self) -> None:
        """Remove the account."""
        juliet = await self.logIn("juliet", NEW)
        await juliet["xep_0077"].cancel_registration()
        again = Slixmpp(self.asyncioThread, "juliet", NEW)
        self.assertEqual(await again.logIn(self.server.port, self.server.certificate), "failed_all_auth")

    async def test_inBand(self) -> None:
        """slixmpp registers an account before it logs in; an admin deletes it by a command, which ends the session."""
        await self.stop()
        self.server.configure(registration={"mode": "open"}, server={"admins": "romeo@localhost"})
        await self.server.start()
        await self.asyncioThread.run(self.register())
        self.assertEqual(self.server.unexpectedLines, [])
        for line in ("account-created by 127.0.0.1", "account-removed by romeo@localhost"):
            self.assertIn(f"{line}: rosaline@localhost", self.server.output)
        self.assertNotIn(NEW, self.server.output)

    async def register(self) -> None:
        """Register, and be deleted. For asyncio."""
        rosaline: Any = Slixmpp(self.asyncioThread, "rosaline", NEW)
        rosaline.register_plugin("xep_0077")
        forms: list[Any] = []

        async def fill(form: Any) -> None:
            forms.append(form["register"]["fields"])
            answer = rosaline.Iq()
            answer["type"] = "set"
            answer["register"]["username"], answer["register"]["password"] = "rosaline", NEW
            await answer.send()

        rosaline.add_event_handler("register", fill)
        self.assertEqual(await rosaline.logIn(self.server.port, self.server.certificate), "session_start")
        self.assertEqual(forms, [{"username", "password"}])
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        rosaline.add_event_handler("stream_error", lambda error: ended.set_result(error["condition"]))
        romeo: Any = await self.logIn("romeo", "romeo's")
        romeo.register_plugin("xep_0050")
        commands, node = romeo["xep_0050"], f"{ns.ADMIN}#delete-user"
        items = (await commands.get_commands("localhost"))["disco_items"]["items"]
        self.assertIn(node, {each[1] for each in items})
        command = (await commands.send_command("localhost", node))["command"]
        form = command["form"]
        form.reply()
        form.set_values({"FORM_TYPE": ns.ADMIN, "accountjids": ["rosaline@localhost"]})
        answer = await commands.send_command(
            "localhost", node, action="complete", payload=form, sessionid=command["sessionid"]
        )
        self.assertEqual(answer["command"]["status"], "completed")
        self.assertEqual(await asyncio.wait_for(ended, 60), "not-authorized")

    async def rosters(self) -> SQLiteRosters:
        """Open the store of rosters."""
        store = SQLiteRosters(FilePath(self.server.file("muccore.db")), reactor)
        await store.open()
        return store

    async def test_killed(self) -> None:
        """What was begun when the server is killed is finished at its next start."""
        await self.stop()
        store = await self.rosters()
        contacts = [f"contact{number}@localhost" for number in range(CONTACTS)]
        both = RosterItem(subscription="both")
        await store.change("romeo@localhost", RosterChange("e", 1, 0, dict.fromkeys(contacts, both)))
        for contact in contacts:
            await store.change(contact, RosterChange("e", 1, 0, {"romeo@localhost": both}))
        await store.close()
        await self.server.start()
        romeo = await logIn(self, self.server.port, "romeo", "romeo's")
        payload = f"<query xmlns='{ns.REGISTER}'><remove/></query>"
        self.assertEqual((await bounded(romeo.request("set", payload, "localhost"))).get("type"), "result")
        await self.kill()
        self.assertNotIn("account-removed", self.server.output)
        await self.server.start()
        self.assertIn("account-removed by localhost: romeo@localhost", self.server.output)
        await self.stop()
        store = await self.rosters()
        self.assertEqual((await store.load("romeo@localhost")).rows, {})
        left = set()
        for contact in contacts:
            [(_, item)] = (await store.load(contact)).rows.values()
            left.add(None if item is None else item.subscription)
        await store.close()
        self.assertEqual(left, {"none"})
