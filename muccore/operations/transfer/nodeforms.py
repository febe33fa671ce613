# -*- test-case-name: tests.operations.transfer.test_nodeparts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The configuration of nodes as forms in documents (XEP-0227 §4.10, XEP-0060 §16.4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from muccore.pubsub.model.configuration import (
    OPTIONS,
    WHITELIST,
    Limits,
    NodeConfiguration,
    toStored,
)
from muccore.pubsub.model.optionkinds import Flag, Names
from muccore.pubsub.pepdefaults import defaultsFor
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

_PREFIX: Final = "pubsub#"
_BY_VAR: Final = {_PREFIX + option.name: option for option in OPTIONS}
_GREATEST: Final = 2**31
_LIMITS: Final = Limits(_GREATEST, _GREATEST, _GREATEST, None)
"""What is above the limits of a server is kept: they may be raised, and nodes never have more than they allow."""

_FLAGS: Final[Mapping[str, bool]] = {"1": True, "true": True, "0": False, "false": False}
_UNLIMITED: Final = (f"{_PREFIX}max_payload_size", ["max"])
"""What no form says: it is without the field."""


def formOf(configuration: Mapping[str, Sequence[str]]) -> Element:
    """The form of a configuration that was stored."""
    x = Element((ns.DATA, "x"), None, {"type": "form"})
    x.add("field", var=dataforms.FORM_TYPE, type="hidden").add("value", text=ns.PUBSUB_NODE_CONFIG)
    for name, values in configuration.items():
        if (_PREFIX + name, list(values)) != _UNLIMITED:
            field = x.add("field", var=_PREFIX + name)
            for value in values:
                field.add("value", text=value)
    return x


def configurationIn(node: str, x: Element | None) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """
    Read the configuration of a node of a user from a form.

    @param node: its name, by which it has what the form does not say.
    @param x: the form; C{None} if there is none.
    @return: what is stored of it, and the fields that cannot be understood, each with the reason. Without an access
        model that is known, nobody else has access.
    """
    configuration = defaultsFor(node)
    problems = []
    for field in () if x is None else x.childElements():
        var = field.get("var") or ""
        if field.name != "field" or var == dataforms.FORM_TYPE:
            continue
        try:
            configuration = _with(configuration, var, [each.text() for each in field.childElements()
                                                       if each.name == "value"])  # fmt: skip
        except StanzaError as e:
            problems.append((var, e.text or e.condition))
            if var == f"{_PREFIX}access_model":
                configuration = replace(configuration, accessModel=WHITELIST)
    if configuration.purgeOffline and configuration.publishModel != "publishers":
        configuration = replace(configuration, purgeOffline=False)
        problems.append((f"{_PREFIX}purge_offline", "only publishers may publish to nodes with it"))
    return toStored(configuration), problems


def _with(configuration: NodeConfiguration, var: str, values: list[str]) -> NodeConfiguration:
    """A configuration with the value of a field; L{StanzaError} if it is none."""
    option = _BY_VAR.get(var)
    if option is None:
        raise StanzaError("not-acceptable", text="this server does not know it")
    value: Any = values
    if not isinstance(option.kind, Names):
        if len(values) > 1:
            raise StanzaError("not-acceptable", text="it has several values")
        value = "".join(values)
    if isinstance(option.kind, Flag):
        if value not in _FLAGS:
            raise StanzaError("not-acceptable", text="it is neither true nor false")
        value = _FLAGS[value]
    allowed = [each for each, _ in option.field.options]
    if allowed and value not in allowed:
        raise StanzaError("not-acceptable", text=f"this server does not know {str(value)[:40]!r}")
    return replace(configuration, **{option.attribute: option.kind.read(var, value, _LIMITS)})
