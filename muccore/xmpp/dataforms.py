# -*- test-case-name: tests.xmpp.test_dataforms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Data forms (XEP-0004, XEP-0068): building them, and reading what comes back.

Forms are built with wokkel's C{data_form}. What comes back is read here, against the fields that the form had: the
sender's own idea of a field's type is not believed, a value is all the text of its element however the parser has cut
it, and whatever is wrong with it becomes a L{StanzaError}.
"""

from __future__ import annotations

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
    Spec(4, "Data Forms", "2.13.2", "Forms in the server's own protocols; nothing is reported in tables."),
    Spec(68, "Field Standardization for Data Forms", "1.3.0"),
)

FORM_TYPE: Final = "FORM_TYPE"

Value = bool | str | JID | Sequence[str] | Sequence[JID] | None

_LISTS: Final = frozenset(["jid-multi", "list-multi", "text-multi"])
_TYPES: Final = _LISTS | {"boolean", "fixed", "hidden", "jid-single", "list-single", "text-private", "text-single"}
_FIELD_ORDER: Final = {"desc": 0, "required": 1, "value": 2, "option": 3}
_BOOLEANS: Final = {"0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True)
class Field:
    """
    A field of a form, without its value.

    @ivar type: one of the types of XEP-0004 §3.3.
    @ivar var: its name; C{None} for a C{fixed} one.
    @ivar label: what people read.
    @ivar options: what a list offers, as C{(value, label)}.
    @ivar open: whether a C{list-single} takes other values than its options.
    @ivar required: whether it has to be filled in.
    @ivar desc: a longer explanation, or C{None}.
    """

    type: str
    var: str | None
    label: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    open: bool = False
    required: bool = False
    desc: str | None = None

    def __post_init__(self) -> None:
        if self.type not in _TYPES:
            raise ValueError(f"no field type of XEP-0004: {self.type}")
        if self.var is None and self.type != "fixed":
            raise ValueError("only a fixed field may have no name")


def form(
    type: str,
    namespace: str,
    fields: Iterable[tuple[Field, Value]],
    title: str | None = None,
    instructions: Sequence[str] = (),
) -> Element:
    """
    Build C{<x xmlns='jabber:x:data'/>}.

    @param type: C{"form"} to be filled in, C{"result"} to be shown.
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
        # wokkel writes bools as words. Old clients read 0 and 1 only, and every client reads those.
        values = ["1" if v is True else "0" if v is False else str(v) for v in values]
        options = [data_form.Option(option, label) for option, label in field.options]
        made.addField(
            _Typed(field.type, field.var, None, values, options, field.label, field.desc, field.required)
        )
    element = copyOf(made.toElement())
    for child in element.childElements():
        child.children.sort(key=_inField)
    return element


def _inField(child: Element) -> int:
    """Where a child of a field stands by the schema (XEP-0004 §9); wokkel writes them in another order."""
    return _FIELD_ORDER.get(child.name, len(_FIELD_ORDER)) if isinstance(child, Element) else -1


class _Typed(data_form.Field):  # type: ignore[misc]
    """
    A field whose values are text already. wokkel's check would turn booleans into words again and prepare every JID a
    second time.
    """

    def typeCheck(self) -> None:
        """Nothing to check: L{Field} has done it."""


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
            raise _bad("a field is given twice")
        values[var] = [
            child.text() for child in element.childElements() if child.uri == ns.DATA and child.name == "value"
        ]
    return values


def _jid(field: Field, text: str) -> JID:
    try:
        return jid.parse(text.strip())
    except jid.InvalidJID as e:
        raise _unacceptable(field, f"not a JID: {e}") from None


def _typed(field: Field, values: list[str]) -> Value:
    """The values of one field in the field's own type."""
    if field.type in _LISTS:
        if field.type == "jid-multi":
            # Duplicates are ignored, empty lines of an input box too (XEP-0004 §3.3).
            return tuple(dict.fromkeys(_jid(field, value) for value in values if value.strip()))
        if field.type == "list-multi":
            allowed = {value for value, _ in field.options}
            if not field.open and not allowed.issuperset(values):
                raise _unacceptable(field, "not one of the options")
            return tuple(dict.fromkeys(values))
        return tuple(values)
    if len(values) > 1:
        raise _bad("a field that takes one value has several")
    value = values[0] if values else ""
    if field.type == "boolean":
        try:
            return _BOOLEANS[value.strip()]
        except KeyError:
            raise _unacceptable(field, "neither true nor false") from None
    if field.type == "jid-single":
        return _jid(field, value) if value.strip() else None
    if field.type == "list-single" and not field.open and value not in (option for option, _ in field.options):
        raise _unacceptable(field, "not one of the options")
    return value


def submitted(x: Element, namespace: str, fields: Iterable[Field]) -> Mapping[str, Value] | None:
    """
    Read a form that was sent back.

    Fields that are not among C{fields} are ignored, and those that were left out are left out here (XEP-0004 §3.2,
    §3.5). A C{fixed} field is never read.

    @param x: the form.
    @param namespace: the C{FORM_TYPE} it has to have, if it has one (XEP-0068: forms without it are old, not wrong).
    @param fields: those of the form that was sent out.
    @return: values by name: C{bool}, C{str}, L{JID}, a tuple for a C{-multi} field, or C{None} for an empty
        C{jid-single}; C{None} instead of all this if the form was cancelled.
    @raise StanzaError: C{bad-request} if it is no submission of this form; C{not-acceptable} for a value that may not
        be, and for a required field that was emptied or left out. A form without any field is complete: so an owner
        accepts a room with its defaults (XEP-0045 §10.1.2).
    """
    type = x.get("type")
    if (x.uri, x.name) != (ns.DATA, "x") or type not in ("submit", "cancel"):
        raise _bad("a data form of type submit or cancel is expected")
    if type == "cancel":
        return None
    given = _submittedValues(x)
    formType = given.pop(FORM_TYPE, None)
    if formType is not None and formType != [namespace]:
        raise _bad(f"the FORM_TYPE has to be {namespace}")
    values: dict[str, Value] = {}
    for field in fields:
        if field.type == "fixed" or field.var is None:
            continue
        if field.var in given:
            values[field.var] = _typed(field, given[field.var])
        if field.required and given and values.get(field.var) in (None, "", ()):
            raise _unacceptable(field, "has to be filled in")
    return values
