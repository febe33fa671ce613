# -*- test-case-name: tests.muc.protocol.test_presence_entering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The message with a room's subject, for those who enter (XEP-0045 §7.2.15)."""

from __future__ import annotations

from muccore.interfaces import Subject
from muccore.muc.model.sanitize import LANG
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import stanza
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered


def subjectMessage(room: JID, subject: Subject | None, stamps: bytes) -> Rendered:
    """
    Make the message: from the author of the subject, with its language and time; an empty one if there was none.

    @param room: the address of the room.
    @param stamps: the elements of extensions in everything from the author, rendered.
    """
    if subject is None:
        message = stanza("message", "groupchat", from_=room.bare)
        message.add("subject")
        return Rendered.of(message)
    message = stanza("message", "groupchat", from_=f"{room.bare}/{subject.nick}" if subject.nick else room.bare)
    if subject.language is not None:
        message.attributes[LANG] = subject.language
    message.add("subject", text=subject.text)
    message.add("delay", ns.DELAY, **{"from": room.bare, "stamp": stamp(subject.stamp)})
    rendered = Rendered.of(message)
    return rendered.extended(stamps) if stamps else rendered
