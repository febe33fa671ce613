# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
CPU time of messages between two users, and of presence to the contacts in a roster: C{python -m benchmarks.onetoone}.

Users in pairs write to each other, each the next message when the other's has come. Then one user has contacts, with
subscriptions in both directions and all online, goes offline, and comes online again: all are told, and answer a probe.
Every delivery is counted, as in L{benchmarks.load}.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.client import DOMAIN, Client
from benchmarks.command import allowFiles, positiveNumber
from benchmarks.failure import BenchmarkFailed
from benchmarks.load import MESSAGE_SIZE, Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server
from benchmarks.tally import body

_PRINTED: Final = "{:<8}{:<12}{:>12}{:>12}{:>12}{:>12}{:>12}"


class ChatClient(Client):
    """A client that writes to other users."""

    def appear(self) -> None:
        """Become available."""
        self.send(b"<presence><show>chat</show></presence>")

    def disappear(self) -> None:
        """Become unavailable."""
        self.send(b"<presence type='unavailable'><status>gone</status></presence>")

    def subscription(self, type: str, to: int) -> None:
        """Manage a subscription."""
        self.send(f"<presence type='{type}' to='u{to}@{DOMAIN}'/>".encode())

    def write(self, to: int) -> None:
        """Write the next message to a user."""
        text = body(self.number, self.sent, MESSAGE_SIZE)
        self.send(b"<message to='u%d@localhost' type='chat' id='m%d'><body>%s</body></message>" % (to, self.sent, text))
        self.sent += 1


class ChatLoad(Load):
    """Clients that write to each other."""

    kind = ChatClient
    _clients: list[ChatClient]  # type: ignore[assignment]

    def appear(self) -> int:
        """Let all become available; return the presences delivered: to each its own."""
        for client in self._clients:
            client.appear()
        return self._exactly("presences", dict.fromkeys(range(len(self._clients)), 1), lambda c: c.tally.presences)

    def write(self) -> int:
        """Let all pairs write to each other; return the messages delivered."""
        clients, count = self._clients, self._plan.messages
        wanted = dict.fromkeys(range(len(clients) // 2 * 2), count)
        left = sum(wanted.values())

        def react(client: Client, messages: list[tuple[int, int]]) -> None:
            nonlocal left
            left -= len(messages)
            for _ in messages:
                if client.sent < count:
                    clients[client.number].write(client.number ^ 1)

        for number in wanted:
            clients[number].write(number ^ 1)
        self._until(lambda: left <= 0, lambda: f"{left} of {count * len(wanted)} messages are missing", react)
        return self._exactly("messages", wanted, lambda client: client.tally.messages)

    def befriend(self) -> None:
        """Let the first user and all others subscribe to each other."""
        first = self._clients[0]
        # Only so many requests are kept that are not answered.
        for begin in range(1, len(self._clients), 50):
            others = self._clients[begin : begin + 50]
            for other in others:
                first.subscription("subscribe", other.number)
            self.wait(0.5)
            for other in others:
                other.subscription("subscribed", 0)
                other.subscription("subscribe", 0)
            self.wait(0.5)
            for other in others:
                first.subscription("subscribed", other.number)
        self.wait(1)

    def goOffline(self) -> int:
        """Let the first user become unavailable; return the presences delivered."""
        return self._change(ChatClient.disappear, 1)

    def comeOnline(self) -> int:
        """Let the first user become available; return the presences delivered: to the others, and those of them."""
        return self._change(ChatClient.appear, len(self._clients))

    def _change(self, act: Callable[[ChatClient], None], own: int) -> int:
        for client in self._clients:
            client.tally.restart()
        act(self._clients[0])
        wanted = {**dict.fromkeys(range(len(self._clients)), 1), 0: own}
        return self._exactly("presences", wanted, lambda client: client.tally.presences)


def measure(equipment: Equipment, plan: Plan, contacts: int, times: int) -> tuple[float, float, float, float]:
    """
    Measure with one server for each part.

    @return: microseconds per message, of that those of the reactor's thread, per presence when one user comes online,
        and when they go.
    """
    with Server(equipment) as server:
        meter = Meter(server.pid)
        with ChatLoad(plan, server.address, server.tls) as load:
            load.logIn()
            load.appear()
            before, reactor = meter.cpu(), meter.mainThread()
            count = load.write()
            message, reactor = (meter.cpu() - before) / count, (meter.mainThread() - reactor) / count
        server.checkLog()
    spent: dict[str, float] = {"on": 0.0, "off": 0.0}
    delivered = {"on": 0, "off": 0}
    with Server(equipment) as server:
        meter = Meter(server.pid)
        with ChatLoad(Plan(contacts + 1, 1, 1, 1, plan.timeout, 0.05), server.address, server.tls) as load:
            load.logIn()
            load.appear()
            load.befriend()
            for _ in range(times):
                for name, phase in (("off", load.goOffline), ("on", load.comeOnline)):
                    before = meter.cpu()
                    delivered[name] += phase()
                    spent[name] += meter.cpu() - before
        server.checkLog()
    online, offline = (spent[name] / delivered[name] for name in ("on", "off"))
    return message * 1e6, reactor * 1e6, online * 1e6, offline * 1e6


def main(argv: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the command; return the exit status: 1 if the server failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onetoone", description=__doc__)
    parser.add_argument("--users", type=positiveNumber, default=100, help="users who write to each other (100)")
    parser.add_argument("--messages", type=positiveNumber, default=200, help="messages of each (200)")
    parser.add_argument("--contacts", type=positiveNumber, default=200, help="contacts in the roster (200)")
    parser.add_argument("--times", type=positiveNumber, default=20, help="how often their user comes online (20)")
    parser.add_argument("--security", choices=("plain", "tls", "both"), default="both", help="STARTTLS or none")
    parser.add_argument("--archive", choices=("on", "off", "both"), default="off", help="archive messages, in SQLite")
    parser.add_argument("--timeout", type=positiveNumber, default=120, help="seconds for each phase (120)")
    chosen = parser.parse_args(argv)
    connections = max(chosen.users, chosen.contacts + 1)
    if not allowFiles(connections):
        parser.error(f"{connections} clients need as many open files; this system allows fewer (ulimit -Hn)")
    write(_PRINTED.format("", "archive", "message µs", "reactor µs", "online µs", "offline µs", "user µs") + "\n")
    try:
        for security in ("plain", "tls") if chosen.security == "both" else (chosen.security,):
            for archive in ("off", "on") if chosen.archive == "both" else (chosen.archive,):
                equipment = Equipment(True, security == "tls", "memory", connections, archive=archive == "on")
                plan = Plan(chosen.users, 1, 1, chosen.messages, chosen.timeout, 0.2)
                message, reactor, online, offline = measure(equipment, plan, chosen.contacts, chosen.times)
                # Once online and offline again: they are told twice, and tell once.
                whole = online * (2 * chosen.contacts + 1) + offline * (chosen.contacts + 1)
                figures = (f"{figure:.1f}" for figure in (message, reactor, online, offline))
                write(_PRINTED.format(security, archive, *figures, f"{whole:.0f}") + "\n")
    except BenchmarkFailed as e:
        print(f"benchmarks: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
