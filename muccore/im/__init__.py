# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 4: instant messaging between users (RFC 6121)."""
