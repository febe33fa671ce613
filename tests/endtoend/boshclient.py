# Copyright (c) The muccore authors. See LICENSE for details.
"""A client over BOSH that waits for each response, for threads."""

from __future__ import annotations

import http.client
from base64 import b64encode
from typing import Any, Final

from lxml import etree

from tests.endtoend.serverprocess import TIMEOUT
from tests.stream.bosh import RID, Answer, creation, request

PATH: Final = "/http-bind"

AUTH: Final = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>"
BIND: Final = "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"


class BOSHClient:
    """
    A client; each of its requests is on the same connection, unless that is another's.

    @ivar rid: the ID of its last request.
    @ivar sid: the ID of its session.
    """

    def __init__(self, port: int, connection: http.client.HTTPConnection | None = None, **headers: str) -> None:
        """@param connection: one with TLS; C{None}: without."""
        self.rid = RID
        self.sid: str | None = None
        self._port = port
        self._headers = headers
        self._connection = connection or self.connect()

    def connect(self) -> http.client.HTTPConnection:
        """Make another connection."""
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)

    def post(self, data: bytes, connection: http.client.HTTPConnection | None = None) -> Answer:
        """Send a body; return the response."""
        self.start(data, connection)
        return self.finish(connection)

    def start(self, data: bytes, connection: http.client.HTTPConnection | None = None) -> None:
        """Send a body."""
        (connection or self._connection).request("POST", PATH, data, {"Content-Type": "text/xml", **self._headers})

    def finish(self, connection: http.client.HTTPConnection | None = None) -> Answer:
        """Wait for the response."""
        response = (connection or self._connection).getresponse()
        return Answer(response.read(), str(response.getheader("Content-Type")), response.status)

    def next(self, payload: str = "", **attributes: Any) -> bytes:
        """The body of the next request."""
        self.rid += 1
        return request(self.rid, payload, sid=self.sid, **attributes)

    def ask(self, payload: str = "", **attributes: Any) -> Answer:
        """Send the next request; return the response."""
        return self.post(self.next(payload, **attributes))

    def create(self, **attributes: Any) -> Answer:
        """Create a session."""
        answer = self.post(creation(self.rid, **{"to": "localhost", **attributes}))
        self.sid = answer.attributes.get("sid")
        return answer

    def authenticate(self, user: str) -> None:
        """Create a session, log in, and restart the stream."""
        assert self.create().names == ["features"]
        credentials = b64encode(f"\0{user}\0secret".encode()).decode()
        assert self.ask(AUTH.format(credentials)).names == ["success"]
        assert self.ask(xmpp__restart="true").names == ["features"]

    def login(self, user: str) -> str:
        """Log in, and bind a resource; return the full JID."""
        self.authenticate(user)
        return textOf(self.ask(BIND), "jid")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def textOf(answer: Answer, name: str) -> str:
    """The text of the first element of a name in an answer."""
    [*found] = (each for each in answer.element.iter() if etree.QName(each).localname == name and each.text)
    return str(found[0].text)
