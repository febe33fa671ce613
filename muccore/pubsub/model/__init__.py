# Copyright (c) The muccore authors. See LICENSE for details.
"""The rules of publish-subscribe: nodes, and who may do what with them. Nothing here waits or sends."""
