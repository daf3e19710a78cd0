"""A real browser before a real web process with the run's PostgreSQL and a real Redis."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from apps.checks.report.cache import requested_evaluate
from apps.users.models import User
from tests.browser.chrome import FLAGS, chrome_find
from tests.browser.visitor import Visitor
from tests.browser.web import Web
from tests.people import operator_person, person
from tests.servers import RedisServer

CHROME = chrome_find()
PATIENCE_MS = 60_000
"""How long a page may take to show something: longer than a machine that others use stands still."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep them in one process."""
    item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A browser for this folder: while it runs this thread has an event loop, which others must not see."""
    assert CHROME is not None, (
        "there is no Chrome here: run `make browser`, which installs one or says why not"
    )
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # that loop runs nothing of ours
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=CHROME, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def web_process(
    django_db_setup: None,
    postgres_sockets: str,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    """The web process of the whole run, on the database of this worker."""
    web = Web(
        database=str(connections["default"].settings_dict["NAME"]),
        sockets=postgres_sockets,
        redis_url=redis_server.url,
        var=tmp_path_factory.mktemp("var"),
    )
    web.start()
    yield web
    web.end(signal.SIGKILL)
    web.link.close()


@pytest.fixture
def site(transactional_db: None, pool_redis: str, web_process: Web) -> Iterator[Web]:
    """The web process, alive, with empty tables; a thread evaluates the checks as the task process does."""
    if web_process.process is None:
        web_process.start()
    ended = threading.Event()

    def evaluate() -> None:
        try:
            while not ended.wait(0.1):
                requested_evaluate()
        finally:
            connections.close_all()

    task = threading.Thread(target=evaluate)
    task.start()
    yield web_process
    ended.set()
    task.join()


Visit = Callable[..., Visitor]
DESKTOP: Final = ViewportSize(width=1440, height=900)


def sign_in(visitor: Visitor, user: User | None) -> None:
    """Give a browser the session of somebody; of nobody if there is none."""
    visitor.page.context.clear_cookies()
    if user is not None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
        visitor.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": visitor.url}])


@pytest.fixture
def visit(site: Web, chromium: Browser) -> Iterator[Visit]:
    """Open a browser of one's own: `visit(user)`; its console errors fail the test."""
    visitors: list[Visitor] = []

    def open_for(user: User | None, **how: Any) -> Visitor:
        context = chromium.new_context(**{"viewport": DESKTOP, **how})
        context.set_default_timeout(PATIENCE_MS)
        visitors.append(Visitor(context.new_page(), site.url))
        sign_in(visitors[-1], user)
        return visitors[-1]

    yield open_for
    complaints = [line for visitor in visitors for line in visitor.complaints]
    for visitor in visitors:
        visitor.page.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def window(web_process: Web, chromium: Browser) -> Iterator[Visitor]:
    """One window for all looks of a file: a new one compiles scripts and checker again, half of a look."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield Visitor(context.new_page(), web_process.url)
    context.close()


@pytest.fixture
def look(site: Web, window: Visitor) -> Iterator[Visit]:
    """Look at a page: `look(user)` is the file's window as if it were new; console errors fail the test."""

    def open_for(user: User | None, *, color_scheme: Literal["light", "dark"] = "light") -> Visitor:
        window.complaints.clear()
        window.page.set_viewport_size(DESKTOP)
        window.page.emulate_media(color_scheme=color_scheme)
        sign_in(window, user)
        return window

    yield open_for
    complaints = list(window.complaints)
    window.page.goto("about:blank")
    assert complaints == []


@pytest.fixture
def operator(transactional_db: None) -> User:
    return operator_person()


@pytest.fixture
def alice(transactional_db: None) -> User:
    return person("ann", of="alice")


@pytest.fixture
def bob(transactional_db: None) -> User:
    return person("bill", of="bob")
