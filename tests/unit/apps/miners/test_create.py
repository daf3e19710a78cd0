"""Creating and removing miners: each spec makes one, with its message, and what is empty can be removed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from apps.core.errors import BadValue, Conflict
from apps.market.models import Deal
from apps.messages.errors import SenderStopped
from apps.messages.models import Message
from apps.messages.states import SenderState
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner
from apps.miners.services.create import miner_create
from apps.miners.services.creation_plan import MinerSpec
from apps.miners.services.remove import may_remove, miner_remove
from apps.sectors.models import SectorNumbers
from apps.sectors.services.reservations import sectorid_import
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.sector import RegisteredSealProof
from tests import factories, people
from tests.mk20 import sized

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")


class Node:
    """Asks a deposit for a new miner, another one each time."""

    deposit = 10**18

    def state_get_actor(self, *_: object) -> dict[str, Any]:
        return {}

    def call(self, *_: object) -> str:
        self.deposit += 7
        return str(self.deposit)


def create(owner: str, *, key: str = "k1", name: str = "first", node: Any) -> Miner:
    spec = MinerSpec(name=name, owner=owner, worker=owner, sector_size=2048, key=key)
    return miner_create(spec, principal=SYSTEM, tenant=people.tenant(), client=node, network=NETWORK)


def test_an_ethereum_key_owns_no_new_miner() -> None:
    eth = "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"
    factories.wallet(eth)

    with pytest.raises(BadValue, match="Ethereum key") as refused:
        create(eth, node=Node())

    assert refused.value.field == "owner"
    assert not Miner.objects.exists()


def test_the_same_spec_again_is_the_same_miner_though_the_deposit_differs() -> None:
    factories.head(1000)
    owner, node = factories.wallet().address, Node()

    miners = [create(owner, node=node) for _ in range(2)]

    assert miners[0] == miners[1]
    assert Message.objects.count() == 1
    assert AuditEntry.objects.filter(action="miner.create").count() == 1


def test_a_miner_waits_for_a_second_person_where_amounts_do() -> None:
    """What is paid to a tenant's own miner asks nobody: whoever owned a new one would get it."""
    factories.head(1000)
    factories.approval_rule(actor="", method=None, above=1000 * 10**18)

    create(factories.wallet().address, node=Node())

    assert Message.objects.get().needs_approval


def test_a_key_of_another_miner_is_refused() -> None:
    factories.head(1000)
    owner, node = factories.wallet().address, Node()
    create(owner, node=node)

    with pytest.raises(MinerTaken, match="this key has created"):
        create(owner, name="second", node=node)

    assert Message.objects.count() == 1
    assert AuditEntry.objects.filter(action="miner.create").count() == 1


def test_a_key_of_a_miner_with_another_owner_is_refused() -> None:
    factories.head(1000)
    node = Node()
    create(factories.wallet().address, node=node)

    with pytest.raises(MinerTaken, match="this key has created"):
        create(factories.wallet().address, node=node)
    with pytest.raises(MinerTaken, match="this key has created"):
        create("nobody", node=node)

    assert Miner.objects.count() == 1


def test_the_same_spec_again_is_the_same_miner_after_its_keys_were_changed() -> None:
    factories.head(1000)
    owner, other, node = factories.wallet().address, factories.wallet().address, Node()
    made = create(owner, node=node)
    Miner.objects.update(state="ACTIVE", actor_id=1001, owner=other, worker=other)

    assert create(owner, node=node) == made
    with pytest.raises(MinerTaken, match="this key has created"):
        create(other, node=node)


def test_a_miner_without_its_message_gets_it_with_the_same_spec() -> None:
    factories.head(1000)
    owner, node = factories.wallet().address, Node()
    create(owner, node=node)
    Message.objects.all().delete()

    create(owner, node=node)

    assert Message.objects.get().kind == "create_miner"
    assert Miner.objects.count() == 1


def test_what_is_refused_leaves_no_miner_that_is_being_created() -> None:
    factories.head(1000)
    owner = factories.wallet().address
    factories.sender(owner, state=SenderState.FORBIDDEN)

    with pytest.raises(SenderStopped):
        create(owner, node=Node())

    assert not Miner.objects.exists()
    assert not AuditEntry.objects.filter(action="miner.create").exists()


def test_an_imported_miner_is_removed_with_its_counter() -> None:
    factories.head(1000)
    miner = factories.miner(1000, works_until=0)
    sectorid_import(miner, number=41, principal=SYSTEM)
    assert may_remove(SYSTEM, miner=miner)

    miner_remove(miner, principal=SYSTEM)

    assert not Miner.objects.exists()
    assert not SectorNumbers.objects.exists()


def test_miners_with_a_seal_proof_that_no_chain_takes_get_its_successor() -> None:
    migration = import_module("apps.miners.migrations.0005_seal_proofs_in_use")
    old = factories.miner(seal_proof=RegisteredSealProof.STACKED_DRG_32GIB_V1)
    good = factories.miner(seal_proof=RegisteredSealProof.STACKED_DRG_2KIB_V1_2_NI)

    migration.proofs_replace(apps, None)

    for miner, proof in ((old, "STACKED_DRG_32GIB_V1_1"), (good, "STACKED_DRG_2KIB_V1_2_NI")):
        miner.refresh_from_db()
        assert RegisteredSealProof(miner.seal_proof).name == proof


def test_deals_that_came_to_nothing_go_with_their_miner() -> None:
    miner = factories.miner(3003)
    agreed = factories.deal(miner, sized(b"agreed"))
    factories.deal(miner, sized(b"refused"), state="REFUSED")

    with pytest.raises(Conflict, match="deals"):
        miner_remove(miner, principal=SYSTEM)
    Deal.objects.filter(pk=agreed.pk).update(state="FAILED")
    miner_remove(miner, principal=SYSTEM)

    assert not Miner.objects.exists()
    assert not Deal.objects.exists()
