# -*- test-case-name: tests.stream.sasl2.test_profile -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The SASL profile of XEP-0388 (SASL2): a stream feature, and an
L{ILoginProfile<muccore.stream.login.ILoginProfile>}.

There is no new stream after the log-in. A client may ask for a session inside of it, an earlier one by stream
management (XEP-0198 §8.2) or a new one (L{muccore.stream.sasl2.bind2}): then it needs nothing else before its first
stanza.

Unlike SASL itself, the text has a client disconnected that sends anything unexpected while it logs in (§2.4): the rows
below have nothing but what is expected.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from zope.interface import implementer

from muccore.interfaces import ISession
from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.stream.sasl.exchange import Challenge, SASLExchange, SASLFailure, Success
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.sasl2.bind2 import Bind2
from muccore.stream.sasl2.exchange import (
    Authenticated,
    Authentication,
    NoSession,
    Opened,
    TaskData,
    TaskFailed,
    TaskOffer,
)
from muccore.stream.sasl2.fast import Fast, isRequested
from muccore.stream.sasl2.request import Request, decodeData, parseRequest
from muccore.stream.sasl2.upgrade import Upgrades
from muccore.stream.states import Row, State
from muccore.stream.streammanagement import resume, sessionResumed
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import escapeText
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

implements: Final = (Spec(388, "Extensible SASL Profile", "1.0.4"),)

_AUTHENTICATE: Final = (ns.SASL2, "authenticate")
_RESPONSE: Final = (ns.SASL2, "response")
_ABORT: Final = (ns.SASL2, "abort")
_NEXT: Final = (ns.SASL2, "next")
_TASK_DATA: Final = (ns.SASL2, "task-data")
_RESUME: Final = (ns.STREAM_MANAGEMENT, "resume")
_BIND: Final = (ns.BIND2, "bind")


@implementer(IStreamFeature)
class SASL2Profile:
    """The feature of SASL2, for streams under TLS."""

    stage = Stage.LOGIN
    order = 210
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, sasl: SASL, bind: Bind2) -> None:
        self._sasl = sasl
        self._bind2 = bind
        self._upgrades = Upgrades(sasl.accounts)
        self._fast = None if sasl.tokens is None else Fast(sasl, sasl.tokens)
        self.steps: Mapping[State, Row] = {
            State.UNSECURED: {_AUTHENTICATE: (self._authenticate, State.CHECKING)},
            State.SECURED: {_AUTHENTICATE: (self._authenticate, State.CHECKING)},
            State.RESPONDING: {
                _RESPONSE: (self._respond, State.CHECKING),
                _ABORT: (self._abort, State.RESPONDING),
            },
            State.CONTINUING: {
                _NEXT: (self._beginTask, State.CHECKING),
                _ABORT: (self._abortTask, State.CONTINUING),
            },
            State.PERFORMING: {
                _TASK_DATA: (self._performTask, State.CHECKING),
                _ABORT: (self._abortTask, State.PERFORMING),
            },
        }

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        secure, bindings = offering
        names = self._sasl.mechanisms(secure, bindings) if secure else []
        if not names:
            return
        feature = Element((ns.SASL2, "authentication"))
        for name in names:
            feature.add("mechanism", None, name)
        inline = feature.add("inline")
        inline.add("sm", ns.STREAM_MANAGEMENT)
        inline.children.append(self._bind2.offer())
        if self._fast is not None:
            inline.children.append(self._fast.offer(bindings))
        feature.children.extend(self._upgrades.offer())
        yield feature

    # Steps

    def _authenticate(self, negotiation: Negotiation, element: Element) -> None:
        login = negotiation.login
        login.mechanism = element.attributes.get("mechanism", "")
        claimed = negotiation.claimedJID
        if claimed is not None and claimed.rpartition("@")[2] != negotiation.features.domain:
            # §2.1. Not checked before: clients that log in otherwise put the name of their machine there.
            raise StreamError("invalid-from")
        try:
            if not negotiation.secure:
                raise SASLFailure("encryption-required")
            request = parseRequest(element)
            exchange = self._begin(negotiation, request)
        except SASLFailure as e:
            login.fail(negotiation, self, e)
        else:
            login.begin(negotiation, self, exchange, request.initial)

    def _begin(self, negotiation: Negotiation, request: Request) -> Authentication:
        bindings, attempt = negotiation.host.bindings(), negotiation.login.attempt
        fast = self._fast
        exchange: SASLExchange
        if isRequested(request):
            if fast is None:
                raise SASLFailure("invalid-mechanism")
            exchange = fast.begin(request, bindings, attempt)
        else:
            exchange = self._sasl.begin(
                request.mechanism, negotiation.secure, bindings, attempt, negotiation.claimedJID
            )
        token = None if fast is None else fast.wanted(request, bindings)
        opener = partial(self._openSession, negotiation, request)
        check = partial(self._checkAccess, negotiation)
        return Authentication(request, exchange, self._upgrades, self._sasl.account, check, opener, fast, token)

    def _respond(self, negotiation: Negotiation, element: Element) -> None:
        try:
            data = decodeData(element)
        except SASLFailure as e:
            negotiation.login.fail(negotiation, self, e)
        else:
            negotiation.login.respond(negotiation, self, data)

    def _abort(self, negotiation: Negotiation, element: Element) -> None:
        negotiation.login.fail(negotiation, self, SASLFailure("aborted"))

    def _beginTask(self, negotiation: Negotiation, element: Element) -> None:
        login = negotiation.login
        exchange = cast(Authentication, login.exchange)
        login.awaitOutcome(negotiation, self, exchange.beginTask(element.attributes.get("task", "")))

    def _performTask(self, negotiation: Negotiation, element: Element) -> None:
        login = negotiation.login
        login.awaitOutcome(negotiation, self, cast(Authentication, login.exchange).performTask(element))

    def _abortTask(self, negotiation: Negotiation, element: Element) -> None:
        negotiation.login.fail(negotiation, self, TaskFailed(SASLFailure("aborted")))

    # ILoginProfile

    def sendChallenge(self, negotiation: Negotiation, challenge: Challenge) -> None:
        """See L{ILoginProfile.sendChallenge<muccore.stream.login.ILoginProfile.sendChallenge>}."""
        if isinstance(challenge, TaskOffer):
            negotiation.state = State.CONTINUING
            tasks = f"<tasks><task>{challenge.task}</task></tasks>"
            answer = f"<continue xmlns='{ns.SASL2}'>{_renderData(challenge.data)}{tasks}</continue>".encode()
        elif isinstance(challenge, TaskData):
            negotiation.state = State.PERFORMING
            answer = f"<task-data xmlns='{ns.SASL2}'>".encode() + challenge.data + b"</task-data>"
        else:
            negotiation.state = State.RESPONDING
            data = b64encode(challenge.data).decode("ascii")
            answer = f"<challenge xmlns='{ns.SASL2}'>{data}</challenge>".encode()
        negotiation.host.sendNonza(answer)

    def sendFailure(self, negotiation: Negotiation, error: SASLFailure) -> None:
        """See L{ILoginProfile.sendFailure<muccore.stream.login.ILoginProfile.sendFailure>}."""
        if isinstance(error, TaskFailed):
            negotiation.state = State.REFUSED
            error = error.error
        negotiation.host.sendNonza(renderFailure(error))

    def sendSuccess(self, negotiation: Negotiation, account: JID, success: Success) -> None:
        """See L{ILoginProfile.sendSuccess<muccore.stream.login.ILoginProfile.sendSuccess>}."""
        authenticated = cast(Authenticated, success)
        opened, host = authenticated.opened, negotiation.host
        if opened.error is not None:
            host.close(opened.error)
            return
        negotiation.authenticated(account)
        host.continueStream()
        session = opened.session
        identity = account.full if session is None else session.jid.full
        host.sendNonza(_renderSuccess(authenticated.data, identity, opened.answers + authenticated.token))
        if session is None:
            negotiation.state = State.AUTHENTICATED
            self._sendFeatures(negotiation, None)
            return
        negotiation.state = State.BOUND
        if opened.resumed:
            # No features: the stream goes on where it was (XEP-0198 §8.2).
            sessionResumed(negotiation, session)
            return
        self._sendFeatures(negotiation, session)
        if opened.held is not None:
            opened.held.release(session)
        host.sessionBound(session)

    @staticmethod
    def _checkAccess(negotiation: Negotiation, user: str) -> JID:
        """Make the account of a user; raises L{SASLFailure} if they may not log in."""
        account = JID(user, negotiation.features.domain, "")
        refusal = negotiation.refusal(account)
        if refusal is not None:
            raise SASLFailure(refusal)
        return account

    async def _openSession(self, negotiation: Negotiation, request: Request, user: str) -> Opened:
        """Resume a session, or bind a resource, as the client has asked for: before the success (§2.6.1)."""
        account = self._checkAccess(negotiation, user)
        negotiation.account = account
        negotiation.userAgent = request.userAgent
        answers = b""
        try:
            element = request.inline.get(_RESUME)
            if element is not None:
                session, answers = resume(negotiation, element)
                if session is not None:
                    return Opened(session, True, answers)
            element = request.inline.get(_BIND)
            if element is None:
                return Opened(None, False, answers)
            bound, answer, held = await self._bind2.bind(negotiation, element, request.client)
        except StanzaError as e:
            negotiation.account = negotiation.userAgent = None
            raise NoSession(e.condition, e.text) from None
        except StreamError as e:
            return Opened(error=e)
        return Opened(bound, False, answers + answer, held)

    @staticmethod
    def _sendFeatures(negotiation: Negotiation, session: ISession | None) -> None:
        host = negotiation.host
        offer = negotiation.features.offer(Stage.BINDING, negotiation.secure, host.bindings(), session)
        host.sendNonza(offer)


def renderFailure(error: SASLFailure) -> bytes:
    """Render a failure (§2.6.2)."""
    more = f"<{error.reason} xmlns='{ns.STANZA_ERRORS}'/>" if isinstance(error, NoSession) else ""
    text = "" if error.text is None else f"<text xml:lang='en'>{escapeText(error.text)}</text>"
    return f"<failure xmlns='{ns.SASL2}'><{error.condition} xmlns='{ns.SASL}'/>{more}{text}</failure>".encode()


def _renderSuccess(data: bytes | None, identity: str, answers: bytes) -> bytes:
    head = f"<success xmlns='{ns.SASL2}'>{_renderData(data)}<authorization-identifier>{escapeText(identity)}"
    return f"{head}</authorization-identifier>".encode() + answers + b"</success>"


def _renderData(data: bytes | None) -> str:
    return "" if data is None else f"<additional-data>{b64encode(data).decode('ascii')}</additional-data>"
