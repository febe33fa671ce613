# Copyright (c) The muccore authors. See LICENSE for details.
"""The HTTP site: the handshake of WebSocket, and the discovery of it."""
