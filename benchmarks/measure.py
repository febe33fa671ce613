# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
One measurement: a new server, the whole load, and what the server used in each phase.

C{idle} is the memory of a client that is logged in and silent: the server's proportional set size (Pss) with all
clients logged in, minus that before the first one connected, divided by the number of clients. It covers connection,
stream and session and, under TLS, OpenSSL's state; the kernel's socket buffers do not belong to a process. A process
grows by whole pages and reuses freed memory, so the figure needs hundreds of clients to mean anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server


@dataclass(frozen=True)
class Result:
    """
    The figures. Times are CPU time of the server in microseconds.

    @ivar opportunistic: see L{Equipment}.
    @ivar tls: see L{Equipment}.
    @ivar storage: see L{Equipment}.
    @ivar archive: see L{Equipment}.
    @ivar users: see L{Plan}.
    @ivar rooms: see L{Plan}.
    @ivar logIn: per login.
    @ivar idle: memory per silent client that is logged in, in KiB.
    @ivar join: per presence delivered while the rooms filled.
    @ivar message: per message delivered.
    @ivar messageReactor: what of that is the reactor's thread; the rest is threads of stores.
    @ivar leave: per presence delivered while the rooms emptied.
    @ivar deliveries: the number of messages delivered.
    @ivar rate: messages delivered per second of wall time, with the clients on the same machine.
    @ivar total: memory of the whole server with all clients in the rooms, after the messages, in MiB.
    """

    opportunistic: bool
    tls: bool
    storage: str
    archive: bool
    users: int
    rooms: int
    logIn: float
    idle: float
    join: float
    message: float
    messageReactor: float
    leave: float
    deliveries: int
    rate: float
    total: float


def measure(equipment: Equipment, plan: Plan) -> Result:
    """
    Start a server, put the load on it and end it.

    @raise BenchmarkFailed: if the server or the load fails.
    """
    with Server(equipment) as server:
        meter = Meter(server.pid)

        def costs(phase: Callable[[], int]) -> tuple[float, int]:
            before = meter.cpu()
            count = phase()
            return (meter.cpu() - before) / count * 1e6, count

        with Load(plan, server.address, server.tls) as load:
            load.prepare()
            empty = meter.memory()
            logIn, _ = costs(load.logIn)
            load.wait(plan.quiet)
            idle = (meter.memory() - empty) / plan.users
            join, _ = costs(load.join)
            began = time.monotonic()
            before = meter.mainThread()
            message, deliveries = costs(load.sendMessages)
            messageReactor = (meter.mainThread() - before) / deliveries * 1e6
            # The phase includes a wait after its last delivery.
            lasted = time.monotonic() - began - plan.quiet
            total = meter.memory() / 1024
            leave, _ = costs(load.leave)
        server.checkLog()
    return Result(
        opportunistic=equipment.opportunistic,
        tls=equipment.tls,
        storage=equipment.storage,
        archive=equipment.archive,
        users=plan.users,
        rooms=plan.rooms,
        logIn=logIn,
        idle=idle,
        join=join,
        message=message,
        messageReactor=messageReactor,
        leave=leave,
        deliveries=deliveries,
        rate=deliveries / lasted,
        total=total,
    )
