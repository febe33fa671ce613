# -*- test-case-name: tests.xmpp.test_dataforms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Data forms (XEP-0004, XEP-0068): building them, and reading submissions.

Forms are built with wokkel's C{data_form}. Submissions are read here, against the fields of the form: field types that
the sender states are ignored, and errors become L{StanzaError}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wokkel import data_form

from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, copyOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

implements = (
    Spec(4, "Data Forms", "2.13.2", "Forms in the server's own protocols."),
    Spec(68, "Field Standardization for Data Forms", "1.3.0"),
    Spec(122, "Data Forms Validation", "1.0.2", "Ranges of whole numbers."),
)

FORM_TYPE: Final = "FORM_TYPE"

Value = bool | str | JID | Sequence[str] | Sequence[JID] | None

_LISTS: Final = frozenset(["jid-multi", "list-multi", "text-multi"])
_TYPES: Final = _LISTS | {"boolean", "fixed", "hidden", "jid-single", "list-single", "text-private", "text-single"}
_FIELD_ORDER: Final = {"desc": 0, "required": 1, "validate": 2, "value": 3, "option": 4}
_INTEGER: Final = re.compile("[+-]?[0-9]+")
_DIGITS_LIMIT: Final = 18
"""Digits of a number that is read at all."""
_BOOLEANS: Final = {"0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True)
class Field:
    """
    A field of a form, without its value.

    @ivar type: one of the types of XEP-0004 §3.3.
    @ivar var: its name; C{None} for a C{fixed} one.
    @ivar label: its name for people.
    @ivar options: the options of a list, as C{(value, label)}.
    @ivar open: whether a list accepts values that are not among its options.
    @ivar required: whether it must be filled in.
    @ivar desc: a longer explanation, or C{None}.
    @ivar bounds: the least and the greatest value of a whole number (XEP-0122); C{None} for other values.
    """

    type: str
    var: str | None
    label: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    open: bool = False
    required: bool = False
    desc: str | None = None
    bounds: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.type not in _TYPES:
            raise ValueError(f"not a field type of XEP-0004: {self.type}")
        if self.var is None and self.type != "fixed":
            raise ValueError("only a fixed field may lack a name")


def form(
    type: str,
    namespace: str,
    fields: Iterable[tuple[Field, Value]],
    title: str | None = None,
    instructions: Sequence[str] = (),
) -> Element:
    """
    Build C{<x xmlns='jabber:x:data'/>}.

    @param type: C{"form"} to be filled in, C{"result"} to be displayed.
    @param namespace: its C{FORM_TYPE}.
    @param fields: each field with its value: C{bool}, C{str}, L{JID}, a sequence of C{str} or L{JID} for a C{-multi}
        field, or C{None} for none.
    """
    made = data_form.Form(type, title, list(instructions), namespace)
    for field, value in fields:
        values: list[Any]
        if value is None:
            values = []
        elif isinstance(value, (bool, str, JID)):
            values = [value]
        else:
            values = list(value)
        # wokkel writes booleans as words; old clients read 0 and 1 only.
        values = ["1" if v is True else "0" if v is False else str(v) for v in values]
        options = [data_form.Option(option, label) for option, label in field.options]
        text = _TextField(field.type, field.var, None, values, options, field.label, field.desc, field.required)
        text.bounds = field.bounds
        made.addField(text)
    element = copyOf(made.toElement())
    for child in element.childElements():
        child.children.sort(key=_fieldPosition)
    return element


def table(title: str, fields: Sequence[Field], rows: Iterable[Sequence[str]]) -> Element:
    """
    Build a form of type C{result} with items (XEP-0004 §3.4).

    @param fields: the columns.
    @param rows: the value for each, C{""} for none.
    """
    made = Element((ns.DATA, "x"), None, {"type": "result"})
    made.add("title", text=title)
    reported = made.add("reported")
    for field in fields:
        reported.add("field", var=field.var or "", type=field.type, label=field.label or "")
    for row in rows:
        item = made.add("item")
        for field, value in zip(fields, row, strict=True):
            cell = item.add("field", var=field.var or "")
            if value:
                cell.add("value", text=value)
    return made


def _fieldPosition(child: Element) -> int:
    """Position of a field's child by the schema (XEP-0004 §9); wokkel's order differs."""
    return _FIELD_ORDER.get(child.name, len(_FIELD_ORDER)) if isinstance(child, Element) else -1


class _TextField(data_form.Field):  # type: ignore[misc]
    """A field whose values are text; wokkel's check would convert booleans and prepare JIDs again."""

    bounds: tuple[int, int] | None = None

    def typeCheck(self) -> None:
        """Check nothing."""

    def toElement(self, asForm: bool = False) -> Any:
        """Build it, in a form with its bounds (XEP-0122 §3.2.2)."""
        made = super().toElement(asForm)
        if asForm and self.bounds is not None:
            validate = made.addElement((ns.DATA_VALIDATE, "validate"))
            validate["datatype"] = "xs:integer"
            least, greatest = self.bounds
            bounds = validate.addElement("range")
            bounds["min"], bounds["max"] = str(least), str(greatest)
        return made


def find(parent: Element) -> Element | None:
    """The data form in a payload, or C{None}."""
    return parent.child("x", ns.DATA)


def _bad(text: str) -> StanzaError:
    return StanzaError("bad-request", text=text)


def _unacceptable(field: Field, text: str) -> StanzaError:
    return StanzaError("not-acceptable", text=f"{field.var}: {text}")


def _submittedValues(x: Element) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for element in x.childElements():
        if element.uri != ns.DATA or element.name != "field":
            continue
        var = element.get("var")
        if var is None:
            if element.get("type") == "fixed":
                continue
            raise _bad("a field has no name")
        if var in values:
            raise _bad(f"{var[:64]}: given twice")
        values[var] = [
            child.text() for child in element.childElements() if child.uri == ns.DATA and child.name == "value"
        ]
    return values


def _jid(field: Field, text: str) -> JID:
    try:
        return jid.parse(text.strip())
    except jid.InvalidJID as e:
        raise _unacceptable(field, f"not a JID: {e}") from None


def _number(field: Field, text: str, least: int, greatest: int) -> str:
    """Check a whole number, and write it in decimal digits."""
    if not _INTEGER.fullmatch(text):
        raise _unacceptable(field, "not a whole number")
    if len(text) > _DIGITS_LIMIT or not least <= int(text) <= greatest:
        raise _unacceptable(field, f"not from {least} to {greatest}")
    return str(int(text))


def _convert(field: Field, values: list[str]) -> Value:
    """Convert the values of a field to its type."""
    if field.type in _LISTS:
        if field.type == "jid-multi":
            # Duplicates and the empty lines of an input box are ignored (XEP-0004 §3.3).
            return tuple(dict.fromkeys(_jid(field, value) for value in values if value.strip()))
        if field.type == "list-multi":
            allowed = {value for value, _ in field.options}
            if not field.open and not allowed.issuperset(values):
                raise _unacceptable(field, "not one of the options")
            return tuple(dict.fromkeys(values))
        return tuple(values)
    if len(values) > 1:
        raise _bad(f"{field.var}: takes one value, not several")
    value = values[0] if values else ""
    if field.type == "boolean":
        try:
            return _BOOLEANS[value.strip()]
        except KeyError:
            raise _unacceptable(field, "neither true nor false") from None
    if field.type == "jid-single":
        return _jid(field, value) if value.strip() else None
    if field.bounds is not None:
        return _number(field, value.strip(), *field.bounds)
    if field.type == "list-single" and not field.open and value not in (option for option, _ in field.options):
        raise _unacceptable(field, "not one of the options")
    return value


def submitted(x: Element, namespace: str, fields: Iterable[Field]) -> Mapping[str, Value] | None:
    """
    Read a submitted form.

    Unknown fields are ignored, missing ones are left out of the result (XEP-0004 §3.2, §3.5). A C{fixed} field is never
    read.

    @param x: the form.
    @param namespace: the C{FORM_TYPE} it must have, if it has one (forms without it are legal: XEP-0068).
    @param fields: those of the form that was sent out.
    @return: values by name: C{bool}, C{str} (digits for a bounded field), L{JID}, a tuple for a C{-multi} field, or
        C{None} for an empty C{jid-single}; C{None} instead of the mapping if the form was cancelled.
    @raise StanzaError: C{bad-request} if it is not a submission of this form; C{not-acceptable} for an invalid value or
        a required field that is empty or missing. A form without fields is complete: it accepts the defaults of a room
        (XEP-0045 §10.1.2).
    """
    type = x.get("type")
    if (x.uri, x.name) != (ns.DATA, "x") or type not in ("submit", "cancel"):
        raise _bad("expected a data form of type submit or cancel")
    if type == "cancel":
        return None
    given = _submittedValues(x)
    formType = given.pop(FORM_TYPE, None)
    if formType is not None and formType != [namespace]:
        raise _bad(f"the FORM_TYPE must be {namespace}")
    values: dict[str, Value] = {}
    for field in fields:
        if field.type == "fixed" or field.var is None:
            continue
        if field.var in given:
            values[field.var] = _convert(field, given[field.var])
        if field.required and given and values.get(field.var) in (None, "", ()):
            raise _unacceptable(field, "must be filled in")
    return values
