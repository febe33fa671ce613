# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 0: the protocol's words: namespaces, addresses, elements and their rendering, errors, forms, dates."""
