# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{benchmarks}: of what it counts, not of any speed."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import archive, command, growth, holds, onetoone, pep, remote, server
from benchmarks.failure import BenchmarkFailed
from benchmarks.holdmeter import HoldMeter, MeteredPoller
from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server
from benchmarks.tally import Tally, body, wholeStanzas

PRESENCE = b"<presence to='a'><x xmlns='http://jabber.org/protocol/muc#user'><item role='none'/></x></presence>"
SUBJECT = b"<message to='a' type='groupchat'><subject/></message>"
ANSWER = b"<iq to='a' id='o' type='result'/>"


def message(sender: int, sequence: int) -> bytes:
    """A message of the load, as the room broadcasts it."""
    return b"<message to='a' type='groupchat'><body>%s</body></message>" % body(sender, sequence, 3)


class TallyTests(SynchronousTestCase):
    """Counting what a client receives."""

    def test_counts(self) -> None:
        """Presences, messages of the load and results are counted; other messages are not."""
        tally = Tally()
        found = tally.feed(PRESENCE + SUBJECT + ANSWER + message(7, 0) + message(8, 0) + message(7, 1) + PRESENCE)
        self.assertEqual(found, [(7, 0), (8, 0), (7, 1)])
        self.assertEqual((tally.presences, tally.messages, tally.answers), (2, 3, 1))

    def test_acknowledgement(self) -> None:
        """Requests for acknowledgements are noticed between stanzas; everything else is counted for the answer."""
        tally = Tally()
        request = b"<r xmlns='urn:xmpp:sm:3'/>"
        self.assertEqual(len(tally.feed(PRESENCE + message(7, 0) + request + SUBJECT)), 1)
        tally.restart()
        self.assertEqual((tally.requested, tally.handled), (True, 3))

    @settings(max_examples=60)
    @given(st.lists(st.integers(0, 1000)))
    def test_anyPieces(self, cuts: list[int]) -> None:
        """The count does not depend on how the network cuts the stream."""
        stream = ANSWER + PRESENCE + message(1, 0) + ANSWER + ANSWER + SUBJECT + message(1, 1) + message(2, 0) + ANSWER
        places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
        tally = Tally()
        found = []
        for begin, end in itertools.pairwise(places):
            found += tally.feed(stream[begin:end])
        self.assertEqual(found, [(1, 0), (1, 1), (2, 0)])
        self.assertEqual((tally.presences, tally.messages, tally.answers), (1, 3, 4))

    def test_wholeStanzas(self) -> None:
        """Incomplete stanzas wait for their rest: without an end tag, or with part of an empty element."""
        self.assertEqual(wholeStanzas(b""), 0)
        self.assertEqual(wholeStanzas(ANSWER), len(ANSWER))
        self.assertEqual(wholeStanzas(PRESENCE + ANSWER[:-1]), len(PRESENCE))
        self.assertEqual(wholeStanzas(ANSWER + message(1, 0)[:-1]), len(ANSWER))
        self.assertEqual(wholeStanzas(b"<message><body>"), 0)

    def test_missing(self) -> None:
        """A missing message is an error when the next one of its sender arrives."""
        tally = Tally()
        tally.feed(message(7, 0))
        error = self.assertRaises(BenchmarkFailed, tally.feed, message(7, 2))
        self.assertEqual(str(error), "of sender 7, message 2 arrived instead of 1")

    def test_twice(self) -> None:
        """A duplicate message is an error."""
        tally = Tally()
        self.assertRaises(BenchmarkFailed, tally.feed, message(7, 0) + message(7, 0))

    def test_errors(self) -> None:
        """Error stanzas and stream errors are errors, with either quotation marks, and are shown."""
        for text in (
            b"<presence from='r@c' type='error'><error/></presence>",
            b'<iq id="o" type="error"/>',
            b"<message type='error'><body>b:1:0;</body></message>",
            b"<stream:error><conflict/></stream:error>",
        ):
            error = self.assertRaises(BenchmarkFailed, Tally().feed, PRESENCE + text)
            self.assertEqual(str(error), f"received an error: {text.decode()}")

    def test_restart(self) -> None:
        """A new phase counts from zero."""
        tally = Tally()
        tally.feed(PRESENCE + message(7, 0) + ANSWER)
        tally.restart()
        self.assertEqual((tally.presences, tally.messages, tally.answers), (0, 0, 0))
        self.assertEqual(tally.feed(message(7, 0)), [(7, 0)])


class MeterTests(SynchronousTestCase):
    """Reading CPU time and memory of a process."""

    def test_cpu(self) -> None:
        """The CPU time of a busy process grows, and is its own."""
        meter = Meter(os.getpid())
        before = os.times()
        first = meter.cpu()
        # os.times counts hundredths of a second.
        self.assertGreaterEqual(first, before.user + before.system - 0.02)
        sum(range(10_000))
        self.assertGreater(meter.cpu(), first)

    def test_mainThread(self) -> None:
        """The CPU time of other threads is not counted for the main one."""
        meter = Meter(os.getpid())
        before, whole = meter.mainThread(), meter.cpu()
        other = threading.Thread(target=lambda: sum(range(2_000_000)))
        other.start()
        other.join()
        waited = meter.mainThread() - before
        self.assertLess(waited, (meter.cpu() - whole) / 2)
        sum(range(2_000_000))
        # What runs is counted when it stops running.
        time.sleep(0.001)
        self.assertGreater(meter.mainThread() - before, waited)

    def test_memory(self) -> None:
        """Memory that a process fills is counted."""
        meter = Meter(os.getpid())
        before = meter.memory()
        # Pages of its own: what was freed before and is taken again is counted already.
        with mmap.mmap(-1, 32 * 1024 * 1024) as pages:
            pages.write(b"x" * len(pages))
            grown = meter.memory() - before
        self.assertGreater(grown, 16 * 1024)

    def test_noProcess(self) -> None:
        """A missing process is an error of the benchmark."""
        # Above the highest id that Linux assigns.
        meter = Meter(2**22 + 1)
        self.assertRaises(BenchmarkFailed, meter.cpu)
        self.assertRaises(BenchmarkFailed, meter.mainThread)
        self.assertRaises(BenchmarkFailed, meter.memory)


class FaultyServer:
    """A server of one room that answers as the load expects, with one fault."""

    def __init__(self, mistake: Callable[[int, int, bytes], bytes]) -> None:
        """
        @param mistake: gets the number of the receiver, the number of stanzas of this kind sent to it before, and a
        stanza; returns what to send instead.
        """
        self._mistake = mistake
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self.address = self._listening.getsockname()
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._inside: list[int] = []
        self._sent: dict[tuple[int, bytes], int] = {}
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """End it, and wait for its end."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for client in self._clients:
            client.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                number = len(self._clients)
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(number, client)))
            self._threads[-1].start()

    def _serve(self, number: int, client: socket.socket) -> None:
        while True:
            try:
                data = client.recv(65536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self._received(number, client, data)

    def _received(self, number: int, client: socket.socket, data: bytes) -> None:
        for text, answer in (
            (b"<stream:stream", b"<stream:features></stream:features>"),
            (b"<auth", b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            (b"<bind", b"<iq type='result'><bind><jid>u@localhost/r</jid></bind></iq>"),
            (b"jabber:x:data", ANSWER),
        ):
            if text in data:
                client.sendall(answer)
        if b"/muc'" in data:
            for _ in self._inside:
                self._tell(number, PRESENCE)
            self._inside.append(number)
            self._tellAll(PRESENCE)
        while b"<body>" in data:
            said, _, data = data.partition(b"</body>")
            self._tellAll(b"<message><body>%s</body></message>" % said.partition(b"<body>")[2])
        if b"unavailable" in data:
            self._tellAll(PRESENCE)
            self._inside.remove(number)

    def _tellAll(self, stanza: bytes) -> None:
        for number in self._inside:
            self._tell(number, stanza)

    def _tell(self, number: int, stanza: bytes) -> None:
        kind = stanza[:4]
        before = self._sent.get((number, kind), 0)
        self._sent[number, kind] = before + 1
        with contextlib.suppress(OSError):
            self._clients[number].sendall(self._mistake(number, before, stanza))


def faultless(number: int, before: int, stanza: bytes) -> bytes:
    """No fault."""
    return stanza


class LoadTests(SynchronousTestCase):
    """The load notices missing, surplus and disordered stanzas."""

    @contextlib.contextmanager
    def load(
        self, mistake: Callable[[int, int, bytes], bytes], timeout: float = 10, settling: float = 0.02
    ) -> Iterator[Load]:
        """
        A load of three users in one room, two of whom send three messages each.

        @param settling: seconds to wait after a phase for surplus stanzas.
        """
        false = FaultyServer(mistake)
        try:
            with Load(Plan(3, 1, 2, 3, timeout, settling), false.address, None) as load:
                yield load
        finally:
            false.close()

    def test_faultless(self) -> None:
        """With a correct server the phases return the numbers of delivered stanzas."""
        with self.load(faultless) as load:
            self.assertEqual(load.logIn(), 3)
            self.assertEqual(load.join(), 9)
            self.assertEqual(load.sendMessages(), 18)
            self.assertEqual(load.leave(), 6)

    def assertMistake(
        self, mistake: Callable[[int, int, bytes], bytes], words: str, timeout: float = 10, settling: float = 0.02
    ) -> None:
        """Check that a fault is noticed and described."""
        with self.load(mistake, timeout, settling) as load:
            load.logIn()

            def phases() -> None:
                load.join()
                load.sendMessages()
                load.leave()

            error = self.assertRaises(BenchmarkFailed, phases)
        self.assertIn(words, str(error))

    def test_lastMissing(self) -> None:
        """A missing last message is noticed at the time-out."""

        def mistake(number: int, before: int, stanza: bytes) -> bytes:
            return b"" if number == 2 and before == 5 and b"<body>" in stanza else stanza

        self.assertMistake(mistake, "1 of 18 deliveries are missing", timeout=0.5)

    def test_twice(self) -> None:
        """A duplicate last message is noticed after the end of the phase."""

        def mistake(number: int, before: int, stanza: bytes) -> bytes:
            return stanza * 2 if number == 2 and before == 5 and b"<body>" in stanza else stanza

        self.assertMistake(mistake, "user 2: of sender", settling=1)

    def test_presenceTooMany(self) -> None:
        """A surplus presence while the room fills is noticed."""

        def mistake(number: int, before: int, stanza: bytes) -> bytes:
            return stanza * 2 if number == 0 and before == 2 and b"<presence" in stanza else stanza

        self.assertMistake(mistake, "user 0: 4 presences arrived instead of 3", settling=1)

    def test_presenceTooManyAtTheEnd(self) -> None:
        """A surplus presence while the room empties is noticed."""

        def mistake(number: int, before: int, stanza: bytes) -> bytes:
            return stanza * 2 if number == 2 and before == 3 and b"<presence" in stanza else stanza

        # The surplus one may come last, since the faulty server has a thread for each client.
        self.assertMistake(mistake, "room 0: ", settling=1)

    def test_error(self) -> None:
        """An error stanza ends the load and is shown with its recipient."""

        def mistake(number: int, before: int, stanza: bytes) -> bytes:
            return b"<presence type='error'/>" if number == 1 else stanza

        self.assertMistake(mistake, "user 1: received an error: <presence type='error'/>")

    def test_hangsUp(self) -> None:
        """A closed connection ends the load."""
        false = FaultyServer(faultless)
        with Load(Plan(1, 1, 1, 1, 10, 0.02), false.address, None) as load:
            load.logIn()
            false.close()
            error = self.assertRaises(BenchmarkFailed, load.join)
        self.assertIn("user 0", str(error))

    def test_nobodyThere(self) -> None:
        """A missing server is an error of the benchmark."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with Load(Plan(1, 1, 1, 1, 10, 0.02), unused.getsockname(), None) as load:
                self.assertRaises(BenchmarkFailed, load.logIn)


class CommandTests(SynchronousTestCase):
    """The command, with its own server."""

    def run_(self, *argv: str) -> str:
        """
        Run it with few clients and check that its status is 0.

        @return: what it printed.
        """
        printed = io.StringIO()
        few = ("--users", "6", "--messages", "2", "--senders", "2", "--quick")
        self.assertEqual(command.main([*few, *argv], printed.write), 0)
        return printed.getvalue()

    def test_json(self) -> None:
        """One JSON object has the parameters and all measurements; everything was delivered, and no cost is zero."""
        argv = ("--json", "--stream-management", "--writes", "on", "--security", "tls", "--storage", "sqlite")
        printed = json.loads(self.run_(*argv))
        self.assertEqual((printed["senders"], printed["messages"], printed["stream_management"]), (2, 2, True))
        (result,) = printed["results"]
        self.assertEqual(
            {key: result[key] for key in ("opportunistic", "tls", "storage", "users", "rooms", "deliveries")},
            {"opportunistic": True, "tls": True, "storage": "sqlite", "users": 6, "rooms": 1, "deliveries": 24},
        )
        for key in ("logIn", "join", "message", "leave", "rate", "total"):
            self.assertGreater(result[key], 0, key)

    def test_archive(self) -> None:
        """Without an archive and with one, the same is delivered."""
        printed = json.loads(self.run_("--json", "--archive", "both", "--writes", "on", "--security", "plain"))
        results = printed["results"]
        self.assertEqual([(result["archive"], result["deliveries"]) for result in results], [(False, 24), (True, 24)])
        for result in results:
            self.assertGreater(result["messageReactor"], 0)

    def test_websocket(self) -> None:
        """Over WebSocket the same is delivered, with TLS or without."""
        printed = json.loads(self.run_("--json", "--websocket", "--writes", "on", "--rooms", "one"))
        self.assertEqual(printed["transport"], "websocket")
        self.assertEqual([(result["tls"], result["deliveries"]) for result in printed["results"]],
                         [(False, 24), (True, 24)])  # fmt: skip

    def test_bosh(self) -> None:
        """So it is over BOSH, without TLS."""
        argv = ("--json", "--bosh", "--security", "plain", "--writes", "on", "--rooms", "one", "--stream-management")
        printed = json.loads(self.run_(*argv))
        self.assertEqual(printed["transport"], "bosh")
        self.assertEqual([result["deliveries"] for result in printed["results"]], [24])

    def test_profiles(self) -> None:
        """With other ways to log in the same is delivered."""
        for profile in ("sasl2", "fast"):
            argv = ("--json", "--log-in", profile, "--security", "tls", "--writes", "on", "--rooms", "one")
            printed = json.loads(self.run_(*argv, "--stream-management"))
            [result] = printed["results"]
            self.assertEqual((printed["profile"], result["deliveries"]), (profile, 24))

    def test_table(self) -> None:
        """Without C{--json} it prints a header and one line for each measurement."""
        lines = self.run_("--writes", "off", "--security", "plain", "--rooms", "one").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0].split()[:2], ["writes", "rooms"])
        self.assertTrue(lines[1].startswith("by the poller   plain      1 of 6 "), lines[1])

    def test_serverCannotStart(self) -> None:
        """If the server does not start, the status is 1 and its errors are on standard error."""
        self.patch(server, "_CONFIGURATION", "[server]\ndomain = {domain}\nnonsense = 1\n")
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            status = command.main(["--quick", "--json"], self.fail)
        self.assertEqual(status, 1)
        self.assertIn("nonsense", complaints.getvalue())

    def test_interrupted(self) -> None:
        """An interruption shows no traceback, and ends the server."""
        pids = []

        def interrupt(self: Server) -> None:
            pids.append(self.pid)
            raise KeyboardInterrupt

        self.patch(Server, "_awaitService", interrupt)
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            self.assertEqual(command.main(["--quick", "--json"], self.fail), 130)
        self.assertEqual(complaints.getvalue(), "benchmarks: interrupted\n")
        self.assertRaises(ProcessLookupError, os.kill, *pids, 0)

    def test_logged(self) -> None:
        """An error in the server's log is an error, even if everything was delivered."""
        with Server(Equipment(True, False, "memory", 1)) as running:
            running.checkLog()
            log = os.path.join(running._folder.name, "server.log")
            with open(log, "a") as file:
                file.write("Traceback (most recent call last):\n")
            self.assertRaises(BenchmarkFailed, running.checkLog)
            pid = running.pid
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_arguments(self) -> None:
        """A wrong command line exits with status 2 before anything starts."""
        for argv in (["--users", "0"], ["--messages", "many"], ["--security", "none"], ["--users", "99999999"],
                     ["--log-in", "fast"], ["--log-in", "sasl2", "--security", "tls", "--websocket"],
                     ["--bosh", "--security", "tls"], ["--bosh", "--websocket", "--security", "plain"]):  # fmt: skip
            with contextlib.redirect_stderr(io.StringIO()):
                error = self.assertRaises(SystemExit, command.options, argv)
            self.assertEqual(error.code, 2, argv)

    def test_cases(self) -> None:
        """The matrix is writes on and off, plain and TLS, one room and many; each option restricts it."""

        def chosen(*argv: str) -> list[tuple[bool, bool, int]]:
            found: list[tuple[Equipment, Plan]] = list(command.cases(command.options([*argv, "--users", "50"])))
            return [(equipment.opportunistic, equipment.tls, plan.rooms) for equipment, plan in found]

        everything = [(w, tls, rooms) for tls in (False, True) for rooms in (1, 5) for w in (True, False)]
        self.assertEqual(chosen(), everything)
        self.assertEqual(chosen("--writes", "off", "--security", "tls", "--rooms", "many"), [(False, True, 5)])

    def test_quick(self) -> None:
        """C{--quick} lowers the numbers that are not given."""

        def sizes(*argv: str) -> tuple[Any, ...]:
            chosen = command.options(argv)
            return (chosen.users, chosen.messages)

        self.assertEqual(sizes(), (500, 40))
        self.assertEqual(sizes("--quick"), (50, 4))
        self.assertEqual(sizes("--quick", "--users", "20"), (20, 4))


class ArchiveTests(SynchronousTestCase):
    """C{python -m benchmarks.archive}"""

    def test_figures(self) -> None:
        """It prints a figure for appending and one for each kind of page."""
        command = [sys.executable, "-m", "benchmarks.archive", "--messages", "120", "--group", "50"]
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, timeout=60).stdout
        _, first, *pages = output.splitlines()
        self.assertRegex(first, rb"^append, 50 at once, 120 in all( +[0-9.]+ \xc2\xb5s){2}$")
        self.assertEqual(len(pages), len(list(archive.queries(120))))
        for page in pages:
            self.assertRegex(page, rb"^page of 50, .*( +[0-9.]+ ms){2}$")


class StoresTests(SynchronousTestCase):
    """C{python -m benchmarks.stores}"""

    def test_figures(self) -> None:
        """It prints rates and times for each store and kind of request."""
        command = [sys.executable, "-m", "benchmarks.stores", "--members", "3", "12", "--requests", "4"]
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, timeout=60).stdout
        lines = output.decode().splitlines()
        self.assertEqual([lines[0].split()[0], lines[6].split()[0]], ["sqlite", "memory"])
        for line in (*lines[1:6], *lines[7:]):
            self.assertRegex(line, r"^[a-z].*( +[0-9,]+/s +[0-9,]+ µs){2}$")
        self.assertEqual(len(lines), 12)


class AffiliationTests(SynchronousTestCase):
    """C{python -m benchmarks.affiliations}"""

    def test_figures(self) -> None:
        """It prints a figure for each size."""
        command = [sys.executable, "-m", "benchmarks.affiliations", "--members", "3", "12", "--changes", "4"]
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, timeout=60).stdout
        self.assertRegex(output, rb"^a change in a room of 3 members +\d+ \xc2\xb5s\n"
                                 rb"a change in a room of 12 members +\d+ \xc2\xb5s\n$")  # fmt: skip


class HoldTests(SynchronousTestCase):
    """C{python -m benchmarks.holds}, and its meter."""

    def test_longest(self) -> None:
        """The longest time between two polls is kept, for whoever has the file, until it is reset."""

        class Poller:
            def poll(self, *args: float) -> list[tuple[float, ...]]:
                return [args]

        path = self.mktemp()
        meter = HoldMeter(path)
        poller = MeteredPoller(Poller(), HoldMeter(path))
        self.assertEqual(poller.poll(0.5, 3), [(0.5, 3)])
        meter.longest = 0.0
        sum(range(500_000))
        poller.poll()
        longest = meter.longest
        self.assertGreater(longest, 0)
        poller.poll()
        self.assertEqual(meter.longest, longest)

    def test_figures(self) -> None:
        """It prints three figures for each of what happens in two rooms, none of which is zero."""
        printed = io.StringIO()
        holds.main(["--users", "6", "--times", "2", "--crowd", "5"], printed.write)
        title, *lines = printed.getvalue().splitlines()
        self.assertTrue(title.startswith("room of 6 "), title)
        self.assertTrue(lines.pop(3).startswith("room of 5 "))
        names = ["leaving", "entering", "a message", "one item for all", "destroying the room", "putting all out"]
        self.assertEqual([line[:24].strip() for line in lines], names)
        for line in lines:
            self.assertRegex(line[24:], r"^( +[0-9.]+ ms){3}$")
            self.assertNotIn(" 0.0 ms", line)


class GrowthTests(SynchronousTestCase):
    """C{python -m benchmarks.growth}"""

    def test_main(self) -> None:
        """It measures rooms of both sizes in turns, and prints the ratio of their medians."""
        printed = io.StringIO()
        growth.main(["--small", "3", "--large", "6", "--deliveries", "36", "--turns", "2", "--tls"], printed.write)
        lines = printed.getvalue().splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["occupants", "3", "6", "6"])
        self.assertRegex(lines[-1], r"\A6 to 3: [0-9.]+\Z")


class RemoteTests(SynchronousTestCase):
    """C{python -m benchmarks.remote}"""

    def test_run(self) -> None:
        """It prints a line of figures, all above 0."""
        printed: list[str] = []
        self.assertEqual(remote.main(["--users", "3", "--messages", "2"], printed.append), 0)
        _, line = "".join(printed).splitlines()
        users, *figures = line.split()
        self.assertEqual((users, len([each for each in figures if float(each) > 0])), ("3", 2))

    def test_failed(self) -> None:
        """If a server fails, it says so."""

        def failing(*_: object) -> None:
            raise BenchmarkFailed("it failed")

        self.patch(remote, "measure", failing)
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            self.assertEqual(remote.main([], lambda text: None), 1)
        self.assertIn("it failed", complaints.getvalue())


class OneToOneTests(SynchronousTestCase):
    """C{python -m benchmarks.onetoone}"""

    def test_run(self) -> None:
        """It prints a line of figures for each measurement, all above 0; more requests than are kept are made."""
        options = ["--users", "3", "--messages", "3", "--contacts", "120", "--times", "2", "--security", "plain"]
        printed: list[str] = []
        self.assertEqual(onetoone.main([*options, "--archive", "both"], printed.append), 0)
        title, *lines = "".join(printed).splitlines()
        self.assertEqual(len(title.split("µs")), 6)
        for line, archived in zip(lines, ("off", "on"), strict=True):
            security, found, *figures = line.split()
            self.assertEqual((security, found), ("plain", archived))
            self.assertEqual(len([figure for figure in figures if float(figure) > 0]), 5)

    def test_failed(self) -> None:
        """If a server fails, it says so."""

        def failing(*_: object) -> None:
            raise BenchmarkFailed("it failed")

        self.patch(onetoone, "measure", failing)
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            self.assertEqual(onetoone.main(["--users", "2"], lambda text: None), 1)
        self.assertIn("it failed", complaints.getvalue())


class PEPTests(SynchronousTestCase):
    """C{python -m benchmarks.pep}"""

    def test_run(self) -> None:
        """It prints two figures for each measurement, above 0."""
        options = ["--contacts", "5", "--items", "4", "--together", "3", "--security", "plain", "--storage", "sqlite"]
        printed: list[str] = []
        self.assertEqual(pep.main(options, printed.append), 0)
        title, line = "".join(printed).splitlines()
        self.assertIn("3 at once", title)
        security, *figures = line.split()
        self.assertEqual((security, len([figure for figure in figures if float(figure) > 0])), ("plain", 2))

    def test_failed(self) -> None:
        """If a server fails, it says so."""

        def failing(*_: object) -> None:
            raise BenchmarkFailed("it failed")

        self.patch(pep, "measure", failing)
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            self.assertEqual(pep.main(["--contacts", "2"], lambda text: None), 1)
        self.assertIn("it failed", complaints.getvalue())
