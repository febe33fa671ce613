# -*- test-case-name: tests.storage.external.test_program -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{program:}, accounts that a program knows, asked by the protocol of ejabberd's C{extauth}.

Theory of operation
===================

A number of processes run. Each is asked one thing at a time; what finds none idle waits, passwords before the rest, for
a limited time. A process that ends is started again: at once, unless several have ended since the last answer; then
after a delay that doubles. A question to a process that ends before it has answered is asked once more, elsewhere: it
does not change anything. One that is not answered in time ends its process, whose answer might otherwise be taken for
that to the next question.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.python.filepath import FilePath

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.log.eventlog import limit
from muccore.log.logger import Logger
from muccore.storage.external.backend import ExternalAuth
from muccore.storage.external.extauth import ExtauthProcess, Gone, authRequest, isUserRequest
from muccore.storage.external.options import StoreOption, integer, parseDescription, seconds, yesOrNo

TRIES: Final = 2
"""Processes that are asked the same question, if they end without an answer."""

LONGEST_DELAY: Final = 60.0
"""Seconds after which a program is started again at the latest."""

POOL_OPTIONS: Final = (
    StoreOption("processes", integer(1, 64), 2),
    StoreOption("timeout", seconds(0.1, 60), 10.0),
)

OPTIONS: Final = (*POOL_OPTIONS, StoreOption("isuser", yesOrNo, True))

_log: Final = Logger()


class _Question:
    """
    A question to the program.

    @ivar answer: fires with the answer; cancelled, the question is dropped.
    """

    def __init__(self, data: bytes, first: bool) -> None:
        self.data = data
        self.first = first
        self.tries = 0
        self.timer: IDelayedCall | None = None
        self.answer: Deferred[bool] = Deferred()

    def stopWaiting(self) -> None:
        """Cancel the limit of its waiting."""
        timer, self.timer = self.timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def fail(self, reason: str) -> None:
        """Give up."""
        self.stopWaiting()
        if not self.answer.called:
            self.answer.errback(StoreUnavailable(reason))


class ProgramAuth(ExternalAuth):
    """
    Asks processes of a program.

    @ivar arguments: its path, and its arguments.
    """

    def __init__(
        self, arguments: Sequence[str], options: Any, reactor: Any, place: str | None = None, explains: bool = False
    ) -> None:
        """
        @param arguments: see L{arguments}.
        @param options: the values of L{OPTIONS}.
        @param place: what to call it in log lines; the path unless given.
        @param explains: whether it may answer that it cannot tell, as muccore's own programs do
            (L{muccore.storage.external.answering}).
        """
        super().__init__(arguments[0] if place is None else place, reactor)
        self._reactor = reactor
        self._explains = explains
        self.arguments = list(arguments)
        self._count: int = options["processes"]
        self._timeout: float = options["timeout"]
        self._tells: bool = options.get("isuser", True)
        self._processes: dict[ExtauthProcess, None] = {}
        self._starts: set[IDelayedCall] = set()
        self._waiting: tuple[deque[_Question], deque[_Question]] = (deque(), deque())
        # Ends since the last answer.
        self._ends = 0
        self._trouble = ""
        self._stopping = True

    def probe(self) -> None:
        """Check that there is a program. See L{IStore<muccore.interfaces.IStore>}."""
        path = self.arguments[0]
        if not os.path.isfile(path):
            raise StoreUnavailable(f"{path}: there is no such program")
        if not os.access(path, os.X_OK):
            raise StoreUnavailable(f"{path}: it cannot be executed by this user; check its mode")

    async def _begin(self) -> None:
        self.probe()
        self._stopping = False
        for _ in range(self._count):
            self._start()

    async def _end(self) -> None:
        self._stopping = True
        for start in self._starts:
            start.cancel()
        self._starts.clear()
        await gatherResults([process.stop() for process in list(self._processes)])

    async def _check(self, user: str, host: str, password: str) -> bool:
        return await self._ask(authRequest(user, host, password), True)

    async def _exists(self, user: str, host: str) -> bool:
        # One that cannot tell is as one that knows everybody: messages to users who are away are kept.
        return not self._tells or await self._ask(isUserRequest(user, host), False)

    # Questions

    def _ask(self, data: bytes, first: bool) -> Deferred[bool]:
        question = _Question(data, first)
        if self._isHopeless():
            question.fail(self._trouble)
        else:
            question.timer = self._reactor.callLater(self._timeout, self._waitedTooLong, question)
            self._waiting[not first].append(question)
            question.answer.addErrback(self._dropped, question)
            self._dispatch()
        return question.answer

    def _isHopeless(self) -> bool:
        """Whether no process runs, and all have ended without having answered anything."""
        return not self._processes and self._ends > self._count + TRIES

    def _dropped(self, failure: Any, question: _Question) -> Any:
        question.stopWaiting()
        queue = self._waiting[not question.first]
        if question in queue:
            queue.remove(question)
        return failure

    def _waitedTooLong(self, question: _Question) -> None:
        question.fail(self._trouble or f"no process was free within {self._timeout:g} s")

    def _dispatch(self) -> None:
        """Ask what waits."""
        for process in list(self._processes):
            if not process.idle:
                continue
            queue = next((queue for queue in self._waiting if queue), None)
            if queue is None:
                return
            question = queue.popleft()
            question.stopWaiting()
            question.tries += 1
            process.ask(question.data).addCallbacks(
                self._answered, self._unanswered, callbackArgs=(question,), errbackArgs=(question,)
            ).addErrback(self._failed)

    def _answered(self, right: bool, question: _Question) -> None:
        self._ends = 0
        self._trouble = ""
        if not question.answer.called:
            question.answer.callback(right)
        self._dispatch()

    def _unanswered(self, failure: Any, question: _Question) -> None:
        failure.trap(Gone, StoreUnavailable)
        if failure.check(StoreUnavailable) is not None:
            self._ends = 0
            question.fail(str(failure.value))
        elif failure.value.timedOut or question.tries >= TRIES or self._stopping:
            question.fail(str(failure.value))
        elif not question.answer.called:
            question.timer = self._reactor.callLater(self._timeout, self._waitedTooLong, question)
            self._waiting[not question.first].appendleft(question)
        self._dispatch()

    def _failed(self, failure: Any) -> None:
        _log.failure("an answer of {place} was lost", failure, place=self.place)

    # Processes

    def _start(self) -> None:
        process = ExtauthProcess(self._reactor, self._timeout, self._processEnded, self._explains)
        self._processes[process] = None
        try:
            process.start(self.arguments)
        except OSError as e:
            self._processEnded(process, f"it cannot be started ({e.strerror})")
        else:
            self._dispatch()

    def _processEnded(self, process: ExtauthProcess, trouble: str) -> None:
        self._processes.pop(process, None)
        if self._stopping:
            return
        self._ends += 1
        self._trouble = trouble
        # One question that ends every process which is asked it must not keep the next one waiting.
        vain = self._ends - self._count - TRIES
        delay = 0.0 if vain <= 0 else min(LONGEST_DELAY, 2.0 ** min(vain - 1, 10))
        if limit.admits("accounts-program", self.place):
            _log.warn("{place}: {trouble}; it is started again in {delay:g} s", place=self.place, trouble=trouble,
                      delay=delay)  # fmt: skip

        def start() -> None:
            self._starts.discard(call)
            self._start()

        call = self._reactor.callLater(delay, start)
        self._starts.add(call)
        if self._isHopeless():
            for queue in self._waiting:
                for question in list(queue):
                    question.fail(trouble)


def helper(name: str) -> list[str]:
    """The command of a program of muccore, a module beside this one."""
    return [sys.executable, "-I", "-m", f"{__name__.rpartition('.')[0]}.{name}"]


def makeProgramAuth(argument: str, base: FilePath[str], reactor: Any) -> ProgramAuth:
    """Make the backend for a description (L{muccore.storage.factory.StoreFactory})."""
    place, options = parseDescription("program", argument, base, OPTIONS)
    try:
        arguments = shlex.split(place)
    except ValueError:
        arguments = []
    if not arguments or any("\0" in each for each in arguments):
        raise BadDescription("program: needs the path of a program, as in program:/usr/local/bin/check")
    return ProgramAuth([os.path.join(base.path, arguments[0]), *arguments[1:]], options, reactor)
