# Copyright (c) The muccore authors. See LICENSE for details.
"""Reading whole archives, with clients in the reactor's thread."""

from __future__ import annotations

from lxml import etree

from muccore.xmpp import ns
from tests.endtoend.clients import RoomClient, bounded


def idIn(element: etree._Element, by: str | None = None) -> str | None:
    """The stable id of a message, or of what is copied in one, by an entity or any; C{None} without one."""
    for found in element.iter(f"{{{ns.STANZA_ID}}}stanza-id"):
        if by in (None, found.get("by")):
            return str(found.get("id"))
    return None


async def archivedIds(client: RoomClient, address: str) -> list[str]:
    """The ids in an archive, page by page."""
    found: list[str] = []
    after = ""
    while True:
        client.send(
            f"<iq type='set' to='{address}' id='page'><query xmlns='{ns.MAM}'>"
            f"<set xmlns='{ns.RSM}'><max>100</max>{after}</set></query></iq>"
        )
        page: list[str] = []
        while (element := await bounded(client.next())).get("id") != "page":
            page += [str(result.get("id")) for result in element.iter(f"{{{ns.MAM}}}result")]
        found += page
        [fin] = element.iter(f"{{{ns.MAM}}}fin")
        if fin.get("complete") == "true":
            return found
        after = f"<after>{page[-1]}</after>"
