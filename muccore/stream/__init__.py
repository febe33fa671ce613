# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 1: XML streams: parser, negotiation, SASL, the streams of clients."""
