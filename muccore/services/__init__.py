# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 4: small protocols of the server itself, one in each module."""
