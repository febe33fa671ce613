# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.runner}."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.words.xish import domish

from muccore.testing.scansion.options import RunOptions, ScenarioFailed
from muccore.testing.scansion.runner import blocks, run
from muccore.testing.scansion.script import parse
from muccore.xmpp import ns
from tests.testing.fakeserver import PASSWORD, FakeServer, FakeStream, forward

CLIENTS = f"""\
[Client] Romeo
\tjid: romeo@localhost/r
\tpassword: {PASSWORD}
[Client] Juliet
\tjid: juliet@localhost
\tpassword: {PASSWORD}
-----
"""

BOTH = "Romeo connects\nJuliet connects\n"
TWO = "Romeo sends:\n\t<iq id='two'/>\n"


def answers(server: FakeServer, stream: FakeStream, element: domish.Element) -> None:
    """Answer stanzas with these ids, and forward the rest."""
    known = {
        "two": "<message id='a'/><message id='b'/>",
        "rich": "<message from='x' type='chat' to='romeo@localhost/r'><body>b</body><thread>t</thread></message>",
        "wrong": "<message to='other@localhost'/>",
        "lookalike": "<message id='a' from='y'/><message id='a' from='x'/><message id='c'/>",
        "end": f"<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>",
        "cut": "</stream:stream>",
        "room": f"<message from='{element.attributes.get('to')}'/>",
        "x": "<message><x xmlns='x'><b/><a/></x></message>",
    }
    text = known.get(element.attributes.get("id"))
    if text is None:
        forward(server, stream, element)
    else:
        stream.write(text)


class RunnerTests(TestCase):
    """Running scripts, on real sockets."""

    timeout = 30

    def setUp(self) -> None:
        """Start a server."""
        self.server = FakeServer(answers)
        self.port = self.server.start()
        self.addCleanup(self.server.stop)

    async def passes(self, actions: str, **options: Any) -> None:
        """Expect that actions of the usual clients pass, and that no connection is left."""
        options.setdefault("timeout", 5.0)
        await run(reactor, parse(CLIENTS + actions, "a.scs"), RunOptions("127.0.0.1", self.port, **options))
        await self.server.empty()

    async def fails(self, actions: str, line: int, *words: str, **options: Any) -> str:
        """
        Expect that they fail, at a line counted from the first of them as 1, with these words in order; no connection
        is left either.
        """
        options.setdefault("timeout", 5.0)
        with self.assertRaises(ScenarioFailed) as raised:
            await run(reactor, parse(CLIENTS + actions, "a.scs"), RunOptions("127.0.0.1", self.port, **options))
        text = str(raised.exception)
        self.assertTrue(text.startswith(f"a.scs:{line + CLIENTS.count(chr(10))}: "), text)
        at = 0
        for word in words:
            self.assertIn(word, text[at:])
            at = text.index(word, at) + len(word)
        await self.server.empty()
        return text

    async def test_nothing(self) -> None:
        """A script without actions passes, and so does one whose client connects, disconnects and connects again."""
        for exact in (False, True):
            await self.passes("", exact=exact)
            await self.passes("Romeo connects\nRomeo disconnects\nRomeo connects\n", exact=exact)

    async def test_closesStreams(self) -> None:
        """At the end, streams that are still open are closed, not dropped."""
        for exact in (False, True):
            self.server.ended.clear()
            await self.passes(BOTH, exact=exact)
            self.assertEqual(len(self.server.ended), 2)

    async def test_order(self) -> None:
        """
        Another order than the written one fails in exact mode and passes in lenient mode, in one block or in one
        C{receives}.
        """
        for actions in (
            f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='b'/>\nRomeo receives:\n\t<message id='a'/>\n",
            f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='b'/>\n\t<message id='a'/>\n",
        ):
            await self.passes(actions)
            await self.fails(
                actions,
                5,
                "Romeo expected",
                '<message id="b"/>',
                "but received",
                '<message id="a"/>',
                "first difference: message: attribute id is 'a', expected 'b'",
                exact=True,
            )

    async def test_rightOrder(self) -> None:
        """The written order passes in exact mode, in one C{receives} or in two."""
        for join in ("", "Romeo receives:\n"):
            actions = f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='a'/>\n{join}\t<message id='b'/>\n"
            await self.passes(actions, exact=True)

    async def test_oneStanzaOnce(self) -> None:
        """One stanza cannot match two expected ones in lenient mode."""
        actions = f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='a'/>\n\t<message id='a'/>\n"
        await self.fails(actions, 6, "nothing more arrived within 0.2 s", '<message id="b"/>', timeout=0.2)

    async def test_heldForLater(self) -> None:
        """In lenient mode what arrives too early is kept for a later block."""
        await self.passes(
            f"{BOTH}{TWO}Romeo receives:\n\t<message id='b'/>\n"
            "Juliet sends:\n\t<message to='romeo@localhost/r'/>\n"
            "Romeo receives:\n\t<message id='a'/>\n\t<message from='${Juliet's full JID}'/>\n"
        )

    async def test_missing(self) -> None:
        """What does not arrive fails at its own line, with what arrived instead."""
        three = "\t<message id='a'/>\n\t<message id='b'/>\n\t<message id='c'/>\n"
        actions = f"Romeo connects\n{TWO}Romeo receives:\n{three}"
        words = ('<message id="c"/>', "nothing more arrived within 0.2 s")
        await self.fails(actions, 7, *words, exact=True, timeout=0.2)
        await self.fails(actions, 7, *words, "(nothing)", timeout=0.2)

    async def test_nearest(self) -> None:
        """In lenient mode the first difference is that to the stanza of the same kind from the same sender."""
        await self.fails(
            "Romeo connects\nRomeo sends:\n\t<iq id='lookalike'/>\nRomeo receives:\n\t<message id='b' from='x'/>\n",
            5,
            "Romeo expected",
            '<message id="b" from="x"/>',
            '<message id="c"/>',
            '<message id="a" from="x"/>',
            "first difference to the nearest: message: attribute id is 'a', expected 'b'",
            timeout=0.2,
        )

    async def test_leftOver(self) -> None:
        """
        An unexpected stanza fails in exact mode at the end and when its client disconnects; in lenient mode it passes.
        """
        actions = f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='a'/>\n"
        await self.passes(actions)
        await self.fails(actions, 5, "Romeo got", "unexpected", '<message id="b"/>', exact=True)
        await self.fails(f"{actions}Romeo disconnects\n", 6, "Romeo got", '<message id="b"/>', exact=True)

    async def test_leftOverAtAnother(self) -> None:
        """What one client's last stanza causes at another is found in exact mode."""
        actions = f"{BOTH}Romeo sends:\n\t<message to=\"${{Juliet's full JID}}\"/>\n"
        await self.passes(actions)
        await self.fails(actions, 3, "Juliet got", '<message to="juliet@localhost/made', exact=True)
        await self.fails(f"{actions}Juliet disconnects\n", 5, "Juliet got", exact=True)

    async def test_synchronizing(self) -> None:
        """Synchronizing takes a round of pings to everything that was sent to, and a round to the server."""
        await self.passes(
            f"{BOTH}Romeo sends:\n\t<message id='room' to='room@localhost/nick'/><iq id='two' to='@'/>\n"
            "Romeo receives:\n\t<message from='room@localhost/nick'/><message id='a'/><message id='b'/>\n",
            exact=True,
        )
        juliet = ("juliet@localhost/made1", "localhost")
        romeo = ("romeo@localhost/r", "localhost")
        first, second = self.server.pings[:3], self.server.pings[3:]
        self.assertEqual(sorted(first), sorted([juliet, romeo, ("romeo@localhost/r", "room@localhost")]))
        self.assertEqual(sorted(second), sorted([juliet, romeo]))

    async def test_noAnswerToPings(self) -> None:
        """A server that does not answer pings cannot show that nothing is left over; lenient mode needs none."""
        self.server.answersPings = False
        await self.passes("Romeo connects\n", timeout=0.2)
        await self.fails("Romeo connects\n", 1, "synchronizing", "took more than 0.2 s", exact=True, timeout=0.2)

    async def test_nothingExpected(self) -> None:
        """
        C{receives nothing} fails if something has arrived: in lenient mode since the client's last step, in exact mode
        anything not yet expected.
        """
        send = "Romeo sends:\n\t<message to=\"${Juliet's full JID}\"/>\n"
        for exact in (False, True):
            await self.passes(f"{BOTH}Romeo receives nothing\nJuliet receives: nothing\n", exact=exact)
            await self.fails(f"{BOTH}{send}Juliet receives nothing\n", 5, "Juliet", "<message", exact=exact)
            await self.passes(
                f"{BOTH}{send}Juliet receives:\n\t<message from=\"${{Romeo's full JID}}\"/>\nJuliet receives nothing\n",
                exact=exact,
            )
        held = f"Romeo connects\n{TWO}Romeo receives:\n\t<message id='b'/>\nRomeo receives nothing\n"
        await self.passes(held)
        await self.fails(
            held.replace("'b'", "'a'"), 6, "Romeo got", '<message id="b"/>', exact=True
        )

    async def test_moreThanExpected(self) -> None:
        """
        Unexpected attributes and children pass in lenient mode and fail in exact mode, unless the script allows them;
        the receiver's own address need not be written.
        """
        actions = "Romeo connects\nRomeo sends:\n\t<iq id='rich'/>\nRomeo receives:\n\t"
        await self.passes(f"{actions}<message><body>b</body></message>\n")
        difference = "first difference: message: attribute type='chat' is not expected"
        await self.fails(f"{actions}<message from='x'><body>b</body></message>\n", 5, difference, exact=True)
        await self.passes(f"{actions}<message scansion:strict='false'><body>b</body></message>\n", exact=True)
        whole = "<message from='x' type='chat'><thread>t</thread><body>b</body></message>\n"
        await self.passes(f"{actions}{whole}", exact=True)

    async def test_wrongReceiver(self) -> None:
        """A stanza addressed to another user fails in exact mode."""
        actions = "Romeo connects\nRomeo sends:\n\t<iq id='wrong'/>\nRomeo receives:\n\t<message/>\n"
        await self.passes(actions)
        await self.fails(actions, 5, "not its receiver's address", exact=True)

    async def test_strictPayloads(self) -> None:
        """Scansion's own rule for payloads applies if it is selected."""
        actions = (
            "Romeo connects\nRomeo sends:\n\t<iq id='x'/>\n"
            "Romeo receives:\n\t<message><x xmlns='x'>{}</x></message>\n"
        )
        await self.passes(actions.format("<a/>"))
        await self.passes(actions.format("<b/><a/>"), strictPayloads=True)
        await self.fails(actions.format("<a/><b/>"), 5, "the order counts", strictPayloads=True, timeout=0.2)

    async def test_captures(self) -> None:
        """What one client captures, another can send and expect."""
        for exact in (False, True):
            await self.passes(
                BOTH + "Juliet sends:\n\t<message to='romeo@localhost/r' id='i&lt;1'><body>1</body></message>\n"
                "\t<message to='romeo@localhost/r' id='2'><body>i&lt;1</body></message>\n"
                "Romeo receives:\n\t<message id='{scansion:capture:id}' from='{scansion:capture:who}'>"
                "<body>1</body></message>\n"
                "Romeo receives:\n\t<message from='${who}' id='2'><body>${id}</body></message>\n"
                "Romeo sends:\n\t<message to='${who}' id='${id}'/>\n"
                "Juliet receives:\n\t<message id='i&lt;1' from=\"${Romeo's full JID}\"/>\n",
                exact=exact,
            )

    async def test_capturesOnlyWhatFits(self) -> None:
        """In lenient mode a stanza that does not match captures nothing."""
        await self.passes(
            "Romeo connects\nRomeo sends:\n\t<iq id='lookalike'/>\nRomeo receives:\n"
            "\t<message id='{scansion:capture:i}' from='x'/>\n"
            "Romeo sends:\n\t<message to='romeo@localhost/r' id='${i}!'/>\n"
            "Romeo receives:\n\t<message id='a!'/>\n"
        )

    async def test_properties(self) -> None:
        """Every property of a client has its value; its JID is as written in the script."""
        for exact in (False, True):
            self.server.resources = itertools.count(1)
            await self.passes(
                BOTH + "Juliet sends:\n\t<message to=\"${Romeo's JID}\"><a>${Romeo's bare JID}</a><b>${Romeo's JID}</b>"
                "<c>${Romeo's username} ${Romeo's resource}</c><d>${Juliet's JID}</d>"
                "<e>${Juliet's full JID}</e></message>\n"
                "Romeo receives:\n\t<message from='juliet@localhost/made1'><a>romeo@localhost</a>"
                "<b>romeo@localhost/r</b><c>romeo r</c><d>juliet@localhost</d>"
                "<e>juliet@localhost/made1</e></message>\n",
                exact=exact,
            )

    async def test_fullJIDBeforeConnecting(self) -> None:
        """A full JID is known before connecting if the script has its resource; otherwise using it fails."""
        ask = "{} connects\n{} sends:\n\t<iq id='two' a=\"${{{}'s full JID}}\"/>\n"
        await self.passes(ask.format("Juliet", "Juliet", "Romeo"))
        await self.fails(ask.format("Romeo", "Romeo", "Juliet"), 2, "Juliet has not connected yet")

    async def test_notConnected(self) -> None:
        """Only a connected client can act, and only a disconnected one can connect."""
        await self.fails("Romeo sends:\n\t<iq/>\n", 1, "Romeo is not connected")
        await self.fails("Romeo receives:\n\t<iq/>\n", 1, "Romeo is not connected")
        await self.fails("Romeo receives nothing\n", 1, "Romeo is not connected")
        await self.fails("Romeo disconnects\n", 1, "Romeo is not connected")
        await self.fails("Romeo connects\nRomeo connects\n", 2, "already connected")

    async def test_sendingAfterLeaving(self) -> None:
        """Sending after disconnecting is ignored in lenient mode and fails in exact mode."""
        actions = f"Romeo connects\nRomeo disconnects\n{TWO}"
        await self.passes(actions)
        await self.fails(actions, 3, "Romeo is not connected", exact=True)
        await self.passes(f"{actions}Romeo connects\n{TWO}Romeo receives:\n\t<message id='b'/>\n")

    async def test_failureInAnIncludedFile(self) -> None:
        """A failure in an included file is reported with its own line and with that of the include."""
        folder = Path(self.mktemp())
        folder.mkdir()
        folder.joinpath("part.scs").write_text("-----\nRomeo receives:\n\t<iq/>\n")
        script = parse(f"{CLIENTS}Romeo connects\n[Include] part.scs\n", f"{folder}/a.scs")
        with self.assertRaises(ScenarioFailed) as raised:
            await run(reactor, script, RunOptions("127.0.0.1", self.port, timeout=0.2))
        place = f"{folder}/part.scs:3 (included at {folder}/a.scs:9): Romeo expected\n"
        self.assertTrue(str(raised.exception).startswith(place), str(raised.exception))

    async def test_refusedLogIn(self) -> None:
        """A refused login is reported."""
        self.server.features = ""
        await self.fails("Romeo connects\n", 1, "Romeo cannot connect", "none of PLAIN")

    async def test_silentServer(self) -> None:
        """A login without an answer times out."""
        self.patch(self.server.protocol, "onStart", lambda stream, root: None)
        await self.fails("Romeo connects\n", 1, "Romeo's login took more than 0.2 s", timeout=0.2)

    async def test_noServer(self) -> None:
        """A refused connection is reported; a script can set a client's host and port."""
        other = FakeServer()
        port = other.start()
        await other.stop()
        options = RunOptions("127.0.0.1", port)
        with self.assertRaises(ScenarioFailed) as raised:
            await run(reactor, parse(f"{CLIENTS}Romeo connects\n"), options)
        self.assertIn("Romeo cannot connect: Connection was refused", str(raised.exception))
        place = f"\tconnect_host: localhost\n\tconnect_port: {self.port}\n-----"
        await run(reactor, parse(CLIENTS.replace("-----", place) + "Juliet connects\n"), options)

    async def test_connectionLost(self) -> None:
        """A connection lost while something is expected fails at once, with the reason."""
        cut = "Romeo connects\nRomeo sends:\n\t<iq id='cut'/>\nRomeo receives:\n\t<message/>\n"
        end = cut.replace("cut", "end")
        await self.fails(cut, 5, "Romeo expected", "but the server closed the stream", timeout=1000)
        await self.fails(cut, 5, "Romeo expected", "but the server closed the stream", timeout=1000, exact=True)
        await self.fails(end, 5, "Romeo expected", "stream error conflict", "conflict", timeout=1000)

    async def test_unexpectedEnd(self) -> None:
        """In exact mode the server may close a stream only where the script expects it; in lenient mode always."""
        for reason in ("cut", "end"):
            actions = f"Romeo connects\nRomeo sends:\n\t<iq id='{reason}'/>\n"
            await self.passes(actions)
            await self.fails(actions, 2, "Romeo", exact=True)

    async def test_sendingAfterTheEnd(self) -> None:
        """A client whose stream was closed cannot send."""
        await self.fails(
            "Romeo connects\nRomeo sends:\n\t<iq id='cut'/>\nRomeo receives nothing\nRomeo sends:\n\t<iq id='two'/>\n",
            5,
            "Romeo cannot send: the server closed the stream",
        )

    async def test_expectedStreamError(self) -> None:
        """A stream error can be expected; then the client may connect again, or disconnect."""
        expect = (
            "Romeo connects\nRomeo sends:\n\t<iq id='end'/>\n"
            f"Romeo receives:\n\t<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error>\n"
        )
        for exact in (False, True):
            await self.passes(expect, exact=exact)
            await self.passes(f"{expect}{expect}Romeo disconnects\n", exact=exact)

    async def test_serverDoesNotClose(self) -> None:
        """
        A server that does not close its stream in turn fails in exact mode; in lenient mode the connection is dropped.
        """
        self.server.endsStreams = False
        await self.passes("Romeo connects\nRomeo disconnects\nRomeo connects\n", timeout=0.2)
        await self.fails(
            "Romeo connects\nRomeo disconnects\n", 2, "the server's end of Romeo's stream", exact=True, timeout=0.2
        )


class BlockTests(SynchronousTestCase):
    """Grouping actions into blocks."""

    def test_blocks(self) -> None:
        """Consecutive receives of one client are one block, as long as they need nothing that the block captures."""
        actions = (
            "Romeo connects\n"
            "Romeo receives:\n\t<iq/>\n"
            "Romeo receives:\n\t<iq id='{scansion:capture:x}'/>\n"
            "Romeo receives:\n\t<iq id='${x}'/>\n"
            "Juliet receives:\n\t<iq id='${x}'/>\n"
            "Juliet receives nothing\n"
            "Juliet receives:\n\t<iq/>\n"
        )
        found = [[type(action).__name__ for action in block] for block in blocks(parse(CLIENTS + actions).actions)]
        expected = [["Connects"], ["Receives"] * 2, ["Receives"], ["Receives"], ["ReceivesNothing"], ["Receives"]]
        self.assertEqual(found, expected)
        self.assertEqual(list(blocks([])), [])
