"""Adding a miner on the page: created, or imported; refused at its field, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.core.errors import Conflict, NotAllowed
from apps.messages.models import Message
from apps.messages.states import Wait
from apps.miners.models import Miner
from apps.miners.services import create
from apps.miners.services.remove import miner_remove
from apps.miners.states import MinerState
from apps.proving.states import Forecast
from apps.sectors.services.reservations import NumberRequest, numbers_reserve
from apps.users.models import AuditEntry, MinerGrant
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import Wallet
from poolsite.filecoin.actors.power import Method
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import METHOD_SEND
from tests import factories, people
from tests.integration.dashboard.withdrawals import signer_says
from tests.keys import fixed_key
from tests.killed_writes import Killed, kill
from tests.page_client import signed_in, text_of
from tests.people import operator_person, principal, tenant

pytestmark = pytest.mark.django_db

PAGE = "miner-new"


@pytest.fixture
def wallet(node: Any) -> Wallet:
    factories.head()
    row = factories.wallet(label="cold")
    node.balances[row.address] = 50 * factories.FIL
    return row


def make_form(wallet: Wallet, **overrides: str) -> dict[str, str]:
    return {
        "how": "make",
        "key": "k1",
        "name": "fra-1",
        "owner": wallet.address,
        "worker": wallet.address,
        "sector_size": "2048",
        "sure": "yes",
        **overrides,
    }


def import_form(**overrides: str) -> dict[str, str]:
    return {
        "how": "import",
        "name": "old-1",
        "address": "f03003",
        "tenant": "alice",
        "proven_by": "pool",
        **overrides,
    }


def test_the_form_says_what_the_chain_asks(ann, wallet):
    text = text_of(signed_in().get(reverse(PAGE)))

    assert "1.0100 FIL" in text
    assert "2 KiB" in text
    assert 'id="f-import"' not in text


def test_a_miner_is_made_with_the_deposit_and_shown_while_it_is_on_its_way(ann, wallet):
    answer = signed_in().post(reverse(PAGE), make_form(wallet))

    miner, message = Miner.objects.get(), Message.objects.get()
    assert answer.headers["Location"] == reverse("miner", args=[miner.uuid])
    assert (miner.state, miner.name, miner.tenant.name) == (MinerState.CREATING, "fra-1", "alice")
    deposit = factories.FIL * 101 // 100  # the chain computes it again where the message lands
    assert (message.to, message.method, message.value) == ("f04", 2, deposit)
    assert AuditEntry.objects.get(action="miner.create").target == "fra-1"
    assert "fra-1" in text_of(signed_in().get(answer.headers["Location"]))


def test_while_it_is_on_its_way_its_page_says_what_holds_it_up(ann, wallet):
    answer = signed_in().post(reverse(PAGE), make_form(wallet))
    message = Message.objects.get()
    Message.objects.update(wait=Wait.FUNDS, error="needs 1 FIL, has 0 FIL")

    text = text_of(signed_in().get(answer.headers["Location"]))

    assert "needs 1 FIL, has 0 FIL" in text
    assert f'href="{reverse("message", args=[message.id])}"' in text


def test_a_worker_is_a_bls_key_as_the_chain_wants_it(ann, wallet):
    secp = factories.wallet(str(key_address(fixed_key("secp256k1"))), label="plain")
    text = text_of(signed_in().get(reverse(PAGE)))

    answer = signed_in().post(reverse(PAGE), make_form(wallet, worker=secp.address))

    assert text.count(f'value="{secp.address}"') == 1, "as owner only"
    assert answer.status_code == 422
    assert "an address that begins with f3" in text_of(answer)
    assert not Message.objects.exists()


def test_form_preselects_neither_tenant_nor_wallets(wallet):
    operator_person()

    page = text_of(signed_in("olga").get(reverse(PAGE)))

    assert "selected" not in page
    for empty in ("Choose…",):
        assert f'<option value="">{empty}</option>' in page


def test_review_shows_the_price_and_changes_nothing(ann, wallet):
    page = text_of(signed_in().post(reverse(PAGE), make_form(wallet, sure="")))

    assert "Create miner fra-1" in page
    assert "Deposit from the owner" in page
    assert "1 FIL" in page
    assert "Transfer to the worker first" not in page
    assert (Miner.objects.count(), Message.objects.count()) == (0, 0)


def test_review_says_what_would_hold_its_messages_up(ann, wallet, monkeypatch):
    worker = factories.wallet(factories.bls(4242), label="hot")
    signer_says(monkeypatch, "no rule allows it")
    factories.approval_rule(actor="power", method=Method.CREATE_MINER)

    page = text_of(signed_in().post(reverse(PAGE), make_form(wallet, worker=worker.address, sure="")))

    assert "would refuse Send: no rule allows it" in page
    assert "waits for a second person: power CreateMiner" in page
    asked = signer_says(monkeypatch)
    page = text_of(signed_in().post(reverse(PAGE), make_form(wallet, worker=worker.address, sure="")))
    assert "would refuse" not in page
    assert [(str(message.to), int(message.method)) for _, message in asked] == [
        (worker.address, METHOD_SEND),
        ("f04", Method.CREATE_MINER),
    ]
    assert not Message.objects.exists()


def test_worker_that_the_chain_lacks_is_funded_first(ann, wallet, monkeypatch):
    worker = factories.wallet(factories.bls(4242), label="hot")
    client = signed_in()

    review = text_of(client.post(reverse(PAGE), make_form(wallet, worker=worker.address, sure="")))
    unfunded = client.post(reverse(PAGE), make_form(wallet, worker=worker.address))
    with monkeypatch.context() as patch:
        patch.setattr(create, "create_miner_push", kill)
        with pytest.raises(Killed):
            client.post(reverse(PAGE), make_form(wallet, worker=worker.address, fund_worker="yes"))
    assert not Message.objects.exists(), "no worker is funded for a miner that nobody creates"
    client.post(reverse(PAGE), make_form(wallet, worker=worker.address, fund_worker="yes"))

    assert "Transfer to the worker first" in review
    assert "would fail with exit code 16" in review
    assert unfunded.status_code == 422
    assert "does not exist on chain yet" in text_of(unfunded)
    fund, creation = Message.objects.order_by("created_at")
    assert (fund.to, fund.method, fund.value) == (worker.address, 0, factories.FIL // 10)
    assert (creation.to, creation.method) == ("f04", 2)
    assert fund.tenant_id == creation.tenant_id == wallet.tenant_id


def test_owner_that_the_chain_lacks_is_refused(ann, wallet, node):
    node.balances.clear()

    answer = signed_in().post(reverse(PAGE), make_form(wallet))

    assert answer.status_code == 422
    assert "send it the deposit" in text_of(answer)
    assert not Miner.objects.exists()


def test_a_double_click_is_one_miner(ann, wallet):
    client = signed_in()

    for _ in range(2):
        client.post(reverse(PAGE), make_form(wallet))

    assert (Miner.objects.count(), Message.objects.count()) == (1, 1)
    assert AuditEntry.objects.filter(action="miner.create").count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 65),
        ("owner", ""),
        ("owner", "f1nonsense"),
        ("worker", str(factories.bls(987))),
        ("sector_size", "7"),
        ("sector_size", "x"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(ann, wallet, field, value):
    answer = signed_in().post(reverse(PAGE), make_form(wallet, **{field: value}))

    assert answer.status_code == 422
    assert 'class="error"' in text_of(answer)
    assert not Miner.objects.exists()


def test_a_strangers_wallet_makes_no_miner(bill, wallet):
    answer = signed_in("bill").post(reverse(PAGE), make_form(wallet))

    assert answer.status_code == 422
    assert not Message.objects.exists()


def test_an_operator_makes_one_for_a_tenant(wallet):
    operator_person()

    signed_in("olga").post(reverse(PAGE), make_form(wallet, tenant="alice"))

    assert Miner.objects.get().tenant.name == "alice"


def test_the_operator_takes_in_what_the_chain_has(node):
    factories.head()
    operator_person()
    tenant("alice")

    answer = signed_in("olga").post(reverse(PAGE), import_form())

    miner = Miner.objects.get()
    assert answer.headers["Location"] == reverse("miner", args=["f03003"])
    assert (miner.state, miner.sector_size, miner.tenant.name) == (MinerState.ACTIVE, 2048, "alice")
    assert AuditEntry.objects.get(action="miner.import").target == "f03003"
    assert signed_in("olga").get(answer.headers["Location"]).status_code == 200


def test_a_miner_that_another_program_has_is_left_to_it(node):
    factories.head()
    operator_person()
    tenant("alice")

    answer = signed_in("olga").post(reverse(PAGE), import_form(proven_by="other"))

    miner = Miner.objects.get()
    assert answer.headers["Location"] == reverse("miner-move-in", args=["f03003"])
    assert miner.is_held
    assert not MinerGrant.objects.get(actor_id=3003).open_mining
    assert AuditEntry.objects.get(action="miner.import").after == {"tenant": "alice", "proven_by": "other"}
    assert signed_in("olga").post(reverse(PAGE), import_form(proven_by="other")).status_code == 302


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ("pool", "other", "f03003 is here already, and the pool proves it: set a height under Move out…"),
        ("other", "pool", "f03003 is here already, and another program proves it: set a height under Move"),
    ],
)
def test_a_second_import_that_names_the_other_prover_is_refused(node, first, then, words):
    factories.head()
    operator_person()
    tenant("alice")
    signed_in("olga").post(reverse(PAGE), import_form(proven_by=first))
    before = Miner.objects.get().works_until

    answer = signed_in("olga").post(reverse(PAGE), import_form(proven_by=then))

    assert answer.status_code in (409, 422)
    assert words in text_of(answer)
    assert Miner.objects.get().works_until == before
    assert MinerGrant.objects.get(actor_id=3003).open_mining == (first == "pool")
    assert AuditEntry.objects.filter(action="miner.import").count() == 1


def test_a_miner_without_sectors_is_imported_without_a_word(node):
    factories.head()
    operator_person()
    tenant("alice")
    node.strange_sectors = 0

    signed_in("olga").post(reverse(PAGE), import_form(proven_by=""))

    assert not Miner.objects.get().is_held
    assert MinerGrant.objects.get(actor_id=3003).open_mining


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"address": "nonsense"}, "enter a miner address"),
        ({"address": "f09999"}, "actor not found"),
        ({"address": "f03004"}, "is not one the pool can seal for"),
        ({"tenant": "nobody"}, "there is no tenant"),
        ({"name": ""}, "must be 1 to 64 printable characters"),
        ({"proven_by": ""}, "it has 3 live sectors: choose who proves them now"),
    ],
)
def test_what_cannot_be_taken_in_is_said(node, overrides, words):
    factories.head()
    operator_person()
    tenant("alice")

    answer = signed_in("olga").post(reverse(PAGE), import_form(**overrides))

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not Miner.objects.exists()


def test_a_miner_of_another_tenant_stays_its_own(node):
    factories.head()
    operator_person()
    tenant("alice")
    factories.miner(3003, of="bob")

    answer = signed_in("olga").post(reverse(PAGE), import_form())

    assert "belongs to another tenant" in text_of(answer)
    assert Miner.objects.get().tenant.name == "bob"


def test_a_tenant_takes_in_nothing(ann, node):
    factories.head()

    answer = signed_in().post(reverse(PAGE), import_form())

    assert answer.status_code == 422
    assert not Miner.objects.exists()


def test_what_was_taken_in_by_mistake_is_let_go(node):
    factories.head()
    operator_person()
    tenant("alice")
    client = signed_in("olga")
    client.post(reverse(PAGE), import_form())
    factories.deadlines(Miner.objects.get(), live={0: Forecast.LATER})
    page = reverse("miner", args=["f03003"])
    release = reverse("miner-remove", args=["f03003"])

    shown = text_of(client.get(page))
    asked = client.post(release)
    done = client.post(release, {"sure": "yes"})

    assert release in shown
    assert "Remove old-1 f03003" in text_of(asked)
    assert done.headers["Location"] == reverse("miners")
    assert not Miner.objects.exists()
    assert client.get(page).status_code == 404
    assert AuditEntry.objects.get(action="miner.remove").target == "f03003"


def test_a_miner_with_sectors_or_made_here_stays(ann, node):
    factories.head()
    operator_person()
    sealing, made = factories.miner(3003), factories.miner(3004, create_message_id="mine")
    factories.sector(sealing)
    client = signed_in("olga")

    for row in (sealing, made):
        release = reverse("miner-remove", args=[row.address])
        assert release not in text_of(client.get(reverse("miner", args=[row.address])))
        assert client.post(release, {"sure": "yes"}).status_code == 404
        with pytest.raises(Conflict):
            miner_remove(row, principal=SYSTEM)
    assert Miner.objects.count() == 2


def test_a_miner_whose_numbers_a_sealer_has_stays(node):
    miner = factories.miner(3003)
    request = NumberRequest(name="sealer-b", count=1, ttl_s=60)
    numbers_reserve(miner, request=request, principal=SYSTEM, now=now())

    with pytest.raises(Conflict, match="sector numbers that were leased or reserved"):
        miner_remove(miner, principal=SYSTEM)

    assert Miner.objects.exists(), "imported again it would assign the same numbers"


def never_made() -> Miner:
    row = factories.miner(state=MinerState.FAILED, create_message_id="make", error="exit code 16")
    Miner.objects.filter(pk=row.pk).update(actor_id=None)
    return Miner.objects.get(pk=row.pk)


def test_what_could_not_be_made_is_let_go_by_its_tenant(ann, node):
    factories.head()
    row = never_made()
    page, release = (reverse(name, args=[row.uuid]) for name in ("miner", "miner-remove"))
    client = signed_in()

    shown, asked = text_of(client.get(page)), text_of(client.get(release))
    done = client.post(release, {"sure": "yes"})

    assert release in shown
    assert "It was never created" in asked
    assert done.headers["Location"] == reverse("miners")
    assert not Miner.objects.exists()
    assert AuditEntry.objects.get(action="miner.remove").target == str(row.uuid)


def test_a_stranger_or_a_reader_does_not_let_go_what_could_not_be_made(ann, node):
    factories.head()
    row = never_made()
    people.person("bill", of="bob")
    release = reverse("miner-remove", args=[row.uuid])

    assert signed_in("bill").post(release, {"sure": "yes"}).status_code == 404
    with pytest.raises(NotAllowed):
        miner_remove(row, principal=principal(perm="read"))
    assert Miner.objects.exists()


def test_one_that_is_on_its_way_again_stays(node):
    row = never_made()
    Miner.objects.filter(pk=row.pk).update(state=MinerState.CREATING)

    with pytest.raises(Conflict):
        miner_remove(row, principal=SYSTEM)

    assert Miner.objects.exists()


def test_a_tenant_lets_nothing_go(ann, node):
    factories.head()
    miner = factories.miner(3003)

    answer = signed_in().post(reverse("miner-remove", args=["f03003"]), {"sure": "yes"})

    assert answer.status_code == 404
    with pytest.raises(NotAllowed):
        miner_remove(miner, principal=principal())
