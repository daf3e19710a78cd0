"""Chinese pages of an empty pool, and of forms whose input was refused, have no English text."""

from __future__ import annotations

import re
from typing import Final

import pytest
from django.urls import reverse

from tests import factories
from tests.demo_data import FORMS, LISTS, Pool, addresses, busy_pool, plain_addresses
from tests.page_client import signed_in, text_of
from tests.page_words import english_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db

FIELD: Final = re.compile(r'<(?:input|select|textarea)\b[^>]*?\bname="([a-z_]+)"', re.DOTALL)
WRONG: Final = ("", "?")
"""What no field takes, or few."""
NOT_SENT: Final = frozenset({"csrfmiddlewaretoken", "next", "key", "id"})


@pytest.fixture
def readers(db: None) -> None:
    """The operator and one of alice, who read Chinese."""
    for one in (operator_person(), person()):
        one.language = "zh-hans"
        one.save()


@pytest.mark.usefixtures("readers")
@pytest.mark.parametrize(("name", "has_head"), [("olga", False), ("ann", True)])
def test_pages_of_an_empty_pool_are_translated(name: str, has_head: bool) -> None:
    if has_head:
        factories.network()
        factories.head(1000)
        factories.miner(2001, of="alice")
    client = signed_in(name)

    found = {page: english_of(text_of(client.get(address))) for page, address in plain_addresses().items()}

    assert len(found) == len({*LISTS, *FORMS})
    assert {page: texts for page, texts in found.items() if texts} == {}


@pytest.fixture
def pool(readers: None) -> Pool:
    """What alice has."""
    return busy_pool()


@pytest.mark.parametrize("wrong", WRONG)
def test_refusals_of_forms_are_translated(pool: Pool, wrong: str) -> None:
    client, found, refused = signed_in("olga"), {}, 0
    more = {name: reverse(name) for name in ("approval-rule-new", "gas-method-new", "gas-rules")}
    for page, address in (addresses(pool) | more).items():
        fields = {*FIELD.findall(text_of(client.get(address)))} - NOT_SENT
        if not fields:
            continue
        answer = client.post(address, dict.fromkeys(fields, wrong))
        if answer.status_code == 422:
            refused += 1
            found[page] = english_of(text_of(answer))

    assert refused > 5
    assert {page: texts for page, texts in found.items() if texts} == {}
