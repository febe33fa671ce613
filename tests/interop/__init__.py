# Copyright (c) The muccore authors. See LICENSE for details.
"""
The integration tests of Smack, a client library in Java, against a server: C{make interop}. They need Java and Maven;
C{make test} leaves them out.
"""
