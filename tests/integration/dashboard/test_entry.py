"""Coming in and going out by password, the change of a password, the theme."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.users.services.operator_file import operator_password_remove, operator_write
from tests.page_client import HTMX, signed_in, text_of
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def test_the_login_leads_where_one_wanted_to_go(ann):
    answer = Client().post("/login/", {"username": "ann", "password": PASSWORD, "next": "/hosts/"})

    assert answer.headers["Location"] == "/hosts/"


def test_after_an_action_the_login_leads_to_the_page_that_was_open(ann):
    page, action = "http://testserver/senders/?q=1", reverse("sender-act", args=["f01000", "pause"])

    plain = Client().post(action, headers={"Referer": page})
    stranger = Client().post(action, headers={"Referer": "https://evil.example/x"})
    htmx = Client().post(action, headers={**HTMX, "HX-Current-URL": page})

    assert plain.headers["Location"] == "/login/?next=/senders/"
    assert stranger.headers["Location"] == "/login/?next=/"
    assert (htmx.status_code, htmx.headers["HX-Redirect"]) == (204, "/login/?next=/senders/%3Fq%3D1")


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "AAAA", "today", "%2f"]
)
def test_the_login_leads_nowhere_else(ann, wanted):
    client = Client()
    answer = client.post("/login/", {"username": "ann", "password": PASSWORD, "next": wanted})
    again = client.get("/login/", {"next": wanted})

    assert (answer.headers["Location"], again.headers["Location"]) == ("/", "/")


def test_the_login_speaks_of_the_made_up_password_until_there_is_another(ann, settings, tmp_path):
    settings.EMBEDDED, settings.VAR = True, tmp_path
    entry = {"url": "http://testserver", "username": "ann", "admin_token": "t", "password": PASSWORD}
    operator_write(tmp_path / "operator.json", entry=entry)
    hint, client = "The initial operator password", Client()
    before = text_of(client.get("/login/"))

    operator_password_remove(tmp_path / "operator.json", username="ann")

    assert hint in before
    assert hint not in text_of(client.get("/login/"))


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_pair_is_refused_with_one_sentence(ann, name, password):
    answer = Client().post("/login/", {"username": name, "password": password})

    assert answer.status_code == 422
    assert "Name and password do not match." in text_of(answer)
    assert password not in text_of(answer) or not password


def test_a_disabled_tenants_person_is_signed_out(ann):
    plain, htmx = signed_in(), signed_in()
    ann.tenant.enabled = False
    ann.tenant.save()

    assert plain.get("/").headers["Location"] == "/login/?next=/"
    assert htmx.get("/hosts/", headers=HTMX).headers["HX-Redirect"] == "/login/?next=/"
    assert htmx.get("/").status_code == 302


def test_signing_out_needs_a_post(ann):
    client = signed_in()

    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_password_change_keeps_this_session_and_ends_others(ann):
    here, there = signed_in(), signed_in()
    fresh = "another long sentence"

    answer = here.post(
        "/password/", {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh}
    )

    assert answer.status_code == 302
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302


@pytest.mark.parametrize(
    ("old", "new", "again", "words"),
    [
        (
            "wrong",
            "another long sentence",
            "another long sentence",
            "old password was entered incorrectly",
        ),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, "another long sentence", "yet another sentence", "match"),
    ],
)
def test_a_bad_password_change_says_why(ann, old, new, again, words):
    answer = signed_in().post(
        "/password/", {"old_password": old, "new_password1": new, "new_password2": again}
    )

    assert answer.status_code == 422
    assert words in text_of(answer)


@pytest.mark.parametrize(
    ("chosen", "theme"), [("dark", "dark"), ("contrast", "contrast"), ("", ""), ("x", "")]
)
def test_a_theme_is_kept_in_a_cookie(ann, chosen, theme):
    client = signed_in()

    client.post("/theme/", {"theme": chosen, "next": "/hosts/"})

    assert (f'data-theme="{theme}"' in text_of(client.get("/"))) is bool(theme)
