# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 3: from a host to its domain, and from a stanza to the handler that takes it."""
