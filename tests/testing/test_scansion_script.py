# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.testing.scansion.script} and L{muccore.testing.scansion.language}.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.testing.scansion import script
from muccore.testing.scansion.language import (
    STRICT,
    Connects,
    Disconnects,
    Receives,
    ReceivesNothing,
    Script,
    ScriptError,
    Sends,
    askedOf,
    capturedName,
)
from muccore.testing.scansion.script import parse

CAST = """\
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

BODY = len(CAST.splitlines()) + 1
"""The number of the first line below L{CAST}."""


class ParseTests(SynchronousTestCase):
    """
    Reading scripts.
    """

    def parse(self, actions: str) -> Script:
        """
        Parse actions of the usual cast.
        """
        return parse(CAST + actions, "a.scs")

    def fails(self, text: str, line: int, *words: str) -> None:
        """
        Expect that C{text} is refused at a line with those words.
        """
        error = self.assertRaises(ScriptError, parse, text, "a.scs")
        self.assertTrue(str(error).startswith(f"a.scs:{line}: "), str(error))
        for word in words:
            self.assertIn(word, str(error))

    def actionFails(self, actions: str, line: int, *words: str) -> None:
        """
        Expect that actions of the usual cast are refused, at a line that counts from the first of them as 1.
        """
        self.fails(CAST + actions, BODY - 1 + line, *words)

    def test_cast(self) -> None:
        """
        Clients have their properties, in whatever order, and comments and empty lines do not matter.
        """
        found = self.parse("")
        self.assertEqual(found.title, "Of two lovers")
        self.assertEqual(list(found.characters), ["Romeo", "Romeo's phone"])
        romeo, phone = found.characters.values()
        self.assertEqual((romeo.jid, romeo.password, romeo.resource), ("romeo@localhost", "pass:word # one", None))
        self.assertEqual((romeo.host, romeo.port, romeo.line), (None, None, 3))
        self.assertEqual((phone.jid, phone.resource), ("romeo@localhost/phone", "phone"))
        self.assertEqual((phone.host, phone.port, phone.address.full), ("127.0.0.2", 5299, "romeo@localhost"))

    def test_passwordIsNotShown(self) -> None:
        """
        The representation of a character has no password in it.
        """
        self.assertNotIn("pass:word", repr(self.parse("").characters["Romeo"]))

    def test_resourceProperty(self) -> None:
        """
        The resource can be a property of its own.
        """
        found = parse("[Client] A\n\tjid: a@b\n\tresource: r\n\tpassword: p\n------\n")
        self.assertEqual(found.characters["A"].resource, "r")

    def test_titleAndTags(self) -> None:
        """
        Scansion's tags, lines that begin with two number signs, are no title.
        """
        found = parse("## slow\n# Title\n[Client] A\n\tjid: a@b\n\tpassword: p\n-----\n")
        self.assertEqual(found.title, "Title")

    def test_actions(self) -> None:
        """
        All actions are read, with the lines on which they stand; the longest name counts.
        """
        found = self.parse(
            "Romeo connects\n\nRomeo's phone connects\nRomeo sends:\n\t<presence/>\n# why\n"
            "Romeo's phone receives: <presence/>\nRomeo receives: nothing\nRomeo receives nothing\n"
            "Romeo  disconnects\n"
        )
        kinds = [Connects, Connects, Sends, Receives, ReceivesNothing, ReceivesNothing, Disconnects]
        self.assertEqual([type(action) for action in found.actions], kinds)
        self.assertEqual([action.line - BODY for action in found.actions], [0, 2, 3, 6, 7, 8, 9])
        names = [action.name for action in found.actions[:4]]
        self.assertEqual(names, ["Romeo", "Romeo's phone", "Romeo", "Romeo's phone"])

    def test_stanzasAndTheirLines(self) -> None:
        """
        A block can hold several stanzas, with empty lines and comments between them, and each knows its line.
        """
        found = self.parse(
            "Romeo receives:\n\n\t<presence>\n\n\t<show>away</show></presence>\n# more\n\t<iq/> <message/>\n"
        )
        markup = found.actions[0].markup
        self.assertEqual([line - BODY for line in markup.lines], [2, 6, 6])
        stanzas = markup.stanzas(lambda variable: variable)
        tags = [f"{{{ns.CLIENT}}}{name}" for name in ("presence", "iq", "message")]
        self.assertEqual([stanza.tag for stanza in stanzas], tags)

    def test_variables(self) -> None:
        """
        Variables are filled in escaped, in attributes of either quote and in text, for sending and for comparing.
        """
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
        """
        Only newlines end lines, with or without a carriage return; what else Unicode knows stays in the text.
        """
        found = parse((CAST + "Romeo sends:\n\t<a>x\u2028y\x85z</a>\n").replace("\n", "\r\n"))
        (stanza,) = found.actions[0].markup.stanzas(str)
        self.assertEqual(stanza.text, "x\u2028y\x85z")
        self.assertEqual(found.actions[0].markup.lines, [BODY + 1])

    def test_captures(self) -> None:
        """
        A captured value can be used in later blocks, and blocks know what they capture and use.
        """
        found = self.parse(
            "Romeo receives:\n\t<iq id='{scansion:capture:x}'><a> {scansion:capture:y-1} </a></iq>\n"
            "Romeo sends:\n\t<iq id='${x}' a='${Romeo's JID}'/>\n"
        )
        first, second = (action.markup for action in found.actions)
        self.assertEqual((first.captures, first.uses), ({"x", "y-1"}, set()))
        self.assertEqual((second.captures, second.uses), (set(), {"x"}))

    def test_streamPrefix(self) -> None:
        """
        A stream error can be expected: the prefixes C{stream} and C{scansion} need no declaration.
        """
        found = self.parse("Romeo receives:\n\t<stream:error scansion:strict='false'/>\n")
        (stanza,) = found.actions[0].markup.stanzas(str)
        self.assertEqual(stanza.tag, f"{{{ns.STREAM}}}error")
        self.assertEqual(stanza.get(STRICT), "false")

    def test_badCast(self) -> None:
        """
        What is wrong above the line of dashes is told with its line.
        """
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
        self.fails("[Client] A\n\tjid: a@b\n\tjid: a@b\n-----\n", 3, "twice")
        self.fails("[Client] A\n\tpassword: p\n\tjid: @b\n-----\n", 3, "'A'", "empty localpart")
        self.fails("[Client] A\n\tpassword: p\n\tjid: b\n-----\n", 3, "no localpart")
        self.fails("[Client] A\n\tjid: a@b\n\tpassword: p\n\tresource: \x07\n-----\n", 4, "resourcepart")
        self.fails("[Client] A\n\tjid: a@b/c\n\tresource: d\n\tpassword: p\n-----\n", 3, "already")
        for port in ("0", "65536", "x", "-1", "٣"):
            self.fails(f"[Client] A\n\tjid: a@b\n\tpassword: p\n\tconnect_port: {port}\n-----\n", 4, "port")
        one = "[Client] A\n\tjid: a@b\n\tpassword: p\n"
        self.fails(f"{one}{one}-----\n", 4, "'A' already")

    def test_badActions(self) -> None:
        """
        Actions that nobody can do are told with their lines and with what there is.
        """
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
        """
        Broken XML is told with the line inside the block; text outside of stanzas is no XML to send.
        """
        self.actionFails("Romeo sends:\n\t<presence>\n\t<x></y>\n\t</presence>\n", 3, "no XML")
        self.actionFails("Romeo sends:\n# comment\n\t<presence>\n", 3, "no XML")
        self.actionFails("Romeo sends:\n\t<a:b/>\n", 2, "no XML", "a")
        self.actionFails("Romeo sends:\n\t<a>&foo;</a>\n", 2, "no XML")
        self.actionFails("Romeo sends:\n\t</play>\n", 2, "no XML")
        self.actionFails("Romeo receives: something\n", 1, "outside")
        self.actionFails("Romeo receives:\n\t<a/> and <b/>\n", 2, "outside")
        self.actionFails("Romeo sends:\n\t<!-- nothing -->\n", 2, "no stanza")

    def test_badVariables(self) -> None:
        """
        A variable that nothing gives a value to is refused, with the line on which it stands.
        """
        self.actionFails("Romeo sends:\n\t<a\n\tb='${Julia's JID}'/>\n", 3, "${Julia's JID}")
        self.actionFails("Romeo sends:\n\t<a b='${Romeo's shoe}'/>\n", 2, "${Romeo's shoe}")
        self.actionFails("Romeo sends:\n\t<a b='${x}'/>\n", 2, "${x}", "captures")
        self.actionFails("Romeo sends:\n\t<a b='${x'/>\n", 2, "without its '}'")
        self.actionFails("Romeo receives:\n\t<a b='{scansion:capture:x}' c='${x}'/>\n", 2, "${x}")

    def test_badPlaceholders(self) -> None:
        """
        Placeholders are known ones, whole values and only in what is received; likewise C{scansion:strict}.
        """
        self.actionFails("Romeo receives:\n\t<a b='{scansion:some}'/>\n", 2, "{scansion:some}", "{scansion:any}")
        self.actionFails("Romeo receives:\n\t<a b='{scansion:capture:}'/>\n", 2, "{scansion:capture:}")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b>{scansion:any</b></a>\n", 3, "{scansion:any")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b c='x{scansion:any}'/></a>\n", 3, "whole value")
        self.actionFails("Romeo receives:\n\t<a>x {scansion:any}</a>\n", 2, "whole value")
        self.actionFails("Romeo sends:\n\t<a b='{scansion:any}'/>\n", 2, "cannot be sent")
        self.actionFails("Romeo sends:\n\t<a scansion:strict='true'/>\n", 2, "received only")
        self.actionFails("Romeo receives:\n\t<a>\n\t<b scansion:strict='maybe'/></a>\n", 3, "'true' or 'false'")

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [*CAST.splitlines(), "Romeo sends:", "Romeo receives: nothing", "\t<a>", "\t</a>", "\t<b c='${x}'/>"]
            )
            | st.text(max_size=20),
            max_size=12,
        )
    )
    def test_anyText(self, lines: list[str]) -> None:
        """
        Whatever the text is, it is read or refused with a line that it has, and nothing else happens.
        """
        text = "\n".join(lines)
        try:
            parse(text)
        except ScriptError as e:
            self.assertTrue(1 <= e.line <= text.count("\n") + 1, str(e))


class NameTests(SynchronousTestCase):
    """
    The small words of the language.
    """

    def test_askedOf(self) -> None:
        """
        A variable asks one character for one property.
        """
        self.assertEqual(askedOf("A", "A's full JID"), "full JID")
        self.assertEqual(askedOf("A", "A's JID"), "JID")
        self.assertEqual(askedOf("A's b", "A's b's resource"), "resource")
        self.assertIsNone(askedOf("A", "A's b's resource"))
        self.assertIsNone(askedOf("A", "x"))

    def test_capturedName(self) -> None:
        """
        Only a whole placeholder captures.
        """
        self.assertEqual(capturedName("{scansion:capture:first}"), "first")
        for value in ("{scansion:any}", "{scansion:capture:a b}", "{scansion:capture:x}!", ""):
            self.assertIsNone(capturedName(value))


class LoadTests(SynchronousTestCase):
    """
    Reading files.
    """

    def test_load(self) -> None:
        """
        A file is read as UTF-8, with or without a byte order mark.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"\xef\xbb\xbf" + CAST.replace("lovers", "l\u00f8vers").encode())
        found = script.load(path)
        self.assertEqual((found.source, found.title), (path, "Of two l\u00f8vers"))

    def test_notUTF8(self) -> None:
        """
        Bytes that are no UTF-8 are told with their line.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"# a\n# \xff\n")
        error = self.assertRaises(ScriptError, script.load, path)
        self.assertEqual(error.line, 2)

    def test_ownPlays(self) -> None:
        """
        Every play of this project is understood and has a title.
        """
        folder = Path(__file__).parent.parent / "scenarios"
        plays = sorted(folder.glob("*.scs"))
        self.assertTrue(plays)
        for play in plays:
            found = script.load(str(play))
            self.assertTrue(found.title and found.actions, play.name)
