# -*- test-case-name: tests.testing.test_scansion_options -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Where and how plays are performed, who is on the stage, and how failures are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from muccore.testing.scansion.client import Client
from muccore.testing.scansion.compare import Rules
from muccore.testing.scansion.language import ClientDefinition

_SHOWN_STANZAS = 10
_SHOWN_LENGTH = 4000


class ScenarioFailed(Exception):
    """
    The play did not go as its script says; C{str()} of it tells where and what, over several lines.
    """


@dataclass(frozen=True)
class RunOptions:
    """
    Where and how plays are performed.

    @ivar exact: in exact mode.
    @ivar strictPayloads: in lenient mode, compare elements outside of C{jabber:client} as scansion itself does:
        with their attributes, children and order of children exactly as written.
    @ivar timeout: how many seconds a block or any other step may take.
    @ivar tls: use STARTTLS also where the server does not ask for it.
    """

    host: str
    port: int
    exact: bool = False
    strictPayloads: bool = False
    timeout: float = 5.0
    tls: bool = False

    @property
    def rules(self) -> Rules:
        """
        How stanzas are compared.
        """
        if self.exact:
            return Rules.EXACT
        return Rules.PAYLOADS if self.strictPayloads else Rules.LENIENT


def show(stanza: etree._Element) -> str:
    """
    A stanza for people: indented, and cut if it is huge.
    """
    shown = etree.fromstring(etree.tostring(stanza, with_tail=False))
    etree.cleanup_namespaces(shown)
    etree.indent(shown)
    text = etree.tostring(shown, encoding="unicode").replace(' xmlns="jabber:client"', "", 1)
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[:_SHOWN_LENGTH]}… ({len(text)} characters)"
    return "\n".join(f"    {line}" for line in text.splitlines())


def showAll(stanzas: Iterable[etree._Element]) -> str:
    """
    Stanzas for people, the first few of them if they are many.
    """
    stanzas = list(stanzas)
    shown = [show(stanza) for stanza in stanzas[:_SHOWN_STANZAS]]
    if len(stanzas) > _SHOWN_STANZAS:
        shown.append(f"    … and {len(stanzas) - _SHOWN_STANZAS} more")
    return "\n".join(shown) or "    (nothing)"


class ScriptClient:
    """
    One character with its connection.

    @ivar client: while it is connected.
    @ivar full: its latest full JID, or C{""}.
    @ivar sentTo: the bare addresses that it has sent to.
    @ivar seen: how many stanzas had come when it last did something.
    @ivar left: it has been there and has left.
    @ivar endExpected: the script has seen the stream error that ends its stream.
    """

    def __init__(self, character: ClientDefinition) -> None:
        self.character = character
        self.client: Client | None = None
        self.full = ""
        if character.resource is not None:
            self.full = character.address.withResource(character.resource).full
        self.sentTo: set[str] = set()
        self.seen = 0
        self.left = False
        self.endExpected = False

    def onStage(self, line: int) -> Client:
        """
        Its connection.

        @param line: where the script wants it to be there.
        @raise StepFailed: if it is not.
        """
        if self.client is None:
            raise StepFailed(line, f"{self.character.name} is not connected")
        return self.client


class StepFailed(Exception):
    """
    A failure and the line of the script that it belongs to.
    """

    def __init__(self, line: int, what: str) -> None:
        Exception.__init__(self, line, what)
        self.line = line
        self.what = what
