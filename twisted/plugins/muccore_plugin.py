# Copyright (c) The muccore authors. See LICENSE for details.
"""C{twistd muccore}."""

from twisted.application.service import ServiceMaker

muccore = ServiceMaker("muccore", "muccore.tap", "An XMPP server for group chat", "muccore")
