# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
CPU time of notifications of what a user publishes (XEP-0163): C{python -m benchmarks.pep}.

One user has contacts, all online with capabilities that ask for the events of a node, and publishes to it, items one by
one or some at once: each contact, and the user, gets every item. Every delivery is counted, as in L{benchmarks.load}.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.client import DOMAIN
from benchmarks.command import allowFiles, positiveNumber
from benchmarks.failure import BenchmarkFailed
from benchmarks.load import Plan
from benchmarks.meter import Meter
from benchmarks.onetoone import ChatClient, ChatLoad
from benchmarks.server import Equipment, Server
from benchmarks.tally import body
from muccore.xmpp import ns
from muccore.xmpp.capabilities import versionOf
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render

NODE: Final = "urn:example:notes"
"""The node."""

_QUERY: Final = re.compile(rb"<iq\b[^<>]* id='([^']+)'[^<>]*><query xmlns='%s'" % ns.DISCO_INFO.encode())

_KEPT: Final = 500
"""Bytes of the stream in which the beginning of a request may be."""

_SIZE: Final = 200
"""Characters of an item besides its number."""


_PRINTED: Final = "{:<8}{:>12}{:>18}"


def _capabilities() -> tuple[bytes, bytes]:
    query = Element((ns.DISCO_INFO, "query"))
    query.add("feature", var=f"{NODE}+notify")
    version = versionOf(query)
    return f"<c xmlns='{ns.CAPS}' hash='sha-1' node='urn:x' ver='{version}'/>".encode(), render(query)


CAPS, INFO = _capabilities()
"""What the clients announce, and what they answer when they are asked what that means."""


class PublishingClient(ChatClient):
    """A client that publishes, and wants to hear of it."""

    _seen = b""

    def appear(self) -> None:
        """Become available."""
        self.send(b"<presence>%s</presence>" % CAPS)

    def _receive(self) -> bytes:
        data = super()._receive()
        self._seen += data
        for request in _QUERY.finditer(self._seen):
            self.send(b"<iq type='result' id='%s' to='%s'>%s</iq>" % (request[1], DOMAIN.encode(), INFO))
        # Each request is answered once.
        self._seen = b"" if _QUERY.search(self._seen) else self._seen[-_KEPT:]
        return data

    def publish(self, together: int) -> None:
        """Publish the next items at once."""
        requests = []
        for _ in range(together):
            note = b"<note xmlns='%s'><body>%s</body></note>" % (NODE.encode(), body(self.number, self.sent, _SIZE))
            requests.append(
                b"<iq type='set' id='p'><pubsub xmlns='%s'><publish node='%s'><item id='current'>%s</item></publish>"
                b"</pubsub></iq>" % (ns.PUBSUB.encode(), NODE.encode(), note)
            )
            self.sent += 1
        self.send(b"".join(requests))


class PublishingLoad(ChatLoad):
    """A client that publishes, and its contacts."""

    kind = PublishingClient
    _clients: list[PublishingClient]  # type: ignore[assignment]

    def publish(self, together: int) -> int:
        """Let the first user publish some items at once; return the notifications delivered."""
        first = self._clients[0]
        first.publish(together)
        wanted = dict.fromkeys(range(len(self._clients)), first.sent)
        return self._exactly("notifications", wanted, lambda client: client.tally.messages) // first.sent * together


def measure(equipment: Equipment, contacts: int, items: int, together: int, timeout: float) -> tuple[float, float]:
    """Return the microseconds of each notification: of items one at a time, and of some at once."""
    figures = []
    with Server(equipment) as server:
        meter = Meter(server.pid)
        with PublishingLoad(Plan(contacts + 1, 1, 1, 1, timeout, 0.02), server.address, server.tls) as load:
            load.logIn()
            load.appear()
            load.befriend()
            load.publish(1)
            for number in (1, together):
                before, delivered = meter.cpu(), 0
                for _ in range(-(-items // number)):
                    delivered += load.publish(number)
                figures.append((meter.cpu() - before) / delivered * 1e6)
        server.checkLog()
    one, some = figures
    return one, some


def main(argv: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the command; return the exit status: 1 if the server failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pep", description=__doc__)
    parser.add_argument("--contacts", type=positiveNumber, default=500, help="contacts in the roster (500)")
    parser.add_argument("--items", type=positiveNumber, default=60, help="items that are published (60)")
    parser.add_argument("--together", type=positiveNumber, default=5, help="how many of them at once (5)")
    parser.add_argument("--security", choices=("plain", "tls", "both"), default="both", help="STARTTLS or none")
    parser.add_argument("--storage", choices=("memory", "sqlite"), default="memory", help="where nodes are (memory)")
    parser.add_argument("--timeout", type=positiveNumber, default=120, help="seconds for each phase (120)")
    chosen = parser.parse_args(argv)
    if not allowFiles(chosen.contacts + 1):
        parser.error(f"{chosen.contacts} clients need as many open files; this system allows fewer (ulimit -Hn)")
    write(_PRINTED.format("", "one µs", f"{chosen.together} at once µs") + "\n")
    try:
        for security in ("plain", "tls") if chosen.security == "both" else (chosen.security,):
            equipment = Equipment(True, security == "tls", chosen.storage, chosen.contacts + 1)
            figures = measure(equipment, chosen.contacts, chosen.items, chosen.together, chosen.timeout)
            write(_PRINTED.format(security, *(f"{figure:.1f}" for figure in figures)) + "\n")
    except BenchmarkFailed as e:
        print(f"benchmarks: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
