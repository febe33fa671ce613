# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the sections C{[components]} and C{[component NAME]} (L{muccore.config.schema})."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config import problemsOf, settings, text

SECRET = "hunter2 is my secret"


class ComponentSectionTests(SynchronousTestCase):
    """The sections."""

    def test_read(self) -> None:
        """Each section is a component, whose secret is not in the representation of the settings."""
        sections = {"component Bot.example.org": {"secret": SECRET}, "component b.example": {"secret": "b = #"}}
        found = settings(**sections)
        secrets = {name: section.secret for name, section in found.named["component"].items()}
        self.assertEqual(secrets, {"bot.example.org": SECRET, "b.example": "b = #"})
        self.assertEqual(found.components.listen, ("tcp:5347:interface=127.0.0.1",))
        self.assertNotIn(SECRET, repr(found))

    def test_problems(self) -> None:
        """Each problem is one line, without the secret."""
        name = "component bot.example.org"
        for sections, expected in (
            ({name: {}}, f"[{name}] secret: found nothing, and there is no default; allowed: one line of text, "
             "without control characters and not empty"),
            ({name: {"secret": ""}}, f"[{name}] secret: found nothing; allowed: one line of text, without control "
             "characters and not empty"),
            ({name: {"secret": f"{SECRET}\x07"}}, f"[{name}] secret: found '***'; allowed: one line of text, without "
             "control characters and not empty"),
            ({name: {"secret": f"x\n {SECRET}"}}, f"[{name}] secret: found '***' (a line that begins with white space "
             "continues the value above; this key takes one line); allowed: one line of text, without control "
             "characters and not empty"),
            ({name: {"secrets": SECRET, "secret": "x"}}, f"[{name}] secrets: no such key; allowed: secret (did you "
             "mean 'secret'?)"),
            ({"component rooms.example.org": {"secret": SECRET}}, "[component rooms.example.org]: found the domain of "
             "[muc] domain; allowed: another domain"),
            ({"component example.org": {"secret": SECRET}}, "[component example.org]: found the domain of [server] "
             "domain; allowed: another domain"),
            ({"components": {"listen": ""}, name: {"secret": SECRET}}, "[components] listen: found nothing; allowed "
             "with a [component NAME]: at least one endpoint"),
        ):  # fmt: skip
            with self.subTest(sections=sections):
                (problem,) = problemsOf(text(**sections))
                self.assertTrue(problem.endswith(expected), problem)
                self.assertNotIn(SECRET, problem)

    def test_notAKey(self) -> None:
        """Nor is it in that of a line without an equals sign."""
        data = text(**{"component b.example": {"secret": "x"}}) + f"\nsecret: {SECRET}\n".encode()
        (problem,) = problemsOf(data)
        self.assertTrue(
            problem.endswith("found a secret without =; allowed: key = value, [section], # comment"), problem
        )
