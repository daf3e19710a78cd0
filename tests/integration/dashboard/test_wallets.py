"""Wallets on the page: what signers were asked to sign, in words."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from apps.wallets.reasons import MESSAGE
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, tenant, token

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
    factories.sign_record(factories.bls(1), what=MESSAGE(method=0, to=to))

    answer = signed_in().get(reverse("sign-records"))

    assert answer.status_code == 200
    assert words in text_of(answer)


@pytest.mark.parametrize("page", ["wallets", "today"])
def test_of_offline_keys_only_those_in_use_are_red(ann, page):
    owner = factories.wallet(label="cold owner", seen_at=None)
    worker = factories.wallet()
    factories.miner(worker=worker.address, owner=owner.address)
    red = re.compile(r'data-tone="bad">(?:(?!</span>).)*signer offline')

    kept = text_of(signed_in().get(reverse(page)))
    Wallet.objects.filter(pk=worker.pk).update(seen_at=None)
    away = text_of(signed_in().get(reverse(page)))

    assert kept.count("signer offline") == 1
    assert len(red.findall(kept)) == 0
    assert away.count("signer offline") == 2
    assert len(red.findall(away)) == 1
    if page == "wallets":
        assert "2 addresses.</strong> Every address in use has a connected signer." in kept


def test_a_wallet_gets_a_name_that_pages_show(ann):
    wallet = factories.wallet(factories.bls(3), label="")
    page, client = reverse("wallet-name", args=[wallet.address]), signed_in()
    assert f'href="{page}"' in text_of(client.get(reverse("wallets")))

    long = client.post(page, {"label": "x" * 61})
    kept = client.post(page, {"label": " fra owner "})

    assert long.status_code == 422
    assert f'value="{"x" * 61}"' in text_of(long)
    assert (kept.headers["Location"], Wallet.objects.get().label) == (reverse("wallets"), "fra owner")


LABELS = {3: "", 4: "of the console"}


def test_a_wallet_without_a_name_shows_its_keys_label_at_the_signer(ann):
    connection = factories.signer_connection()
    wallet, other = (factories.wallet(factories.bls(number), label=label) for number, label in LABELS.items())
    factories.signer_key(wallet.address, connection, label="<b>hot")
    factories.signer_key(other.address, connection, label="of the signer")

    page = signed_in().get(reverse("wallets")).content.decode()
    told = Client().get("/api/v1/wallets", headers=bearer(token("read"))).json()["results"]

    assert "&lt;b&gt;hot" in page
    assert "of the console" in page
    assert "of the signer" not in page
    labels = {row["address"]: (row["label"], row["signer_label"]) for row in told}
    assert labels == {wallet.address: ("", "<b>hot"), other.address: ("of the console", "of the signer")}


def test_who_only_reads_and_who_was_given_a_wallet_do_not_name_it(bill):
    person("audrey", role="AUDITOR")
    wallet = factories.wallet(factories.bls(3), label="")
    page = reverse("wallet-name", args=[wallet.address])

    before = signed_in("bill").post(page, {"label": "mine"}).status_code
    signer_grant(tenant=tenant("bob"), address=wallet.address)
    codes = [signed_in(name).post(page, {"label": "mine"}).status_code for name in ("bill", "audrey")]

    assert [before, *codes] == [404, 404, 404]
    assert Wallet.objects.get().label == ""


def test_miners_with_the_same_role_are_named_together(ann):
    wallet = factories.wallet()
    for actor_id in (1001, 1002):
        factories.miner(actor_id=actor_id, owner=wallet.address, worker=factories.bls(actor_id))
    factories.miner(actor_id=1003, owner=factories.bls(9), worker=wallet.address)

    text = text_of(signed_in().get(reverse("wallets"), {"q": wallet.address}))

    assert "owner of f01001, f01002; worker of f01003" in text
