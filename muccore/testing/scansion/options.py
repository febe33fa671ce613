# -*- test-case-name: tests.testing.test_scansion_options -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The options of a run, the state of its clients, and the formatting of failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from muccore.testing.scansion.client import Client
from muccore.testing.scansion.compare import Rules
from muccore.testing.scansion.language import ClientDefinition, Position

_SHOWN_STANZAS: Final = 10
_SHOWN_LENGTH: Final = 4000


class ScenarioFailed(Exception):
    """The conversation differed from the script; C{str()} of it says where and how, in several lines."""

    def __init__(self, position: Position, what: str) -> None:
        Exception.__init__(self, f"{position}: {what}")


@dataclass(frozen=True)
class RunOptions:
    """
    The server and the mode of a run.

    @ivar strictPayloads: in lenient mode, compare elements outside of C{jabber:client} as scansion itself does:
        attributes, children and order of children exactly as written.
    @ivar timeout: for each step, in seconds.
    @ivar tls: use STARTTLS even if the server does not require it; with C{websocket}, C{wss}.
    @ivar websocket: connect over WebSocket.
    """

    host: str
    port: int
    exact: bool = False
    strictPayloads: bool = False
    timeout: float = 5.0
    tls: bool = False
    websocket: bool = False

    @property
    def rules(self) -> Rules:
        """How stanzas are compared."""
        if self.exact:
            return Rules.EXACT
        return Rules.PAYLOADS if self.strictPayloads else Rules.LENIENT


def show(stanza: etree._Element) -> str:
    """Format a stanza: indented, and cut if it is long."""
    shown = etree.fromstring(etree.tostring(stanza, with_tail=False))
    etree.cleanup_namespaces(shown)
    etree.indent(shown)
    text = etree.tostring(shown, encoding="unicode").replace(' xmlns="jabber:client"', "", 1)
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[:_SHOWN_LENGTH]}… ({len(text)} characters)"
    return "\n".join(f"    {line}" for line in text.splitlines())


def showAll(stanzas: Sequence[etree._Element]) -> str:
    """Format stanzas, only the first ones of many."""
    shown = [show(stanza) for stanza in stanzas[:_SHOWN_STANZAS]]
    if len(stanzas) > _SHOWN_STANZAS:
        shown.append(f"    … and {len(stanzas) - _SHOWN_STANZAS} more")
    return "\n".join(shown) or "    (nothing)"


class ScriptClient:
    """
    One client of the script and its connection.

    @ivar connection: while it is connected.
    @ivar full: its latest full JID, or C{""}.
    @ivar sentTo: the bare addresses that it has sent to.
    @ivar seen: how many stanzas had arrived at its latest step.
    @ivar left: it was connected and has disconnected.
    @ivar endExpected: the script expected the stream error that closes its stream.
    """

    def __init__(self, definition: ClientDefinition) -> None:
        self.definition = definition
        self.name = definition.name
        self.connection: Client | None = None
        self.full = ""
        if definition.resource is not None:
            self.full = definition.address.withResource(definition.resource).full
        self.sentTo: set[str] = set()
        self.seen = 0
        self.left = False
        self.endExpected = False

    def connected(self, position: Position) -> Client:
        """Return its connection; L{ScenarioFailed} at the step if it is not connected."""
        if self.connection is None:
            raise ScenarioFailed(position, f"{self.name} is not connected")
        return self.connection
