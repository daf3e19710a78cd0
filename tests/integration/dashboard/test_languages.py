"""The language of the pages: a person's choice, else the browser's; programs are answered in English."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils.translation import gettext, override

from apps.core import health
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.sessions import PageSession, viewer_of
from apps.users.rules.principals import SYSTEM
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
SIGN_IN = "登录"
ACCOUNT = "账户"


def language_of(answer: Any) -> tuple[str, str]:
    """What the answer says of its language, in its header and in its page."""
    return answer.headers["Content-Language"], text_of(answer).partition('<html lang="')[2].partition('"')[0]


def chosen(client: Client, language: str) -> Any:
    return client.post("/account/language/", {"language": language}, follow=True)


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("zh", "zh-hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("zh-Hans-SG", "zh-hans"),
        ("de,zh-CN;q=0.5", "zh-hans"),
        ("zh-TW", "zh-hans"),
        ("zh-Hant-TW,en;q=0.5", "en"),
        ("en-GB,zh;q=0.5", "en"),
        ("zh;q=0,fr", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
def test_login_is_in_the_first_language_that_the_browser_asks_for(asked, language):
    answer = Client(headers={"Accept-Language": asked}).get("/login/")

    assert language_of(answer) == (language, language)
    assert (SIGN_IN in text_of(answer)) == (language == "zh-hans")
    assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))


def test_a_persons_choice_holds_in_every_browser_until_given_up():
    person()
    chinese, english = signed_in(), signed_in()
    english.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"

    saved = chosen(chinese, "zh-hans")

    assert language_of(saved) == ("zh-hans", "zh-hans")
    assert language_of(english.get("/account/")) == ("zh-hans", "zh-hans")
    assert f"<h1>{ACCOUNT}</h1>" in text_of(english.get("/account/"))
    assert language_of(english.get("/no/such/page/")) == ("zh-hans", "zh-hans")
    assert language_of(chosen(english, "")) == ("en", "en")


def test_no_other_language_is_kept():
    ann = person()

    answer = signed_in().post("/account/language/", {"language": "tlh"})

    assert answer.status_code == 422
    ann.refresh_from_db()
    assert ann.language == ""


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/rpc/v9", "/verify", "/api/v1/miners"])
def test_programs_are_answered_in_english(address):
    person()
    client = signed_in()
    chosen(client, "zh-hans")

    answer = client.get(address, headers=CHINESE)

    assert "Content-Language" not in answer.headers
    assert text_of(answer).isascii()


@pytest.mark.parametrize("language", ["zh-hans", "en", "", "tlh"])
def test_refusal_is_told_to_a_script_in_the_language_of_its_page(language):
    person()
    client = signed_in()
    chosen(client, "zh-hans")

    answer = client.get("/api/v1/pieces/uploads/none", headers={"X-Page-Language": language})

    assert answer.status_code == 404
    assert answer.json()["code"] == "piece_unknown"
    assert answer.json()["message"].isascii() == (language != "zh-hans")


def test_files_have_english_heads():
    operator_person()
    client = signed_in("olga")
    chosen(client, "zh-hans")

    for name in (
        *("messages", "sectors", "senders", "audit", "money", "gas", "sealing"),
        *("deals", "hosts", "pieces", "tokens"),
    ):
        answer = client.get(f"/{name}.csv")
        assert answer.status_code == 200
        assert text_of(answer).isascii(), name


def test_live_updates_are_in_the_language_of_their_page():
    change = {("head", "1")}
    pushed = {
        language: fragments_render(change, viewer=SYSTEM, page="", language=language)
        for language in ("en", "zh-hans")
    }

    with override("zh-hans"):
        passing = gettext("All checks pass.")
    assert "All checks pass." in pushed["en"]
    assert passing in pushed["zh-hans"]
    assert "All checks pass." not in pushed["zh-hans"]


def test_open_pages_see_that_another_language_was_chosen():
    ann = person()
    client = signed_in()
    page = PageSession(user_id=ann.pk, session_key=client.session.session_key)
    before = viewer_of(page)

    chosen(client, "zh-hans")

    after = viewer_of(page)
    assert before is not None
    assert after is not None
    assert (before.language, after.language) == ("", "zh-hans")
    assert before.principal == after.principal


def test_page_without_database_is_in_the_browsers_language(monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr("apps.dashboard.pages.entry.sign_in.network_known", away)

    answer = Client(headers=CHINESE | {"Accept": "text/html"}).get("/login/")

    assert answer.status_code == 503
    assert language_of(answer) == ("zh-hans", "zh-hans")


@pytest.mark.parametrize(("accept", "is_page"), [("text/html", True), ("application/json", False)])
def test_hanging_database_is_told_to_a_page_in_its_language(accept, is_page):
    request = RequestFactory().get("/today/", headers=CHINESE | {"Accept": accept})

    answer = partial(health.database_hanging, is_started=False)(request)

    assert answer.content.isascii() != is_page
