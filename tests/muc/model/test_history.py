# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.history} (XEP-0045 §7.2.13, §7.2.14)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.history import RECENT, SIZE_LIMIT, History, HistoryItem, HistoryOptions
from muccore.muc.model.roommessage import RoomMessage
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.rendering import Rendered, toAttribute

ROOM = "room@conference.localhost"
TO = toAttribute("romeo@localhost/orchard")
NOW = 1_000_000_000.0


def said(text: str | None, when: float = NOW, delayed: bool = False) -> RoomMessage:
    """A message as a room sends it, with its text as id."""
    message = stanza("message", "groupchat", from_=f"{ROOM}/Juliet")
    if text is not None:
        message.add("body", text=text)
    rendered = Rendered.of(message)
    return RoomMessage(text or "", when, f"{ROOM}/Juliet", "juliet@localhost", message, rendered, True, delayed)


def whole(rendered: Rendered) -> Element:
    """A message as one who enters receives it."""
    return parseStanza(rendered.addressed(TO).decode("utf-8"))


def bodies(chosen: list[Rendered]) -> list[str]:
    """The bodies of messages."""
    found = []
    for rendered in chosen:
        body = whole(rendered).child("body")
        assert body is not None
        found.append(body.text())
    return found


class RequestTests(SynchronousTestCase):
    """Limits that clients ask for (§7.2.14)."""

    def parse(self, attributes: str) -> HistoryOptions:
        """Parse a C{<history/>} with these attributes."""
        [history] = parseStanza(f"<presence><history {attributes}/></presence>").childElements()
        return HistoryOptions.parse(history, NOW)

    def test_absent(self) -> None:
        """Without a request there is no limit."""
        self.assertEqual(HistoryOptions.parse(None, NOW), HistoryOptions(None, None, None))
        self.assertEqual(self.parse(""), HistoryOptions())

    def test_limits(self) -> None:
        """All four attributes are understood; of C{seconds} and C{since} the later moment counts."""
        self.assertEqual(self.parse("maxchars='65000'"), HistoryOptions(maxchars=65000))
        self.assertEqual(self.parse("maxchars='0' maxstanzas='20'"), HistoryOptions(0, 20))
        self.assertEqual(self.parse("seconds='180'"), HistoryOptions(since=NOW - 180))
        self.assertEqual(self.parse("since='1970-01-01T00:00:00Z'"), HistoryOptions(since=0.0))
        self.assertEqual(self.parse(f"seconds='180' since='{stamp(NOW - 60)}'"), HistoryOptions(since=NOW - 60))
        self.assertEqual(self.parse(f"seconds='180' since='{stamp(NOW - 600)}'"), HistoryOptions(since=NOW - 180))

    def test_nonsense(self) -> None:
        """Malformed attributes are ignored."""
        for value in ("", "-1", "x", "1.5", "9" * 16, "\u0663", " 1"):
            for name in ("maxchars", "maxstanzas", "seconds"):
                self.assertEqual(self.parse(f"{name}='{value}'"), HistoryOptions(), (name, value))
        for value in ("", "yesterday", "2002-13-01T00:00:00Z", "1970-01-01", "0000-01-01T00:00:00Z"):
            self.assertEqual(self.parse(f"since='{value}'"), HistoryOptions(), value)

    def test_longAgo(self) -> None:
        """More seconds than have ever passed are accepted."""
        self.assertEqual(self.parse("seconds='999999999999999'"), HistoryOptions(since=NOW - 999999999999999))


class HistoryTests(SynchronousTestCase):
    """The history of a room."""

    def test_stamped(self) -> None:
        """A past message ends with a delay by the room that has the time in UTC."""
        history = History(ROOM, 5)
        history.add(said("Ay me"))
        [rendered] = history.select(HistoryOptions(), TO)
        self.assertEqual(
            rendered.addressed(TO).decode(),
            f"<message to='romeo@localhost/orchard' from='{ROOM}/Juliet' type='groupchat'><body>Ay me</body>"
            f"<delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2001-09-09T01:46:40Z'/></message>",
        )

    def test_anyRoomName(self) -> None:
        """The name of the room may contain characters that are special in formats."""
        for room in ("100%s@conference.localhost", "%@conference.localhost", "{}@conference.localhost"):
            history = History(room, 5)
            history.add(said("Ay me"))
            [rendered] = history.select(HistoryOptions(), TO)
            delay = whole(rendered).child("delay", ns.DELAY)
            assert delay is not None
            self.assertEqual(delay.attributes, {"from": room, "stamp": "2001-09-09T01:46:40Z"})

    def test_imported(self) -> None:
        """A message with a delay of its own gets no second one."""
        history = History(ROOM, 5)
        message = said("Thrice", delayed=True)
        history.add(message)
        self.assertEqual([kept.tail for kept in history.select(HistoryOptions(), TO)], [message.rendered.tail])

    def test_length(self) -> None:
        """The last messages are kept, up to the configured number; fewer when that is reduced."""
        history = History(ROOM, 3)
        for text in "abcde":
            history.add(said(text))
        self.assertEqual(bodies(history.select(HistoryOptions(), TO)), ["c", "d", "e"])
        history.resize(2)
        self.assertEqual(bodies(history.select(HistoryOptions(), TO)), ["d", "e"])
        history.resize(3)
        history.add(said("f"))
        self.assertEqual(bodies(history.select(HistoryOptions(), TO)), ["d", "e", "f"])

    def test_none(self) -> None:
        """A room without history keeps nothing."""
        history = History(ROOM, 0)
        history.add(said("a"))
        self.assertEqual(len(history), 0)

    def test_empty(self) -> None:
        """A message without children is not kept."""
        history = History(ROOM, 5)
        history.add(said(None))
        self.assertEqual(len(history), 0)

    def test_size(self) -> None:
        """The size in bytes is limited, however many messages are kept."""
        history = History(ROOM, 1000)
        for n in range(20):
            history.add(said(f"{n} " + "\u00e4" * 50_000))
        kept = bodies(history.select(HistoryOptions(), TO))
        self.assertEqual([text.split()[0] for text in kept], [str(n) for n in range(15, 20)])
        self.assertLessEqual(sum(len(text.encode()) for text in kept), SIZE_LIMIT)
        history.resize(1)
        for _ in range(20):
            history.add(said("short"))
        history.resize(20)
        for _ in range(19):
            history.add(said("short"))
        self.assertEqual(len(history), 20)

    def test_retracted(self) -> None:
        """A message can be found by its id, replaced (before and after it was sent as history), and removed."""
        history = History(ROOM, 5)
        for text in "abc":
            history.add(said(text))
        self.assertEqual([(item.id, item.account) for item in history], [(id, "juliet@localhost") for id in "abc"])
        for _ in range(2):
            found = history.find("b")
            assert found is not None
            history.replace(found, said("gone").rendered)
            chosen = history.select(HistoryOptions(), TO)
            self.assertEqual(bodies(list(chosen)), ["a", "gone", "c"])
            self.assertEqual([b"".join((each.head, each.tail)).count(b"<delay") for each in chosen], [1, 1, 1])
        history.remove(found)
        self.assertEqual(bodies(list(history.select(HistoryOptions(), TO))), ["a", "c"])
        self.assertIsNone(history.find("b"))

    def test_sizeOfReplaced(self) -> None:
        """What was replaced or removed leaves its room to others."""
        history = History(ROOM, 1000)
        for n in range(5):
            history.add(said(f"{n} " + "a" * 100_000))
        for n in range(4):
            found = next(item for item in history if item.id.startswith(f"{n} "))
            if n % 2:
                history.remove(found)
            else:
                history.replace(found, said("gone").rendered)
        for n in range(5, 9):
            history.add(said(f"{n} " + "a" * 100_000))
        kept = [text.split()[0] for text in bodies(list(history.select(HistoryOptions(), TO)))]
        self.assertEqual(kept, ["gone", "gone", "4", "5", "6", "7", "8"])

    @given(
        st.lists(st.tuples(st.integers(0, 20), st.text("a\u00e4\u20ac<&", max_size=30)), max_size=12),
        st.integers(0, 10),
        st.none() | st.integers(0, 2000),
        st.none() | st.integers(0, 12),
        st.none() | st.integers(-5, 130),
    )
    @settings(max_examples=200)
    def test_selection(
        self,
        messages: list[tuple[int, str]],
        length: int,
        maxchars: int | None,
        maxstanzas: int | None,
        since: int | None,
    ) -> None:
        """
        Whoever enters receives the longest run of last messages that satisfies every limit: in characters of whole
        stanzas, in stanzas, and by time.
        """
        history, model, now = History(ROOM, length), [], 0
        for later, text in messages:
            now += later
            history.add(said(text, now))
            model.append((now, text))
        model = model[len(model) - min(length, len(model)) :]
        chosen = history.select(HistoryOptions(maxchars, maxstanzas, since), TO)

        whole = history.select(HistoryOptions(), TO)
        self.assertEqual(bodies(list(whole)), [text for _, text in model])
        fitting = [
            start
            for start in range(len(model) + 1)
            if (maxstanzas is None or len(model) - start <= maxstanzas)
            and (since is None or all(when >= since for when, _ in model[start:]))
            and (
                maxchars is None
                or sum(len(rendered.addressed(TO).decode("utf-8")) for rendered in whole[start:]) <= maxchars
            )
        ]
        self.assertEqual(list(chosen), list(whole[min(fitting) :]))


class RecentTests(SynchronousTestCase):
    """Who wrote the last messages."""

    def said(self, id: str, messageId: str | None = None) -> RoomMessage:
        """A message, to which its author gave an id."""
        message = said(id)
        if messageId is not None:
            message.message.attributes["id"] = messageId
        return message

    def test_bounded(self) -> None:
        """It is known of the last ones, whatever is kept of them."""
        for length in (0, 20):
            history = History(ROOM, length)
            for number in range(RECENT + 1):
                history.add(self.said(str(number), f"m{number}"))
            self.assertEqual((len(history), len(list(history.recent()))), (length, RECENT))
            self.assertEqual(next(history.recent()), ("1", "juliet@localhost", "m1", NOW))

    def test_ids(self) -> None:
        """An id of the author may be missing; one that is too long is not remembered."""
        history = History(ROOM, 20)
        for messageId in (None, "x" * 128, "x" * 129):
            history.add(self.said("1", messageId))
        self.assertEqual([sent.messageId for sent in history.recent()], ["", "x" * 128, ""])
        self.assertEqual([item.messageId for item in history], ["", "x" * 128, ""])

    def test_restored(self) -> None:
        """What is restored is remembered, unless it is a tombstone."""
        history = History(ROOM, 20)
        rendered = said("a").rendered
        history.restore(HistoryItem("1", NOW, "a@x", rendered, messageId="m"))
        history.restore(HistoryItem("2", NOW, "a@x", rendered, retracted=True))
        self.assertEqual(list(history.recent()), [("1", "a@x", "m", NOW)])

    def test_retracted(self) -> None:
        """A tombstone is marked; what is forgotten is not remembered."""
        history = History(ROOM, 20)
        for id in "abc":
            history.add(self.said(id))
        item = history.find("b")
        assert item is not None
        history.replace(item, said("x").rendered)
        history.forget({"b": None})
        self.assertEqual([each.retracted for each in history], [False, True, False])
        self.assertEqual([sent.id for sent in history.recent()], ["a", "c"])
        for number in range(RECENT):
            history.add(self.said(str(number)))
        self.assertEqual(len(list(history.recent())), RECENT)
