# Copyright (c) The muccore authors. See LICENSE for details.
"""Everything that users can do which is stored: what they send, and which failures of stores do not concern them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from muccore.xmpp import ns
from tests.muc.muchelpers import CONFIG, ROOM, X, affiliation, form
from tests.server.faultyserver import PASSWORD, FaultyServer

HOST = "conference.localhost"
NEW = f"new@{HOST}"


@dataclass(frozen=True)
class Act:
    """
    Something that is stored.

    @ivar name: what it is called.
    @ivar do: lets a user do it, on a server where L{prepare} was called.
    @ivar by: who does it.
    @ivar prepare: what precedes it.
    @ivar unnoticed: the requests to stores whose failure changes nothing of what anybody is told.
    @ivar certain: with how many of the requests to stores it is done, so that nobody is refused it any more; what
        follows, as at contacts, may be missing, or come later. C{None}: all but what is L{unnoticed}.
    @ivar stays: the kinds of stores that may have something more, of no consequence, though it was refused.
    """

    name: str
    do: Callable[[FaultyServer], object]
    by: str = "romeo"
    prepare: Callable[[FaultyServer], object] = lambda server: None
    unnoticed: frozenset[str] = field(default_factory=frozenset)
    certain: int | None = None
    stays: frozenset[str] = field(default_factory=frozenset)


def iq(type: str, payload: str, to: str = ROOM) -> str:
    """A request."""
    to = f" to='{to}'" if to else ""
    return f"<iq type='{type}' id='q'{to}>{payload}</iq>"


def join(nick: str, room: str = ROOM) -> str:
    """A request to enter."""
    return f"<presence to='{room}/{nick}'>{X}</presence>"


def configuration(room: str = ROOM, **fields: str) -> str:
    """A configuration of a room."""
    named = {CONFIG + name: value for name, value in fields.items()}
    return iq("set", f"<query xmlns='{ns.MUC_OWNER}'>{form(ns.MUC_ROOMCONFIG, named)}</query>", room)


def admin(item: str) -> str:
    """A change of affiliations or roles."""
    return iq("set", f"<query xmlns='{ns.MUC_ADMIN}'>{item}</query>")


def command(node: str, to: str = "localhost", formType: str = ns.ADMIN, **fields: str) -> str:
    """A command with one form."""
    submitted = form(formType, fields)
    return iq("set", f"<command xmlns='{ns.COMMANDS}' node='{node}' action='complete'>{submitted}</command>", to)


def sends(*stanzas: str, by: str = "romeo") -> Callable[[FaultyServer], None]:
    """Let a user send stanzas."""
    return lambda server: server.send(by, *stanzas)


def room(server: FaultyServer) -> None:
    """Romeo's room, which stays, with Juliet in it."""
    server.send("romeo", join("Romeo"), configuration(persistentroom="1"))
    server.send("juliet", join("Juliet"))


def temporary(server: FaultyServer) -> None:
    """Romeo's room, which ends when they leave."""
    server.send("romeo", join("Romeo"), configuration(persistentroom="0"))


def said(server: FaultyServer) -> None:
    """The room, where Juliet has said something."""
    room(server)
    server.send("juliet", f"<message type='groupchat' id='m' to='{ROOM}'><body>magic potions</body></message>")


def moderate(server: FaultyServer) -> None:
    """Romeo retracts that."""
    [*_, id] = server.inner["archive"]._archives[ROOM].items
    inside = f"<retract xmlns='{ns.RETRACT}'/>"
    server.send("romeo", iq("set", f"<moderate xmlns='{ns.MODERATE}' id='{id}'>{inside}</moderate>"))


def retract(server: FaultyServer) -> None:
    """Juliet does."""
    [*_, id] = server.inner["archive"]._archives[ROOM].items
    retraction = f"<retract xmlns='{ns.RETRACT}' id='{id}'/>"
    server.send("juliet", f"<message type='groupchat' id='q' to='{ROOM}'>{retraction}</message>")


def contacts(server: FaultyServer) -> None:
    """Romeo and Juliet see each other's presence."""
    for one, other in (("romeo", "juliet"), ("juliet", "romeo")):
        server.client(other)
        server.send(one, f"<presence type='subscribe' to='{other}@localhost'/>")
        server.send(other, f"<presence type='subscribed' to='{one}@localhost'/>")


def everybody(server: FaultyServer) -> None:
    """Romeo and Juliet are there."""
    server.client("romeo")
    server.client("juliet")


def goAway(server: FaultyServer) -> None:
    """Romeo is not available any more."""
    server.send("romeo", "<presence type='unavailable'/>")
    server.reactor.advance(10)
    server.settle()


def expire(server: FaultyServer) -> None:
    """Forty days go by."""
    for _ in range(5):
        server.reactor.advance(8 * 86400)
        server.settle()


def pubsub(inside: str, part: str = "") -> str:
    """A request to the nodes of the own account."""
    return iq("set", f"<pubsub xmlns='{ns.PUBSUB}{part}'>{inside}</pubsub>", "")


def publish(id: str = "one") -> str:
    """Publish an item, at a node that is created with the first."""
    return pubsub(f"<publish node='masks'><item id='{id}'><mask xmlns='urn:x-masks'/></item></publish>")


def configureNode() -> str:
    """Let fewer items be kept."""
    fields = form(f"{ns.PUBSUB}#node_config", {"pubsub#max_items": "5"})
    return pubsub(f"<configure node='masks'>{fields}</configure>", "#owner")


SLOT = f"<request xmlns='{ns.HTTP_UPLOAD}' filename='mask.png' size='10' content-type='image/png'/>"
PRIVATE = f"<query xmlns='{ns.PRIVATE}'><storage xmlns='storage:bookmarks'><conference jid='a@b'/></storage></query>"
BLOCK = f"<block xmlns='{ns.BLOCKING}'><item jid='tybalt@localhost'/></block>"
ROSTER_SET = f"<query xmlns='{ns.ROSTER}'><item jid='juliet@localhost' name='Juliet'/></query>"
ROSTER_REMOVE = f"<query xmlns='{ns.ROSTER}'><item jid='juliet@localhost' subscription='remove'/></query>"
MESSAGE = "<message type='chat' id='q' to='juliet@localhost'><body>soft</body></message>"
REGISTRATION = f"<query xmlns='{ns.REGISTER}'>{form(ns.MUC_REGISTER, {'muc#register_roomnick': 'Jule'})}</query>"
NEW_PASSWORD = f"<query xmlns='{ns.REGISTER}'><username>romeo</username><password>{PASSWORD}!</password></query>"
NEW_USER = {"accountjid": "tybalt@localhost", "password": PASSWORD, "password-verify": PASSWORD}
JULIET = "juliet@localhost"
INVITATIONS = "urn:x-muccore:invitations"

AUDIT = frozenset(["audit.append"])
CLEANING = frozenset([
    "archive.names", "archive.trim", "archive.expire", "archive.delete", "audit.expire", "rooms.load",
    "uploads.removeExpired",
])  # fmt: skip
TRIM = frozenset(["archive.trim"])
ARCHIVE = frozenset(["archive.append"])

ACTS = (
    Act("create a room", sends(configuration(NEW)), prepare=sends(join("Romeo", NEW))),
    Act("affiliation", sends(admin(affiliation("juliet@localhost", "member"))), prepare=room, unnoticed=AUDIT),
    Act(
        "list of affiliations",
        sends(admin("".join(affiliation(f"u{n}@localhost", "outcast", "spam") for n in range(9)))),
        prepare=room, unnoticed=AUDIT,
    ),
    Act("role", sends(admin("<item nick='Juliet' role='visitor'/>")), prepare=room, unnoticed=AUDIT),
    Act("registration", sends(iq("set", REGISTRATION), by="juliet"), "juliet", room, AUDIT),
    Act(
        "unregistration", sends(iq("set", f"<query xmlns='{ns.REGISTER}'><remove/></query>"), by="juliet"), "juliet",
        lambda server: (room(server), server.send("juliet", iq("set", REGISTRATION))), AUDIT,
    ),
    Act("configuration", sends(configuration(membersonly="1")), prepare=room, unnoticed=AUDIT),
    Act(
        "subject", sends(f"<message type='groupchat' id='q' to='{ROOM}'><subject>Masks</subject></message>"),
        prepare=room, unnoticed=ARCHIVE,
    ),
    Act(
        "destruction", sends(iq("set", f"<query xmlns='{ns.MUC_OWNER}'><destroy><reason>O</reason></destroy></query>")),
        prepare=room, unnoticed=AUDIT | {"archive.delete"},
    ),
    Act(
        "last occupant leaves", sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>"), prepare=temporary,
        unnoticed=frozenset(["rooms.destroy", "archive.delete"]),
    ),
    Act(
        "groupchat message", sends(f"<message type='groupchat' id='q' to='{ROOM}'><body>O</body></message>"),
        prepare=room, unnoticed=ARCHIVE,
    ),
    Act("moderation", moderate, prepare=said, unnoticed=AUDIT | ARCHIVE),
    Act("retraction", retract, "juliet", said, ARCHIVE),
    Act("invitations", sends(command(INVITATIONS, HOST, INVITATIONS, strangers="0"))),
    Act("roster item", sends(iq("set", ROSTER_SET, ""))),
    Act("roster removal", sends(iq("set", ROSTER_REMOVE, "")), prepare=contacts, certain=1),
    Act(
        "subscription", sends("<presence type='subscribe' id='q' to='juliet@localhost'/>"), prepare=everybody,
        certain=1,
    ),
    Act(
        "approval", sends("<presence type='subscribed' id='q' to='romeo@localhost'/>", by="juliet"), "juliet",
        lambda server: (everybody(server), server.send("romeo", "<presence type='subscribe' to='juliet@localhost'/>")),
        certain=1,
    ),
    Act("slot for a file", sends(iq("get", SLOT, "localhost"))),
    # Bookmarks go to a node, which may have been created.
    Act("private XML", sends(iq("set", PRIVATE, "")), stays=frozenset(["pubsub"])),
    Act("vCard", sends(iq("set", f"<vCard xmlns='{ns.VCARD_TEMP}'><FN>Romeo</FN></vCard>", ""))),
    Act("publication", sends(publish())),
    Act("publication at a node", sends(publish("again")), prepare=sends(publish())),
    Act("node", sends(pubsub("<create node='masks'/>"))),
    Act("configuration of a node", sends(configureNode()), prepare=sends(publish())),
    Act(
        "retraction of an item", sends(pubsub("<retract node='masks'><item id='one'/></retract>")),
        prepare=sends(publish()),
    ),
    Act("purge of a node", sends(pubsub("<purge node='masks'/>", "#owner")), prepare=sends(publish())),
    Act("deletion of a node", sends(pubsub("<delete node='masks'/>", "#owner")), prepare=sends(publish())),
    Act("block", sends(iq("set", BLOCK, ""))),
    Act("unblock", sends(iq("set", f"<unblock xmlns='{ns.BLOCKING}'/>", "")), prepare=sends(iq("set", BLOCK, ""))),
    Act("archive preferences", sends(iq("set", f"<prefs xmlns='{ns.MAM}' default='never'/>", ""))),
    # What Romeo has sent is in their archive.
    Act("offline message", sends(MESSAGE), unnoticed=ARCHIVE | TRIM, stays=frozenset(["archive"])),
    Act("message", sends(MESSAGE), prepare=everybody, unnoticed=ARCHIVE | TRIM),
    Act("last activity", goAway, unnoticed=frozenset(["userdata.change", "pubsub.configured"])),
    Act("old messages", expire, prepare=said, unnoticed=CLEANING),
    Act("password", sends(iq("set", NEW_PASSWORD, "localhost"))),
    Act(
        "add a user", sends(command(f"{ns.ADMIN}#add-user", **NEW_USER), by="nurse"), "nurse",
        unnoticed=frozenset(["userdata.change"]),
    ),
    Act("disable a user", sends(command(f"{ns.ADMIN}#disable-user", accountjids=JULIET), by="nurse"), "nurse"),
    Act("delete a user", sends(command(f"{ns.ADMIN}#delete-user", accountjids=JULIET), by="nurse"), "nurse", certain=3),
    Act(
        "unregister", sends(iq("set", f"<query xmlns='{ns.REGISTER}'><remove/></query>", "localhost")),
        prepare=contacts, certain=3,
    ),
    Act("message of the day", sends(command(f"{ns.ADMIN}#set-motd", motd="O"), by="nurse"), "nurse", certain=1),
    # Names of invitations that were not made do no harm: they are removed with the next one.
    Act(
        "invite a user", sends(command(f"{ns.INVITE}#create-account", formType=""), by="nurse"), "nurse",
        stays=frozenset(["userdata"]),
    ),
)  # fmt: skip
