# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.script} and L{muccore.testing.scansion.language}."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.scansion.language import (
    STRICT,
    Connects,
    Disconnects,
    Position,
    Receives,
    ReceivesNothing,
    Script,
    ScriptError,
    Sends,
    capturedName,
    requestedProperty,
)
from muccore.testing.scansion.script import load, parse
from muccore.xmpp import ns

CLIENTS = """\
# Of two lovers

[Client] Romeo
\tjid: romeo@localhost
\tpassword: pass:word # one

// a comment of another kind
[Client] Romeo's phone
    password: other
    # and one inside
    jid: romeo@localhost/phone
    connect_host: 127.0.0.2
    connect_port: 5299

-----
"""

BODY = len(CLIENTS.splitlines()) + 1
"""The number of the first line below L{CLIENTS}."""


class ParseTests(SynchronousTestCase):
    """Reading scripts."""

    def parse(self, actions: str) -> Script:
        """Parse actions of the usual clients."""
        return parse(CLIENTS + actions, "a.scs")

    def fails(self, text: str, line: int, *words: str) -> None:
        """Expect that C{text} is refused at a line with those words."""
        error = self.assertRaises(ScriptError, parse, text, "a.scs")
        self.assertTrue(str(error).startswith(f"a.scs:{line}: "), str(error))
        for word in words:
            self.assertIn(word, str(error))

    def actionFails(self, actions: str, line: int, *words: str) -> None:
        """Expect that actions of the usual clients are refused, at a line that counts from the first of them as 1."""
        self.fails(CLIENTS + actions, BODY - 1 + line, *words)

    def test_clients(self) -> None:
        """Clients have their properties, in any order; comments and empty lines are ignored."""
        found = self.parse("")
        self.assertEqual(found.title, "Of two lovers")
        self.assertEqual(list(found.clients), ["Romeo", "Romeo's phone"])
        romeo, phone = found.clients.values()
        self.assertEqual((romeo.jid, romeo.password, romeo.resource), ("romeo@localhost", "pass:word # one", None))
        self.assertEqual((romeo.host, romeo.port), (None, None))
        self.assertEqual((phone.jid, phone.resource), ("romeo@localhost/phone", "phone"))
        self.assertEqual((phone.host, phone.port, phone.address.full), ("127.0.0.2", 5299, "romeo@localhost"))

    def test_passwordIsNotShown(self) -> None:
        """The representation of a client does not contain the password."""
        self.assertNotIn("pass:word", repr(self.parse("").clients["Romeo"]))

    def test_resourceProperty(self) -> None:
        """The resource can be a property."""
        found = parse("[Client] A\n\tjid: a@b\n\tresource: r\n\tpassword: p\n------\n")
        self.assertEqual(found.clients["A"].resource, "r")

    def test_titleAndTags(self) -> None:
        """Scansion's tags, lines that begin with two number signs, are not a title."""
        found = parse("## slow\n# Title\n[Client] A\n\tjid: a@b\n\tpassword: p\n-----\n")
        self.assertEqual(found.title, "Title")

    def test_actions(self) -> None:
        """Actions have their lines; the longest matching name counts."""
        found = self.parse(
            "Romeo connects\n\nRomeo's phone connects\nRomeo sends:\n\t<presence/>\n# why\n"
            "Romeo's phone receives: <presence/>\nRomeo receives: nothing\nRomeo receives nothing\n"
            "Romeo  disconnects\n"
        )
        kinds = [Connects, Connects, Sends, Receives, ReceivesNothing, ReceivesNothing, Disconnects]
        self.assertEqual([type(action) for action in found.actions], kinds)
        self.assertEqual([action.position.line - BODY for action in found.actions], [0, 2, 3, 6, 7, 8, 9])
        names = [action.name for action in found.actions[:4]]
        self.assertEqual(names, ["Romeo", "Romeo's phone", "Romeo", "Romeo's phone"])

    def test_stanzasAndTheirLines(self) -> None:
        """A block can have several stanzas, with empty lines and comments between them; each has its line."""
        found = self.parse(
            "Romeo receives:\n\n\t<presence>\n\n\t<show>away</show></presence>\n# more\n\t<iq/> <message/>\n"
        )
        markup = found.actions[0].markup
        self.assertEqual([position.line - BODY for position in markup.positions], [2, 6, 6])
        stanzas = markup.stanzas(lambda variable: variable)
        tags = [f"{{{ns.CLIENT}}}{name}" for name in ("presence", "iq", "message")]
        self.assertEqual([stanza.tag for stanza in stanzas], tags)

    def test_variables(self) -> None:
        """Values of variables are escaped, in attributes with either quote and in text."""
        found = self.parse(
            "Romeo sends:\n\t<a b=\"${Romeo's full JID}\" c='${Romeo's phone's JID}'>${Romeo's JID}</a>\n"
        )
        markup = found.actions[0].markup
        (stanza,) = markup.stanzas(lambda variable: f"<&'\"{variable}")
        self.assertEqual(stanza.get("b"), "<&'\"Romeo's full JID")
        self.assertEqual(stanza.get("c"), "<&'\"Romeo's phone's JID")
        self.assertEqual(stanza.text, "<&'\"Romeo's JID")
        self.assertEqual(
            markup.written(lambda variable: "<"), "<a b=\"&lt;\" c='&lt;'>&lt;</a>"
        )

    def test_lineEnds(self) -> None:
        """Only newlines end lines, with or without a carriage return; other Unicode line ends are text."""
        found = parse((CLIENTS + "Romeo sends:\n\t<a>x\u2028y\x85z</a>\n").replace("\n", "\r\n"))
        (stanza,) = found.actions[0].markup.stanzas(str)
        self.assertEqual(stanza.text, "x\u2028y\x85z")
        self.assertEqual(found.actions[0].markup.positions, [Position("script", BODY + 1)])

    def test_captures(self) -> None:
        """Blocks have the names that they capture and use."""
        found = self.parse(
            "Romeo receives:\n\t<iq id='{scansion:capture:x}'><a> {scansion:capture:y-1} </a></iq>\n"
            "Romeo sends:\n\t<iq id='${x}' a='${Romeo's JID}'/>\n"
        )
        first, second = (action.markup for action in found.actions)
        self.assertEqual((first.captures, first.uses), ({"x", "y-1"}, set()))
        self.assertEqual((second.captures, second.uses), (set(), {"x"}))

    def test_streamPrefix(self) -> None:
        """A stream error can be expected: the prefixes C{stream} and C{scansion} need no declaration."""
        found = self.parse("Romeo receives:\n\t<stream:error scansion:strict='false'/>\n")
        (stanza,) = found.actions[0].markup.stanzas(str)
        self.assertEqual(stanza.tag, f"{{{ns.STREAM}}}error")
        self.assertEqual(stanza.get(STRICT), "false")

    def test_severalSubjects(self) -> None:
        """Several clients can connect, disconnect and receive the same; names are joined by commas and C{and}."""
        found = self.parse(
            "Romeo and Romeo's phone connect\nRomeo's phone, Romeo receive:\n\t<presence/>\n"
            "Romeo and Romeo's phone receive nothing\nRomeo and Romeo's phone disconnect\n"
        )
        kinds = [kind for kind in (Connects, Receives, ReceivesNothing, Disconnects) for _ in range(2)]
        self.assertEqual([type(action) for action in found.actions], kinds)
        names = ["Romeo", "Romeo's phone"]
        self.assertEqual([action.name for action in found.actions], [*names, *names[::-1], *names, *names])
        self.actionFails("Romeo and Romeo's phone send:\n\t<presence/>\n", 1, "'send:'")
        self.actionFails("Romeo connect\n", 1, "'connect'")
        self.actionFails("Romeo and Juliet connect\n", 1, "'Juliet connect'")

    def test_badClients(self) -> None:
        """Mistakes above the line of dashes are reported with their line."""
        self.fails("", 1, "dashes")
        self.fails("# only\n# comments\n", 2, "dashes")
        self.fails("-----\n", 1, "no client")
        self.fails("Romeo connects\n-----\n", 1, "'Romeo connects'")
        self.fails("\tjid: a@b\n-----\n", 1, "jid: a@b")
        self.fails("[Server] A\n-----\n", 1, "[Server]", "[Client]")
        self.fails("[Client]\n-----\n", 1, "no name")
        self.fails("[Client] A\n\tpassword: p\n-----\n", 1, "'A' has no jid")
        self.fails("[Client] A\n\tjid: a@b\n-----\n", 1, "'A' has no password")
        self.fails("[Client] A\n\tjid: a@b\n\tpassword:\n-----\n", 3, "no password")
        self.fails("[Client] A\n\tjid a@b\n-----\n", 2, "PROPERTY: VALUE", "jid a@b")
        self.fails("[Client] A\n\tjit: a@b\n-----\n", 2, "'jit'", "connect_port")
        self.fails("[Client] A\n\tjid: a@b\n\tjid: a@b\n-----\n", 3, "duplicate")
        self.fails("[Client] A\n\tpassword: p\n\tjid: @b\n-----\n", 3, "'A'", "empty localpart")
        self.fails("[Client] A\n\tpassword: p\n\tjid: b\n-----\n", 3, "no localpart")
        self.fails("[Client] A\n\tjid: a@b\n\tpassword: p\n\tresource: \x07\n-----\n", 4, "resourcepart")
        self.fails("[Client] A\n\tjid: a@b/c\n\tresource: d\n\tpassword: p\n-----\n", 3, "already")
        for port in ("0", "65536", "x", "-1", "٣"):
            self.fails(f"[Client] A\n\tjid: a@b\n\tpassword: p\n\tconnect_port: {port}\n-----\n", 4, "port")
        one = "[Client] A\n\tjid: a@b\n\tpassword: p\n"
        self.fails(f"{one}{one}-----\n", 4, "duplicate client 'A'")

    def test_badActions(self) -> None:
        """Unknown actions are reported with their line and with the known ones."""
        self.actionFails("\n\t<presence/>\n", 2, "indented")
        self.actionFails("[Client] B\n", 1, "above")
        self.actionFails("Juliet connects\n", 1, "'Juliet connects'")
        self.actionFails("Romeo\n", 1, "no client's name")
        self.actionFails("Romeo sleeps\n", 1, "'sleeps'", "disconnects")
        self.actionFails("Romeo connects:\n", 1, "'connects:'")
        self.actionFails("Romeo sends\n\t<presence/>\n", 1, "'sends'")
        self.actionFails("Romeo sends:\nRomeo connects\n", 1, "no XML")
        self.actionFails("Romeo receives nothing: <iq/>\n", 1, "receives nothing")

    def test_badXML(self) -> None:
        """Broken XML, and text outside of stanzas, are reported with the line inside the block."""
        self.actionFails("Romeo sends:\n\t<presence>\n\t<x></y>\n\t</presence>\n", 3, "not XML")
        self.actionFails("Romeo sends:\n# comment\n\t<presence>\n", 3, "not XML")
        self.actionFails("Romeo sends:\n\t<a:b/>\n", 2, "not XML", "a")
        self.actionFails("Romeo sends:\n\t<a>&foo;</a>\n", 2, "not XML")
        self.actionFails("Romeo sends:\n\t</script>\n", 2, "not XML")
        self.actionFails("Romeo receives: something\n", 1, "outside")
        self.actionFails("Romeo receives:\n\t<a/> and <b/>\n", 2, "outside")
        self.actionFails("Romeo sends:\n\t<!-- nothing -->\n", 2, "no stanza")

    def test_badVariables(self) -> None:
        """An unknown variable is reported with its line."""
        self.actionFails("Romeo sends:\n\t<a\n\tb='${Julia's JID}'/>\n", 3, "${Julia's JID}")
        self.actionFails("Romeo sends:\n\t<a b='${Romeo's shoe}'/>\n", 2, "${Romeo's shoe}")
        self.actionFails("Romeo sends:\n\t<a b='${x}'/>\n", 2, "${x}", "captured")
        self.actionFails("Romeo sends:\n\t<a b='${x'/>\n", 2, "without its '}'")
        self.actionFails("Romeo receives:\n\t<a b='{scansion:capture:x}' c='${x}'/>\n", 2, "${x}")

    def test_badPlaceholders(self) -> None:
        """Placeholders have to be known, whole values and in received stanzas; C{scansion:strict} likewise."""
        self.actionFails("Romeo receives:\n\t<a b='{scansion:some}'/>\n", 2, "{scansion:some}", "{scansion:any}")
        self.actionFails("Romeo receives:\n\t<a b='{scansion:capture:}'/>\n", 2, "{scansion:capture:}")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b>{scansion:any</b></a>\n", 3, "{scansion:any")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b c='x{scansion:any}'/></a>\n", 3, "whole value")
        self.actionFails("Romeo receives:\n\t<a>x {scansion:any}</a>\n", 2, "whole value")
        self.actionFails("Romeo sends:\n\t<a b='{scansion:any}'/>\n", 2, "cannot be sent")
        self.actionFails("Romeo sends:\n\t<a scansion:strict='true'/>\n", 2, "received only")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b scansion:strict='maybe'/></a>\n", 3, "'true' or 'false'")

    @settings(max_examples=150)
    @given(
        st.lists(
            st.sampled_from(
                [*CLIENTS.splitlines(), "Romeo sends:", "Romeo receives: nothing", "\t<a>", "\t</a>", "\t<b c='${x}'/>"]
            )
            | st.text(max_size=20),
            max_size=12,
        )
    )
    def test_anyText(self, lines: list[str]) -> None:
        """Any text is read, or refused with one of its lines."""
        text = "\n".join(lines)
        try:
            parse(text)
        except ScriptError as e:
            self.assertTrue(1 <= e.position.line <= text.count("\n") + 1, str(e))


class NameTests(SynchronousTestCase):
    """Variables and placeholders."""

    def test_requestedProperty(self) -> None:
        """A variable names one property of one client."""
        self.assertEqual(requestedProperty("A", "A's full JID"), "full JID")
        self.assertEqual(requestedProperty("A", "A's JID"), "JID")
        self.assertEqual(requestedProperty("A's b", "A's b's resource"), "resource")
        self.assertIsNone(requestedProperty("A", "A's b's resource"))
        self.assertIsNone(requestedProperty("A", "x"))

    def test_capturedName(self) -> None:
        """Only a whole placeholder captures."""
        self.assertEqual(capturedName("{scansion:capture:first}"), "first")
        for value in ("{scansion:any}", "{scansion:capture:a b}", "{scansion:capture:x}!", ""):
            self.assertIsNone(capturedName(value))


class FileTests(SynchronousTestCase):
    """Reading files, and files that include others."""

    def setUp(self) -> None:
        """Create a folder."""
        self.folder = Path(self.mktemp())
        self.folder.joinpath("shared").mkdir(parents=True)

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file; return its path."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def fails(self, text: str, *words: str) -> str:
        """Expect that the script C{a.scs} is refused with these words. Return the message."""
        path = self.write("a.scs", text)
        message = str(self.assertRaises(ScriptError, load, path))
        for word in words:
            self.assertIn(word, message)
        return message.replace(f"{self.folder}/", "")

    def test_load(self) -> None:
        """A file is read as UTF-8, with or without a byte order mark."""
        path = self.write("a.scs", b"\xef\xbb\xbf" + CLIENTS.replace("lovers", "l\u00f8vers").encode())
        found = load(path)
        self.assertEqual((found.source, found.title), (path, "Of two l\u00f8vers"))

    def test_notUTF8(self) -> None:
        """Bytes that are not UTF-8 are reported with their line."""
        self.assertTrue(self.fails(b"# a\n# \xff\n").startswith("a.scs:2: "))

    def test_include(self) -> None:
        """
        The clients and actions of included files are the script's, in its order; paths are relative to the including
        file, and each action knows where it stands and what included it.
        """
        self.write("shared/clients.scs", CLIENTS.partition("-----")[0])
        self.write("shared/both.scs", "# Shared\n[Include] clients.scs\n-----\nRomeo connects\n[Include] sent.scs\n")
        self.write("shared/sent.scs", "-----\nRomeo's phone connects\nRomeo's phone sends:\n\t<presence/>\n")
        path = self.write(
            "a.scs", "# Title\n[Include] shared/both.scs\n------\nRomeo disconnects\n[Include] shared/sent.scs\n"
        )
        found = load(path)
        self.assertEqual((found.title, list(found.clients)), ("Title", ["Romeo", "Romeo's phone"]))
        places = [str(action.position).replace(f"{self.folder}/", "") for action in found.actions]
        both = "shared/both.scs:{} (included at a.scs:2)"
        sent = f"shared/sent.scs:{{}} (included at {both.format(5)})"
        self.assertEqual(
            places,
            [
                both.format(4),
                sent.format(2),
                sent.format(3),
                "a.scs:4",
                "shared/sent.scs:2 (included at a.scs:5)",
                "shared/sent.scs:3 (included at a.scs:5)",
            ],
        )
        self.assertEqual(found.actions[2].markup.positions[0].line, 4)

    def test_parameters(self) -> None:
        """The properties of an include, repeated ones joined, replace variables in the included file."""
        self.write(
            "shared/enters.scs",
            "-----\n${who} sends:\n\t<presence to=\"${room}@localhost/${who}\"><a>${who's full JID}</a></presence>\n",
        )
        path = self.write(
            "a.scs",
            f"{CLIENTS}[Include] shared/enters.scs\n\twho: Romeo's phone\n\t# comment\n\troom: ha\n\troom: ll\n",
        )
        (action,) = load(path).actions
        (stanza,) = action.markup.stanzas(lambda variable: f"<{variable}>")
        self.assertEqual((action.name, stanza.get("to")), ("Romeo's phone", "hall@localhost/Romeo's phone"))
        self.assertEqual(stanza[0].text, "<Romeo's phone's full JID>")

    def test_capturesOfIncluded(self) -> None:
        """Values captured in an included file can be used after it."""
        self.write("shared/captures.scs", "-----\nRomeo receives:\n\t<iq id='{scansion:capture:x}'/>\n")
        path = self.write("a.scs", f"{CLIENTS}[Include] shared/captures.scs\nRomeo sends:\n\t<iq id='${{x}}'/>\n")
        self.assertEqual(load(path).actions[1].markup.uses, {"x"})

    def test_badIncludes(self) -> None:
        """
        A file that is missing, includes itself, or lacks a parameter is reported at the line of the include; a mistake
        inside it at its own line.
        """
        self.write("shared/b.scs", "-----\n[Include] ../a.scs\n")
        self.write("shared/c.scs", "[Client] Romeo\n\tjid: a@b\n\tpassword: p\n-----\nRomeo sleeps\n")
        self.write("shared/d.scs", "-----\n${who} connects\n")
        self.assertTrue(self.fails("\n[Include] missing.scs\n").startswith("a.scs:2: cannot read missing.scs: "))
        self.assertEqual(self.fails("[Include]\n"), "a.scs:1: no file to include")
        self.assertEqual(self.fails(f"[Include] a.scs\n{CLIENTS}"), "a.scs:1: a.scs includes itself")
        message = self.fails(f"[Include] shared/b.scs\n{CLIENTS}")
        self.assertEqual(message, "shared/b.scs:2 (included at a.scs:1): ../a.scs includes itself")
        message = self.fails("[Include] shared/c.scs\n-----\n", "'sleeps'")
        self.assertTrue(message.startswith("shared/c.scs:5 (included at a.scs:1): "), message)
        message = self.fails(f"{CLIENTS}[Include] shared/c.scs\n", "duplicate client 'Romeo'")
        self.assertTrue(message.startswith(f"shared/c.scs:1 (included at a.scs:{BODY}): "), message)
        self.fails(f"{CLIENTS}[Include] shared/d.scs\n", "'${who} connects'")
        message = self.fails(f"{CLIENTS}[Include] shared/d.scs\n\twho: Romeo\n\troom: hall\n")
        self.assertEqual(message, f"a.scs:{BODY + 2}: shared/d.scs has no ${{room}}")
