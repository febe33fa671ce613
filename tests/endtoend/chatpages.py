# Copyright (c) The muccore authors. See LICENSE for details.
"""Pages of the web chat in Debian's Chromium, driven by Playwright from a thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
"""The browser, or C{None}."""

_PATIENCE: Final = 30_000
"""Milliseconds to wait for what must appear."""

_ARGUMENTS: Final = ("--no-sandbox", "--ignore-certificate-errors", "--disable-dev-shm-usage")


class Chat:
    """
    A page.

    @ivar page: that of Playwright.
    @ivar problems: errors of the console, failed requests, and exceptions of scripts.
    """

    def __init__(self, browser: Any, name: str, width: int = 1280, height: int = 800) -> None:
        context = browser.new_context(ignore_https_errors=True, viewport={"width": width, "height": height})
        context.set_default_timeout(_PATIENCE)
        self.name = name
        self.page = context.new_page()
        self.problems: list[str] = []
        self.page.on("console", self._noteMessage)
        self.page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        self.page.on("requestfailed", lambda request: self.problems.append(f"not loaded: {request.url}"))

    def _noteMessage(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(message.text[:500])

    def enterAsGuest(self, url: str) -> None:
        """Open a link into a room, and enter as a guest, by keyboard."""
        self.page.goto(url)
        self.page.wait_for_selector("#entry:not([hidden])")
        self.page.keyboard.type(self.name)
        self.page.keyboard.press("Enter")
        self.awaitRoom()

    def enterWithAccount(self, url: str, user: str) -> None:
        """Open a link into a room, log in, and enter."""
        self.page.goto(url)
        self.page.fill("#nick", self.name)
        self.page.click("#account")
        self.page.fill("input[name=jid]", user)
        self.page.fill("input[name=password]", "secret")
        self.page.click("input[type=submit], button[type=submit]")
        self.awaitRoom()

    def awaitRoom(self) -> None:
        """Wait until something can be said."""
        self.page.wait_for_selector("converse-muc textarea.chat-textarea:not([disabled])")

    def say(self, text: str) -> None:
        """Say something."""
        self.page.fill("converse-muc textarea.chat-textarea", text)
        self.page.press("converse-muc textarea.chat-textarea", "Enter")

    def awaitText(self, text: str) -> None:
        """Wait until something is shown."""
        self.page.get_by_text(text, exact=False).first.wait_for()


def browse(script: Callable[[Any], None]) -> None:
    """Run a script, with the browser, in this thread, which is not that of the reactor."""
    from playwright.sync_api import sync_playwright

    playwright: AbstractContextManager[Any] = sync_playwright()
    with playwright as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            script(browser)
        finally:
            browser.close()
