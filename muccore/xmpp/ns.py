# Copyright (c) The muccore authors. See LICENSE for details.
"""XML namespaces."""

from typing import Final

# RFC 6120, RFC 6121
STREAM: Final = "http://etherx.jabber.org/streams"
CLIENT: Final = "jabber:client"
SERVER: Final = "jabber:server"
COMPONENT: Final = "jabber:component:accept"
STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND: Final = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION: Final = "urn:ietf:params:xml:ns:xmpp-session"
XML: Final = "http://www.w3.org/XML/1998/namespace"

# RFC 7395
FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"

# Extensions
DATA: Final = "jabber:x:data"
COMMANDS: Final = "http://jabber.org/protocol/commands"
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
MUC: Final = "http://jabber.org/protocol/muc"
MUC_USER: Final = "http://jabber.org/protocol/muc#user"
MUC_ADMIN: Final = "http://jabber.org/protocol/muc#admin"
MUC_OWNER: Final = "http://jabber.org/protocol/muc#owner"
MUC_ROOMCONFIG: Final = "http://jabber.org/protocol/muc#roomconfig"
MUC_ROOMINFO: Final = "http://jabber.org/protocol/muc#roominfo"
MUC_REGISTER: Final = "http://jabber.org/protocol/muc#register"
MUC_REQUEST: Final = "http://jabber.org/protocol/muc#request"
MUC_STABLE_ID: Final = "http://jabber.org/protocol/muc#stable_id"
CONFERENCE: Final = "jabber:x:conference"
MUC_SELF_PING: Final = "http://jabber.org/protocol/muc#self-ping-optimization"
RSM: Final = "http://jabber.org/protocol/rsm"
REGISTER: Final = "jabber:iq:register"
ROSTER: Final = "jabber:iq:roster"
VERSION: Final = "jabber:iq:version"
PING: Final = "urn:xmpp:ping"
TIME: Final = "urn:xmpp:time"
VCARD_TEMP: Final = "vcard-temp"
OCCUPANT_ID: Final = "urn:xmpp:occupant-id:0"
STANZA_ID: Final = "urn:xmpp:sid:0"
DELAY: Final = "urn:xmpp:delay"
STREAM_MANAGEMENT: Final = "urn:xmpp:sm:3"
SASL_CHANNEL_BINDING: Final = "urn:xmpp:sasl-cb:0"
