# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 0: the vocabulary of XMPP: namespaces, addresses, elements and their rendering, errors, forms, dates."""
