# -*- test-case-name: tests.xmpp.test_commands -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Ad-hoc commands (XEP-0050): their list, their stages and their errors, whatever they are carried out on.

A L{Command} has forms, one for each stage, and is carried out with all values. L{Commands} answers the requests about a
set of commands; who receives these passes them on with the subject of the command, such as a room.

Texts are in English, which each answer says; other languages are not refused, since a client sends that of its user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.xmpp import dataforms, ns
from muccore.xmpp.commandsessions import CommandSession, CommandSessions, refusal
from muccore.xmpp.dataforms import Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

implements = (Spec(50, "Ad-Hoc Commands", "1.3.0", "Commands of rooms; texts are in English."),)

T = TypeVar("T")
"""What the commands of a set are carried out on."""

_ACTIONS: Final = frozenset(["cancel", "complete", "execute", "next", "prev"])
_LANG: Final = (ns.XML, "lang")
_LANGUAGE: Final = "en"
_LANGUAGE_TAG: Final = re.compile(r"([A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*)?\Z")
_LANGUAGE_LIMIT: Final = 64
_TEXTS: Final = {
    "forbidden": "You are not allowed to do this.",
    "item-not-found": "This does not exist.",
    "not-allowed": "This is not allowed.",
}


@dataclass(frozen=True)
class CommandForm:
    """
    The form of a stage.

    @ivar namespace: its C{FORM_TYPE}.
    @ivar fields: each field with the value that is suggested.
    @ivar instructions: lines of text.
    """

    namespace: str
    fields: Sequence[tuple[dataforms.Field, Value]]
    title: str | None = None
    instructions: Sequence[str] = ()


@dataclass(frozen=True)
class Completed:
    """
    The outcome of a command.

    @ivar payload: what it has found, such as a form of type C{result}.
    @ivar note: a sentence for the requester, or C{""}.
    @ivar noteType: C{info}, C{warn} or C{error}; with C{error}, the command has failed.
    """

    payload: Sequence[Element] = ()
    note: str = ""
    noteType: str = "info"


@dataclass(frozen=True)
class CommandRequest(Generic[T]):
    """
    An execution of a command.

    @ivar subject: what it is carried out on.
    @ivar requester: who executes it, by full JID.
    @ivar values: what was submitted so far, by the name of the field; optional fields may be missing.
    """

    subject: T
    requester: JID
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Command(Generic[T]):
    """
    A command.

    L{form} and L{carryOut} refuse values by raising L{badPayload}: the requester may submit the form again. With any
    other L{StanzaError} the command has failed, and the requester gets its text (XEP-0050 §3.6); but those of type
    C{wait} are sent as errors, and the same may be submitted again.

    @ivar node: what identifies it.
    @ivar name: its name for people.
    @ivar stages: the number of its forms.
    @ivar raisesErrors: whether its failures are sent as errors, as XEP-0133 §5 has it, and not as a text with the
        outcome; what was submitted may then be submitted again.
    """

    node: str
    name: str
    stages: int = 0
    raisesErrors: bool = False

    def mayUse(self, subject: T, requester: JID) -> bool:
        """Whether a full JID may list and execute it. Asked again at each stage."""
        raise NotImplementedError

    def form(self, request: CommandRequest[T], stage: int) -> CommandForm:
        """Make the form of a stage, which is less than L{stages}; also to read what was submitted."""
        raise NotImplementedError

    def carryOut(self, request: CommandRequest[T]) -> Completed | Deferred[Completed]:
        """Do what the command is for."""
        raise NotImplementedError


def badPayload(text: str) -> StanzaError:
    """The error for values that a command cannot accept; C{text} says which and why."""
    return refusal("bad-payload", text)


class Commands(Generic[T]):
    """A set of commands, with its sessions."""

    def __init__(self, commands: Iterable[Command[T]], now: Callable[[], float]) -> None:
        """
        @param now: returns the time, in seconds.
        @raise ValueError: if two have one node.
        """
        self._commands: dict[str, Command[T]] = {}
        for command in commands:
            if self._commands.setdefault(command.node, command) is not command:
                raise ValueError(f"two commands have the node {command.node!r}")
        self._sessions = CommandSessions(now)

    def __len__(self) -> int:
        return len(self._commands)

    def mayUse(self, subject: T, requester: JID, node: str) -> bool:
        """Whether there is a command with a node, which a full JID may use."""
        command = self._commands.get(node)
        return command is not None and command.mayUse(subject, requester)

    # Discovery

    def info(self, subject: T, requester: JID, node: str) -> Element | None:
        """
        Answer C{disco#info} of the list of commands or of one (XEP-0050 §2.2); C{None} for other nodes.

        @raise StanzaError: C{forbidden} for a command that the requester may not use.
        """
        if not self._isNode(subject, requester, node):
            return None
        answer = Element((ns.DISCO_INFO, "query"), None, {"node": node})
        command = self._commands.get(node)
        if command is None:
            answer.add("identity", category="automation", type="command-list", name="Commands")
            features = (ns.DISCO_INFO, ns.DISCO_ITEMS)
        else:
            answer.add("identity", category="automation", type="command-node", name=command.name)
            features = (ns.COMMANDS, ns.DATA)
        for feature in features:
            answer.add("feature", var=feature)
        return answer

    def items(self, subject: T, requester: JID, responder: JID, node: str) -> Element | None:
        """
        Answer C{disco#items} of the list of commands, which has those that the requester may use, or of one, which has
        none; C{None} for other nodes.

        @param responder: the address of the subject.
        @raise StanzaError: as L{info}.
        """
        if not self._isNode(subject, requester, node):
            return None
        answer = Element((ns.DISCO_ITEMS, "query"), None, {"node": node})
        for command in self._commands.values() if node == ns.COMMANDS else ():
            if command.mayUse(subject, requester):
                answer.add("item", jid=responder.full, node=command.node, name=command.name)
        return answer

    def _isNode(self, subject: T, requester: JID, node: str) -> bool:
        if node == ns.COMMANDS:
            return bool(self._commands)
        command = self._commands.get(node)
        if command is not None and not command.mayUse(subject, requester):
            raise StanzaError("forbidden")
        return command is not None

    # Execution

    def execute(self, subject: T, iq: Element, requester: JID, responder: JID) -> Element | Deferred[Element]:
        """
        Answer a request to execute a command, or to go on with it (XEP-0050 §2.4).

        @param iq: an IQ of type C{set} with a C{<command/>}.
        @param requester: its sender, a full JID.
        @param responder: the address of the subject.
        @return: the payload of the result.
        @raise StanzaError: as in the table of XEP-0050 §4.4.
        """
        if not self._commands:
            raise StanzaError("feature-not-implemented")
        element = next(iq.childElements())
        command = self._find(element)
        action = element.attributes.get("action", "execute")
        if action not in _ACTIONS:
            raise refusal("malformed-action", f"Unknown action: {action[:32]!r}.")
        language = element.attributes.get(_LANG, iq.attributes.get(_LANG, ""))
        if len(language) > _LANGUAGE_LIMIT or not _LANGUAGE_TAG.match(language):
            raise refusal("bad-locale", "This is not a language tag.")
        id = element.get("sessionid")
        if id is None:
            session = self._sessions.begin(requester, responder, command.node)
        else:
            session = self._sessions.find(id, requester, responder, command.node)
        execution = _Execution(self._sessions, command, session, subject)
        if id is not None and action == "cancel":
            self._sessions.end(session)
            return execution.answer("canceled")
        if not command.mayUse(subject, requester):
            self._sessions.end(session)
            raise StanzaError("forbidden", "cancel")
        submission = dataforms.find(element)
        if id is None and action == "execute" and (submission is None or not command.stages):
            return execution.advance(())
        if id is None and (submission is None or not command.stages):
            raise refusal("bad-action", f"There is no session in which to {action}.")
        return execution.goOn(action, submission)

    def _find(self, element: Element) -> Command[T]:
        node = element.get("node")
        if node is None:
            raise StanzaError("bad-request", text="The request names no command.")
        command = self._commands.get(node)
        if command is None:
            raise StanzaError("item-not-found", text="There is no such command.")
        return command


class _Execution(Generic[T]):
    """One request within a session."""

    def __init__(self, sessions: CommandSessions, command: Command[T], session: CommandSession, subject: T) -> None:
        self._sessions = sessions
        self._command = command
        self._session = session
        self._subject = subject

    def _request(self, answers: Iterable[Mapping[str, Value]]) -> CommandRequest[T]:
        values = {name: value for answer in answers for name, value in answer.items()}
        return CommandRequest(self._subject, self._session.requester, values)

    def goOn(self, action: str, submission: Element | None) -> Element | Deferred[Element]:
        """Go back, or submit the form of the present stage."""
        done = tuple(self._session.answers)
        forward = "next" if len(done) + 1 < self._command.stages else "complete"
        back = action == "prev" and bool(done)
        if not back and action not in ("execute", forward):
            raise refusal("bad-action", f"The action {action} is not possible here.")
        try:
            if back:
                return self._show(done[:-1], done[-1])
            form = self._command.form(self._request(done), len(done))
        except StanzaError as e:
            return self._completed(self._failed(e))
        return self.advance((*done, _submitted(form, submission)))

    def advance(self, answers: tuple[Mapping[str, Value], ...]) -> Element | Deferred[Element]:
        """Show the form of the next stage, or carry out the command after the last."""
        try:
            if len(answers) < self._command.stages:
                return self._show(answers)
            self._sessions.end(self._session)
            outcome = self._command.carryOut(self._request(answers))
        except StanzaError as e:
            return self._completed(self._failed(e))
        if isinstance(outcome, Deferred):
            return outcome.addErrback(self._deferredFailed).addCallback(self._completed)
        return self._completed(outcome)

    def _deferredFailed(self, failure: Failure) -> Completed:
        failure.trap(StanzaError)
        return self._failed(cast(StanzaError, failure.value))

    def _failed(self, error: StanzaError) -> Completed:
        """The outcome of a command that has failed; raises the error if the same stage may be submitted again."""
        if self._command.raisesErrors or error.type == "wait" or error.appCondition is not None:
            if self._session.deadline:
                # It stays at its stage.
                self._sessions.keep(self._session)
            raise error
        self._sessions.end(self._session)
        text = error.text or _TEXTS.get(error.condition) or error.condition.replace("-", " ")
        return Completed(note=text, noteType="error")

    def _show(self, answers: Sequence[Mapping[str, Value]], remembered: Mapping[str, Value] | None = None) -> Element:
        """
        Answer the form after some stages.

        @param remembered: what was submitted in this form before.
        """
        stage, session = len(answers), self._session
        form = self._command.form(self._request(answers), stage)
        before, session.answers = session.answers, list(answers)
        try:
            self._sessions.keep(session)
        except StanzaError:
            session.answers = before
            raise
        known = remembered or {}
        fields = [(each, known.get(each.var or "", suggested)) for each, suggested in form.fields]
        made = dataforms.form("form", form.namespace, fields, form.title, form.instructions)
        answer = self.answer("executing")
        forward = "next" if stage + 1 < self._command.stages else "complete"
        actions = answer.add("actions", execute=forward)
        for action in ("prev", forward) if stage else (forward,):
            actions.add(action)
        answer.children.append(made)
        return answer

    def _completed(self, outcome: Completed) -> Element:
        answer = self.answer("completed")
        if outcome.note:
            answer.add("note", text=outcome.note, type=outcome.noteType)
        answer.children.extend(outcome.payload)
        return answer

    def answer(self, status: str) -> Element:
        """Make the payload of a result, with nothing in it."""
        attributes = {"node": self._command.node, "sessionid": self._session.id, "status": status}
        return Element((ns.COMMANDS, "command"), None, {**attributes, _LANG: _LANGUAGE})


def _submitted(form: CommandForm, submission: Element | None) -> Mapping[str, Value]:
    """
    The values in a submitted form. One of type C{cancel} counts as submitted (XEP-0050 §3.5.1).

    @raise StanzaError: C{bad-payload} if it is missing, or not acceptable.
    """
    if submission is None:
        raise badPayload("The request must contain the form.")
    if submission.get("type") == "cancel":
        submission = submission.copy()
        submission.attributes["type"] = "submit"
    try:
        values = dataforms.submitted(submission, form.namespace, [each for each, _ in form.fields])
    except StanzaError as e:
        raise badPayload(e.text or "The form is not acceptable.") from None
    assert values is not None
    for each, _ in form.fields:
        if each.required and values.get(each.var or "") in (None, "", ()):
            raise badPayload(f"{each.var}: must be filled in")
    return values
