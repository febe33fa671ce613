# Copyright (c) The muccore authors. See LICENSE for details.
"""5,000 occupants of one room whose connections end together."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Final

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.command import allowFiles
from benchmarks.holdmeter import HoldMeter
from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server

USERS: Final = 5000

STAYING: Final = 3

GROWTH: Final = 150 * 1024
"""KiB of the server's memory above rest."""

_PEAK: Final = re.compile(r"VmHWM:\s*(\d+) kB")


class HangUpTests(SynchronousTestCase):
    """Everybody but a few hangs up at once; it takes a minute or two."""

    tls = False
    held = 0.1
    """Seconds of the reactor's thread for one turn."""
    # 12 to 16 were seen, more the faster they have entered; 12 are wanted.
    occupant = 20
    """KiB of memory of an occupant beyond the silent connection."""

    def test_together(self) -> None:
        """
        An occupant costs little memory. When they hang up, the reactor is never held for long, memory stays bounded,
        and who stays is told of each once.
        """
        if not allowFiles(USERS):
            raise SkipTest("the system allows too few open files")
        equipment = Equipment(True, self.tls, "memory", USERS)
        with Server(equipment, measuresHolds=True) as server:
            meter, holds = Meter(server.pid), HoldMeter(server.holds)
            with Load(Plan(USERS, 1, 1, 1, 900.0), server.address, server.tls) as load:
                load.logIn()
                load.wait(1)
                idle = meter.memory()
                load.join()
                load.wait(1)
                rest, cpu = meter.memory(), meter.cpu()
                # The peak is counted anew from here.
                with open(f"/proc/{server.pid}/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
                holds.longest = 0.0
                began = time.monotonic()
                # While it does not run, so that it finds all of them at once.
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    load.closeAllBut(STAYING)
                finally:
                    os.kill(server.pid, signal.SIGCONT)
                told = load.awaitLeaves()
                lasted = time.monotonic() - began
                peak = _peak(server.pid)
            print(
                f"held {holds.longest * 1e3:.0f} ms, CPU {meter.cpu() - cpu:.2f} s in {lasted:.1f} s, "
                f"memory {rest / 1024:.0f} MiB and {(peak - rest) / 1024:+.0f} at the peak, "
                f"{(rest - idle) / USERS:.1f} KiB an occupant"
            )
            self.assertEqual(told, STAYING * (USERS - STAYING))
            self.assertLess(holds.longest, self.held)
            self.assertLess(peak - rest, GROWTH)
            self.assertLess((rest - idle) / USERS, self.occupant)
            server.checkLog()


class HangUpTLSTests(HangUpTests):
    """The same under TLS."""

    tls = True


def _peak(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        found = _PEAK.search(file.read())
    assert found is not None, os.uname()
    return int(found[1])
