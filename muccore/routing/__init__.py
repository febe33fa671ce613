# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 3: routing from a host to its domain, and from a stanza to its handler."""
