# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.dataforms}."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.dataforms import Field, submitted
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from tests.routing.helpers import canonical, xml

FIELDS = [
    Field("fixed", None),
    Field("fixed", "heading"),
    Field("boolean", "flag", "A flag"),
    Field("text-single", "name"),
    Field("text-private", "secret"),
    Field("list-single", "choice", options=(("a", "First"), ("b", "Second"))),
    Field("list-single", "count", options=(("10", "Ten"),), open=True),
    Field("list-multi", "some", options=(("x", "X"), ("y", "Y"))),
    Field("jid-multi", "who"),
    Field("jid-single", "one"),
    Field("text-multi", "lines"),
    Field("hidden", "token"),
    Field("text-single", "number", bounds=(-5, 60)),
]


def x(inside: str, type: str = "submit", formType: str | None = "ns") -> Element:
    """A submitted form."""
    head = "" if formType is None else f"<field var='FORM_TYPE' type='hidden'><value>{formType}</value></field>"
    return xml(f"<x xmlns='jabber:x:data' type='{type}'>{head}{inside}</x>")


def read(inside: str, **more: Any) -> Mapping[str, Any] | None:
    """Read a submitted form."""
    return submitted(x(inside, **more), "ns", FIELDS)


def field(var: str, *values: str) -> str:
    """A field of a submitted form."""
    return f"<field var='{var}'>{''.join(f'<value>{value}</value>' for value in values)}</field>"


class BuildTests(SynchronousTestCase):
    """L{dataforms.form}"""

    def test_form(self) -> None:
        """A form has all parts of its fields, in the order of the schema (XEP-0004 §3)."""
        made = dataforms.form(
            "form",
            "ns",
            [
                (Field("fixed", None), "Heading"),
                (Field("boolean", "flag", "A flag", desc="Why"), True),
                (Field("boolean", "other"), False),
                (Field("text-single", "name", required=True), "<x>"),
                (Field("text-private", "secret"), None),
                (Field("list-single", "choice", options=(("a", "First"), ("b", "Second"))), "b"),
                (Field("jid-multi", "who"), [jid.parse("a@b"), jid.parse("c@d")]),
            ],
            "Title",
            ["Do", "this"],
        )
        self.assertEqual(
            canonical(made),
            canonical(
                "<x xmlns='jabber:x:data' type='form'><title>Title</title>"
                "<instructions>Do</instructions><instructions>this</instructions>"
                "<field type='hidden' var='FORM_TYPE'><value>ns</value></field>"
                "<field type='fixed'><value>Heading</value></field>"
                "<field type='boolean' var='flag' label='A flag'><desc>Why</desc><value>1</value></field>"
                "<field type='boolean' var='other'><value>0</value></field>"
                "<field type='text-single' var='name'><required/><value>&lt;x></value></field>"
                "<field type='text-private' var='secret'/>"
                "<field type='list-single' var='choice'><value>b</value>"
                "<option label='First'><value>a</value></option><option label='Second'><value>b</value></option>"
                "</field>"
                "<field type='jid-multi' var='who'><value>a@b</value><value>c@d</value></field></x>"
            ),
        )
        self.assertIsInstance(made, Element)

    def test_result(self) -> None:
        """A result has no options and nothing required."""
        made = dataforms.form(
            "result", "ns", [(Field("list-single", "choice", options=(("a", "A"),), required=True), "a")]
        )
        self.assertEqual(
            canonical(made),
            canonical(
                "<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'><value>ns</value></field>"
                "<field type='list-single' var='choice'><value>a</value></field></x>"
            ),
        )

    def test_bounds(self) -> None:
        """The bounds of a number are in a form (XEP-0122 §3.2.2), before its value, and not in a result."""
        field = Field("text-single", "n", "N", bounds=(0, 60), desc="Why")
        expected = (
            "<field xmlns='jabber:x:data' type='text-single' var='n' label='N'><desc>Why</desc>"
            "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>"
            "<range min='0' max='60'/></validate><value>5</value></field>"
        )
        made = list(dataforms.form("form", "ns", [(field, "5")]).childElements())
        self.assertEqual(canonical(made[1]), canonical(expected))
        [_, shown] = dataforms.form("result", "ns", [(field, "5")]).childElements()
        self.assertEqual([child.name for child in shown.childElements()], ["value"])

    def test_invalidField(self) -> None:
        """A field with an unknown type or without a name is refused."""
        self.assertRaises(ValueError, Field, "number", "a")
        self.assertRaises(ValueError, Field, "boolean", None)

    def test_find(self) -> None:
        """A form is found in a payload by its namespace."""
        self.assertIsNone(dataforms.find(xml("<query xmlns='q'><x/></query>")))
        found = dataforms.find(xml("<query xmlns='q'><x/><x xmlns='jabber:x:data' type='cancel'/></query>"))
        assert found is not None
        self.assertEqual(found.uri, ns.DATA)

    def test_table(self) -> None:
        """A table has its columns, and a field for each in every item, with a value if there is one (§3.4)."""
        made = dataforms.table(
            "Title",
            (Field("jid-single", "who", "Who", required=True), Field("text-single", "n", "N")),
            [("a@b", "1"), ("c@d", "")],
        )
        self.assertEqual(
            canonical(made),
            canonical(
                "<x xmlns='jabber:x:data' type='result'><title>Title</title><reported>"
                "<field var='who' type='jid-single' label='Who'/>"
                "<field var='n' type='text-single' label='N'/></reported>"
                "<item><field var='who'><value>a@b</value></field><field var='n'><value>1</value></field></item>"
                "<item><field var='who'><value>c@d</value></field><field var='n'/></item></x>"
            ),
        )


class ReadTests(SynchronousTestCase):
    """L{submitted}"""

    def assertRefused(self, condition: str, inside: str, **more: Any) -> str | None:
        """The form is refused with a condition, and with the returned text."""
        error = self.assertRaises(StanzaError, read, inside, **more)
        self.assertEqual(error.condition, condition)
        return error.text

    def test_everyType(self) -> None:
        """Every value has the type of its field, whatever type the sender states."""
        self.assertEqual(
            read(
                "<field var='flag' type='text-single'><value>true</value></field>"
                + field("name", "A &amp; B")
                + field("secret", "s")
                + field("choice", "b")
                + field("count", "17")
                + field("some", "y", "x", "y")
                + field("who", "A@b", "c@d")
                + field("one", "e@f/g")
                + field("lines", "1", "", "2")
                + field("token", "t")
            ),
            {
                "flag": True,
                "name": "A & B",
                "secret": "s",
                "choice": "b",
                "count": "17",
                "some": ("y", "x"),
                "who": (jid.parse("a@b"), jid.parse("c@d")),
                "one": jid.parse("e@f/g"),
                "lines": ("1", "", "2"),
                "token": "t",
            },
        )

    def test_booleans(self) -> None:
        """Booleans have the four spellings of XML Schema."""
        for text, value in (("0", False), ("false", False), ("1", True), ("true", True)):
            self.assertEqual(read(field("flag", text)), {"flag": value})
        for text in ("", "yes", "TRUE", "2"):
            self.assertRefused("not-acceptable", field("flag", text))

    def test_valueInPieces(self) -> None:
        """A value is all the text of its element, even if parsed in pieces."""
        form = x(field("name", ""))
        value = list(form.childElements())[1].child("value")
        assert value is not None
        value.children.extend(["a", "&", "b"])
        self.assertEqual(submitted(form, "ns", FIELDS), {"name": "a&b"})

    def test_missing(self) -> None:
        """Missing fields (XEP-0004 §3.5) and unknown ones (§3.2) are not in the result."""
        other = "<title>T</title><field xmlns='urn:other' var='flag'><value>1</value></field>"
        self.assertEqual(read(other + field("unknown", "1") + field("name", "n")), {"name": "n"})

    def test_emptied(self) -> None:
        """A field without a value is an empty text, an empty list or C{None}."""
        self.assertEqual(
            read(field("name") + field("who", "", " ") + field("one", "") + field("lines")),
            {"name": "", "who": (), "one": None, "lines": ()},
        )

    def test_fixedIsNotRead(self) -> None:
        """Fixed fields are ignored."""
        self.assertEqual(read("<field type='fixed'><value>H</value></field>" + field("heading", "x")), {})

    def test_cancelled(self) -> None:
        """A cancelled form has no values."""
        self.assertIsNone(read(field("flag", "?"), type="cancel"))

    def test_noFormType(self) -> None:
        """A form without C{FORM_TYPE} is valid (XEP-0068)."""
        self.assertEqual(read(field("name", "n"), formType=None), {"name": "n"})

    def test_otherForm(self) -> None:
        """Another C{FORM_TYPE}, other types of forms and other elements are refused."""
        self.assertRefused("bad-request", field("name", "n"), formType="other")
        self.assertRefused("bad-request", "", formType="other")
        self.assertRefused("bad-request", "", formType="")
        for type in ("form", "result", ""):
            self.assertRefused("bad-request", "", type=type)
        for form in ("<x xmlns='jabber:x:data'/>", "<x type='submit'/>", "<y xmlns='jabber:x:data' type='submit'/>"):
            error = self.assertRaises(StanzaError, submitted, xml(form), "ns", FIELDS)
            self.assertEqual(error.condition, "bad-request")

    def test_malformed(self) -> None:
        """Fields without a name, repeated fields and surplus values are refused; the text names the field."""
        self.assertRefused("bad-request", "<field><value>1</value></field>")
        twice = self.assertRefused("bad-request", field("name", "a") + field("name", "b"))
        self.assertEqual(twice, "name: given twice")
        self.assertRefused("bad-request", field("unknown", "a") + field("unknown", "b"))
        for var in ("flag", "name", "secret", "choice", "one", "token"):
            several = self.assertRefused("bad-request", field(var, "1", "1"))
            self.assertEqual(several, f"{var}: takes one value, not several")

    def test_notAcceptable(self) -> None:
        """Values that are not options or JIDs are refused."""
        self.assertRefused("not-acceptable", field("choice", "c"))
        self.assertRefused("not-acceptable", field("choice"))
        self.assertRefused("not-acceptable", field("some", "x", "z"))
        self.assertRefused("not-acceptable", field("who", "a@b", "@"))
        self.assertRefused("not-acceptable", field("one", "a b@c"))

    def test_numbers(self) -> None:
        """A number within its bounds is written in digits; anything else is refused, with the reason."""
        for value, expected in (("7", "7"), (" +07\n", "7"), ("-5", "-5"), ("60", "60"), ("000000", "0")):
            self.assertEqual(read(field("number", value)), {"number": expected})
        for value, why in (
            ("61", "from -5 to 60"), ("-6", "from -5 to 60"), ("9" * 5000, "from -5 to 60"), ("", "whole number"),
            ("1.5", "whole number"), ("1_0", "whole number"), ("\N{FULLWIDTH DIGIT SEVEN}", "whole number"),
        ):  # fmt: skip
            text = self.assertRefused("not-acceptable", field("number", value))
            self.assertIn(f"number: not {'a ' * ('whole' in why)}{why}", str(text))

    def test_duplicateJIDs(self) -> None:
        """Duplicate JIDs are ignored, compared after preparation (XEP-0004 §3.3)."""
        self.assertEqual(read(field("who", "a@b", "A@B")), {"who": (jid.parse("a@b"),)})

    def test_required(self) -> None:
        """A required field must not be empty or missing."""
        fields = [Field("text-single", "nick", required=True), Field("text-single", "name")]
        for inside in (field("nick", ""), field("nick"), field("name", "x")):
            error = self.assertRaises(StanzaError, submitted, x(inside), "ns", fields)
            self.assertEqual((error.condition, "nick" in str(error.text)), ("not-acceptable", True))
        self.assertEqual(submitted(x(field("nick", "n")), "ns", fields), {"nick": "n"})

    def test_withDefaults(self) -> None:
        """A form without fields is valid, even if some are required (XEP-0045 §10.1.2)."""
        self.assertEqual(submitted(x("", formType=None), "ns", [Field("text-single", "nick", required=True)]), {})

    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*(f.var for f in FIELDS), "FORM_TYPE", "other"]),
                st.lists(st.one_of(st.text(max_size=8), st.sampled_from(["1", "a@b", "ns"])), max_size=3),
            ),
            max_size=6,
        )
    )
    def test_anything(self, content: list[tuple[str | None, list[str]]]) -> None:
        """Any content is a result or L{StanzaError}."""
        form = Element((ns.DATA, "x"), None, {"type": "submit"})
        for var, values in content:
            element = form.add("field", **({} if var is None else {"var": var}))
            for value in values:
                element.add("value", text=value)
        try:
            self.assertIsInstance(submitted(form, "ns", FIELDS), dict)
        except StanzaError as e:
            self.assertIn(e.condition, ("bad-request", "not-acceptable"))
