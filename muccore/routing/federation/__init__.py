# Copyright (c) The muccore authors. See LICENSE for details.
"""Other servers: links to their domains, and what comes from them (docs/design/0041-federation.md)."""
