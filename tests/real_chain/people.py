"""People who use the pages of a pool on a real chain, in a browser without JavaScript."""

from __future__ import annotations

import re
from html import unescape
from typing import Final, Self

import httpx

from tests.acceptance.pool import RunningPool

PASSWORD: Final = "a long password of the second person"


class Person:
    """Somebody in a browser without JavaScript."""

    def __init__(self, pool: RunningPool) -> None:
        base = f"http://127.0.0.1:{pool.port}"
        self.browser = httpx.Client(base_url=base, timeout=60, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page that was opened before it."""
        self.browser.get(path)
        fields["csrfmiddlewaretoken"] = self.browser.cookies["csrftoken"]
        return self.browser.post(path, data=fields)

    def sign_in(self, username: str, password: str) -> None:
        """Come in; that proves who it is for the acts that follow."""
        answer = self.post("/login/", username=username, password=password)
        assert answer.url.path == "/", answer.text[-2000:]

    def invite(self, username: str) -> str:
        """Invite another operator; return the path of the link that lets them in."""
        invited = self.post("/people/invite/", username=username, role="OPERATOR", tenant="")
        found = re.search(r"/invitation/[^\"<\s]+", unescape(invited.text))
        assert found is not None, invited.text[-3000:]
        return found.group()

    def join(self, path: str, *, username: str) -> None:
        """Choose a password by such a link, and come in."""
        self.post(path, password=PASSWORD, again=PASSWORD)
        self.sign_in(username, PASSWORD)
