# Copyright (c) The muccore authors. See LICENSE for details.
"""What tests are made with: the runner of scenarios, whole servers in memory, contracts of stores."""
