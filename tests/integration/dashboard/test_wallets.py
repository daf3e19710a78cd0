"""Wallets on the page: what signers were asked to sign, in words."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests import factories
from tests.visits import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (factories.bls(7), f"Send to {factories.bls(7)[:4]}…"),
        (factories.secp(7), f"Send to {factories.secp(7)[:4]}…"),
        (factories.bls(7)[:39], f"message: method 0 to {factories.bls(7)[:39]}…"),
    ],
    ids=["long", "short", "cut"],
)
def test_a_record_names_the_receiver_however_long_its_address_is(ann, to, words):
    factories.sign_record(factories.bls(1), what=f"message: method 0 to {to}")

    answer = signed_in().get(reverse("wallets"))

    assert answer.status_code == 200
    assert words in text_of(answer)
