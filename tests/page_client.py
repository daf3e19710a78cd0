"""What the tests of pages share: a person who is signed in, what an answer says, the mark of htmx."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, Final

from django.test import Client

from apps.core import clock
from apps.dashboard.urls import urlpatterns as pages
from apps.users.services.reauthentication import reauthentication_note
from tests.people import PASSWORD

NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""The key of no object."""
HTMX: Final = {"HX-Request": "true"}
"""Headers of a request for a fragment."""


def signed_in(name: str = "ann") -> Client:
    """A browser in which this person came in a moment ago."""
    client = left_open(name)
    session = client.session
    reauthentication_note(session, now=clock.now())
    session.save()
    return client


def left_open(name: str = "ann") -> Client:
    """A browser in which this person has a session, and proved nothing lately."""
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


def text_of(answer: Any) -> str:
    """The body of an answer, streamed or not; of a page without the blanks that HTML ignores."""
    text = b"".join(answer).decode() if answer.streaming else str(answer.content.decode())
    return re.sub(r"[ \n]+", " ", text).replace(" >", ">") if "<" in text[:10] else text


class Seen:
    """A pool's pages, each opened once for each person and looked at by all tests of a file.

    Made by a fixture of the module, as its people stay signed in.
    """

    def __init__(self, pages: Mapping[str, str], *names: str) -> None:
        """`pages`: addresses by name."""
        self.pages = pages
        self.clients = {name: signed_in(name) for name in names}
        self.answers: dict[tuple[str, str], Any] = {}

    def __call__(self, name: str, page: str) -> Any:
        """Return the answer that a person got."""
        if (name, page) not in self.answers:
            self.answers[name, page] = self.clients[name].get(self.pages[page])
        return self.answers[name, page]

    def text(self, name: str, page: str) -> str:
        """Return the page that a person saw."""
        answer = self(name, page)
        assert answer.status_code == 200, (page, answer.status_code)
        return text_of(answer)


def hidden_fields(answer: Any, *, form: str = "") -> dict[str, list[str]]:
    """The hidden fields of a page, or of its form of this id, with their values."""
    page = text_of(answer)
    if form:
        page = page[page.index(f'id="{form}"') :].partition("</form>")[0]
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page):
        found[name].append(unescape(value))
    return found


def refusal_kept(answer: Any, *, own: str, client: Client) -> None:
    """Assert that a refusal stands above what its page fetches anew, at its own address."""
    above, _, below = text_of(answer).partition(f'id="f-page" hx-get="{own}"')
    assert 'role="alert"' in above
    assert f'name="next" value="{own}"' in above, "the theme leads back there"
    assert below
    assert 'role="alert"' not in below
    assert 'id="f-page"' in text_of(client.get(own, headers=HTMX))


def form_pages(browser: Client) -> Iterator[str]:
    """Yield the names of pages that take a form, one for each address."""
    values = {"uuid": NOBODY, "int": "1", "str": "nothing", "path": "nothing"}
    for pattern in pages:
        route = re.sub(r"<(?:(\w+):)?\w+>", lambda found: values[found[1] or "str"], str(pattern.pattern))
        if browser.post(f"/{route}").status_code != 405:
            yield str(getattr(pattern, "name", ""))
