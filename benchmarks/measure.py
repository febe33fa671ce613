# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""One measurement: a fresh server, the whole load, and what the server used in each of its phases."""

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
    What was measured. Times are the server's on the processor, in microseconds.

    @ivar opportunistic: see L{Equipment}.
    @ivar tls: see L{Equipment}.
    @ivar storage: see L{Equipment}.
    @ivar users: see L{Plan}.
    @ivar rooms: see L{Plan}.
    @ivar logIn: per log-in.
    @ivar idle: KiB of memory per client that is logged in and silent.
    @ivar join: per presence that was delivered while the rooms filled.
    @ivar message: per message that was delivered.
    @ivar leave: per presence that was delivered while the rooms emptied.
    @ivar deliveries: how many messages were delivered.
    @ivar rate: messages delivered per second by the clock on the wall, with the clients on the same machine.
    @ivar total: MiB of memory of the whole server with everybody in the rooms, after the messages.
    """

    opportunistic: bool
    tls: bool
    storage: str
    users: int
    rooms: int
    logIn: float
    idle: float
    join: float
    message: float
    leave: float
    deliveries: int
    rate: float
    total: float


def measure(equipment: Equipment, plan: Plan) -> Result:
    """
    Start a server, put the load on it and end it.

    @raise BenchmarkFailed: if it does not do what it has to.
    """
    with Server(equipment) as server:
        meter = Meter(server.pid)

        def costs(phase: Callable[[], int]) -> tuple[float, int]:
            before = meter.cpu()
            count = phase()
            return (meter.cpu() - before) / count * 1e6, count

        with Load(plan, server.address, server.tls) as load:
            empty = meter.memory()
            logIn, _ = costs(load.logIn)
            load.rest(plan.quiet)
            idle = (meter.memory() - empty) / plan.users
            join, _ = costs(load.join)
            began = time.monotonic()
            message, deliveries = costs(load.speak)
            # The phase was watched for a while after its last delivery.
            lasted = time.monotonic() - began - plan.quiet
            total = meter.memory() / 1024
            leave, _ = costs(load.leave)
        server.checkLog()
    return Result(
        opportunistic=equipment.opportunistic,
        tls=equipment.tls,
        storage=equipment.storage,
        users=plan.users,
        rooms=plan.rooms,
        logIn=logIn,
        idle=idle,
        join=join,
        message=message,
        leave=leave,
        deliveries=deliveries,
        rate=deliveries / lasted,
        total=total,
    )


__all__ = ["Result", "measure"]
