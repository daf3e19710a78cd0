"""What pages read of the pool's wallets: labels and the lowest balances, never every row."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db.models.signals import post_init

from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.dashboard.pagination import ROWS
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallet_labels, wallets_by_balance
from tests import factories
from tests.page_client import signed_in
from tests.people import operator_person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

MANY = 150
"""More wallets than a page shows."""


@pytest.fixture
def wallets() -> list[Wallet]:
    """Wallets without labels, each richer than the one before."""
    factories.head(100)
    factories.network()
    factories.miner(1000)
    rows = [factories.wallet(address=factories.bls(key), balance=key * 10**18) for key in range(1, MANY + 1)]
    Wallet.objects.update(label="")
    return rows


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Addresses of the wallets that were read as rows."""
    found: list[str] = []

    def note(instance: Wallet, **_more: object) -> None:
        found.append(str(instance.address))

    post_init.connect(note, sender=Wallet)
    yield found
    post_init.disconnect(note, sender=Wallet)


def test_only_labelled_wallets_have_a_name(wallets: list[Wallet]) -> None:
    Wallet.objects.filter(pk=wallets[3].pk).update(label="hot")

    assert wallet_labels(SYSTEM) == {wallets[3].address: "hot"}


def test_lowest_wallets_begin_with_those_that_were_not_read(wallets: list[Wallet]) -> None:
    Wallet.objects.filter(pk=wallets[9].pk).update(balance=None)

    lowest = wallets_by_balance(SYSTEM)[:3]

    assert [row.pk for row in lowest] == [wallets[9].pk, wallets[0].pk, wallets[1].pk]


@pytest.mark.parametrize("path", ["/", "/messages/", "/wallets/", "/miners/f01000/"])
def test_a_page_reads_few_of_many_wallets(
    path: str, wallets: list[Wallet], made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator_person("the operator")
    client = signed_in("the operator")
    monkeypatch.setattr(REPORT_NOW, SharedReports())
    client.get(path)  # evaluates the checks, which look at each wallet
    made.clear()

    assert client.get(path).status_code == 200
    assert len(made) <= ROWS + 1


def test_wallets_come_in_pages(wallets: list[Wallet]) -> None:
    operator_person("the operator")
    client = signed_in("the operator")
    first = client.get("/wallets/").content.decode()
    links = re.findall(r'href="(\?cursor=[^"]+)"', first)
    second = client.get(f"/wallets/{links[0]}").content.decode()

    assert wallets[0].address in first
    assert wallets[ROWS].address not in first
    assert wallets[ROWS].address in second
    assert f"{MANY} addresses" in second


def test_checks_read_no_wallet_that_nothing_needs(wallets: list[Wallet], made: list[str]) -> None:
    Wallet.objects.update(seen_at=None)
    used, spending = wallets[0].address, wallets[1].address
    factories.message(from_addr=used)
    factories.spend(spending)
    made.clear()

    found = {one.check.name for one in evaluate(CheckData(SYSTEM)).found}

    assert "signers_away" in found
    assert set(made) == {used, spending}
