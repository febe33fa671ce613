# Copyright (c) The muccore authors. See LICENSE for details.
"""
A protocol of our own: whoever asks is greeted.

    <iq type='get' id='1' to='example.org'><hello xmlns='urn:example:hello'/></iq>
    <iq type='result' id='1' from='example.org'><hello xmlns='urn:example:hello'>Hello, romeo!</hello></iq>

It comes twice: as a wokkel handler, which knows nothing of muccore and would work in any wokkel component, and with
muccore's tables, which is shorter and faster.
"""

from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.iwokkel import IDisco
from wokkel.subprotocols import IQHandlerMixin, XMPPHandler
from zope.interface import implementer

from muccore.routing.handler import HOST, Handler
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse

NS_HELLO = "urn:example:hello"
HELLO = f"/iq[@type='get']/hello[@xmlns='{NS_HELLO}']"


@implementer(IDisco)
class WokkelHello(XMPPHandler, IQHandlerMixin):
    """Greets, the way wokkel's handlers do."""

    iqHandlers = {HELLO: "onHello"}

    def __init__(self, word):
        super().__init__()
        self.word = word

    def connectionInitialized(self):
        """Called when the handler has been added to its domain."""
        self.xmlstream.addObserver(HELLO, self.handleRequest)

    def onHello(self, iq):
        """What this returns is sent as the result."""
        answer = domish.Element((NS_HELLO, "hello"))
        answer.addContent(f"{self.word}, {JID(iq['from']).user}!")
        return answer

    def getDiscoInfo(self, requestor, target, nodeIdentifier=""):
        """What the domain's disco#info has more because of this handler."""
        return [] if nodeIdentifier else [disco.DiscoFeature(NS_HELLO)]

    def getDiscoItems(self, requestor, target, nodeIdentifier=""):
        """Nothing."""
        return []


class Hello(Handler):
    """Greets, with muccore's tables."""

    features = (NS_HELLO,)

    def __init__(self, word):
        super().__init__()
        self.word = word

    def onHello(self, element, to):
        """What this returns is sent as the result."""
        answer = Element((NS_HELLO, "hello"))
        answer.children.append(f"{self.word}, {parse(element['from']).local}!")
        return answer

    iqs = {("get", HOST, NS_HELLO, "hello"): onHello}
