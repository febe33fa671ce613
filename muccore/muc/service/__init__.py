# Copyright (c) The muccore authors. See LICENSE for details.
"""The rooms of a service: which there are, how they are loaded and evicted."""
