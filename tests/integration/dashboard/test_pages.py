"""Every page answers for the operator, for a tenant's person and for nobody, empty and with rows."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.people import PASSWORD, operator_person, person

pytestmark = pytest.mark.django_db

PAGES = [
    "today",
    "miners",
    "sectors",
    "messages",
    "wallets",
    "hosts",
    "pledge",
    "message-compose",
    "password",
]


def signed_in(name: str) -> Client:
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_answers_the_operator(page):
    operator_person()

    answer = signed_in("olga").get(reverse(page))

    assert answer.status_code == 200
    assert b"<h1>" in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_answers_a_tenants_person(page):
    person()

    assert signed_in("ann").get(reverse(page)).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_sent_to_the_login(page):
    answer = Client().get(reverse(page))

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login/?next=")
