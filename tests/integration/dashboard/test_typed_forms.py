"""What a form does not take is refused beside its field, in the reader's language, with nothing changed."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext, override

from apps.dashboard.number_fields import Whole
from apps.dashboard.object_fields import Address, Found
from apps.miners.selectors.miners import miner_get
from apps.users.models import AuditEntry
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, principal

pytestmark = pytest.mark.django_db

NOBODY = "there is no tenant 'nobody'"
OPTIONS = "choose one of the options"


@pytest.mark.parametrize(
    ("page", "sent", "field", "why"),
    [
        ("gas-guard-new", {"kind": "cook"}, "kind", OPTIONS),
        ("gas-guard-new", {"actor": "cook"}, "actor", OPTIONS),
        ("gas-guard-new", {"tenant": "nobody"}, "tenant", "there is no such tenant"),
        ("gas-auto-bump", {"tenant": "nobody"}, "tenant", "there is no such tenant"),
        ("approval-rule-new", {"act": "cook.Soup"}, "act", OPTIONS),
        ("approval-rule-new", {"tenant": "nobody"}, "tenant", "there is no such tenant"),
        ("alert-channel-new", {"kind": "PIGEON"}, "kind", OPTIONS),
        ("offline-key-new", {"address": "f1soup"}, "address", "the address contains invalid characters"),
        ("offline-key-new", {"tenant": "nobody"}, "tenant", NOBODY),
        ("token-new", {"tenant": "nobody"}, "tenant", NOBODY),
        ("host-join", {"tenant": "nobody"}, "tenant", NOBODY),
        ("remote-wallet-new", {"tenant": "nobody"}, "tenant", NOBODY),
        ("auto-rule-new", {"tenant": "nobody"}, "tenant", NOBODY),
        ("auto-rule-new", {"source": "f0x"}, "source", "this is not a valid address"),
        ("store-attach", {"worker": "nobody"}, "worker", "there is no worker nobody here"),
    ],
)
def test_bad_input_is_refused_beside_its_field(page: str, sent: dict[str, str], field: str, why: str) -> None:
    operator_person()
    before = AuditEntry.objects.count()

    answer = signed_in("olga").post(reverse(page), sent)

    assert answer.status_code == 422
    shown = re.search(rf'<span class="error" id="{field}-error">.*?</span>', text_of(answer))
    assert shown is not None, page
    assert why in shown[0].replace("&#x27;", "'")
    assert AuditEntry.objects.count() == before


def test_refusal_is_in_the_readers_language() -> None:
    operator_person()

    answer = signed_in("olga").post(
        reverse("gas-guard-new"), {"kind": "cook"}, headers={"Accept-Language": "zh-hans"}
    )

    with override("zh-hans"):
        assert gettext(OPTIONS) != OPTIONS
        assert gettext(OPTIONS) in text_of(answer)


def test_miner_is_one_of_the_viewers() -> None:
    miner = factories.miner(of="alice")
    field, optional = Found(miner_get), Found(miner_get, is_optional=True)
    field.viewer = optional.viewer = principal("alice")

    assert field.clean(miner.address) == miner
    assert optional.clean("") is None
    for text, why in (("", "choose a miner"), ("f09999", "there is no miner f09999 here")):
        with pytest.raises(ValidationError, match=why):
            field.clean(text)


def test_address_is_read_as_rows_have_it() -> None:
    assert Address().clean("t01000") == "f01000"
    assert Address().clean("") == ""
    with pytest.raises(ValidationError, match="must not be empty"):
        Address(required=True).clean("")


def test_whole_number_is_read_as_pages_write_it() -> None:
    assert Whole(least=0, most=5000).clean("1\u202f010") == 1010
