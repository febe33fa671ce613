# Copyright (c) The muccore authors. See LICENSE for details.
"""Streams between servers (RFC 6120, C{jabber:server}), in both directions."""
