"""A form that was opened before somebody signed in in another window of the same browser."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.people import PASSWORD, person

pytestmark = pytest.mark.django_db


def token_of(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None
    return found[1]


def test_the_login_in_a_second_window_leads_on_once_the_first_signed_in() -> None:
    person("ann")
    browser = Client(enforce_csrf_checks=True)
    login = f"{reverse('login')}?next=/sectors/"
    sent = {"username": "ann", "password": PASSWORD}
    second = token_of(browser.get(login).content.decode())
    first = token_of(browser.get(login).content.decode())
    assert browser.post(login, sent | {"csrfmiddlewaretoken": first}).headers["Location"] == "/sectors/"

    refused = browser.post(login, sent | {"csrfmiddlewaretoken": second})

    assert (refused.status_code, refused.headers["Location"]) == (302, login)
    assert browser.get(login).headers["Location"] == "/sectors/"


def test_another_form_says_that_nothing_was_changed() -> None:
    person("ann")
    browser = Client(enforce_csrf_checks=True)
    assert browser.login(username="ann", password=PASSWORD)
    browser.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32

    answer = browser.post("/tokens/new/", {"csrfmiddlewaretoken": "b" * 32})

    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
