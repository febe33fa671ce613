# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 1: connections: sockets, TLS, flushing, timeouts and limits; bytes, no XML."""
