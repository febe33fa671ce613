# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: generators of documents."""
