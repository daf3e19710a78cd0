from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.api.management.commands import bootstrap
from apps.chain.errors import NodeUnavailable
from apps.miners.models import Miner
from apps.miners.services import create
from apps.miners.states import MinerState
from apps.users.models import AuditEntry
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from poolsite.filecoin.keys import key_address
from tests import factories, people
from tests.keys import fixed_key
from tests.killed_writes import Killed, kill

pytestmark = pytest.mark.django_db

ADDRESSES = {
    "owner": str(key_address(fixed_key("bls", 1))),
    "worker": str(key_address(fixed_key("bls", 2))),
    "control": str(key_address(fixed_key("secp256k1", 3))),
}


class Node:
    """A node that asks for 1 FIL, or none at all."""

    is_away = False

    def call(self, method: str, *_params: Any) -> str:
        if self.is_away:
            raise NodeUnavailable("no node answers")
        assert method == "StateMinerCreationDeposit"
        return str(10**18)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    path = tmp_path / "signer.json"
    path.write_text(json.dumps(ADDRESSES))
    monkeypatch.setenv("POOLSITE_SIGNER_FILE", str(path))
    made = Node()
    monkeypatch.setattr(bootstrap, "chain_client", lambda: made)
    factories.network()
    for address in ADDRESSES.values():
        signer_grant(tenant=people.tenant("pool"), address=address)
    return made


def run() -> str:
    out = io.StringIO()
    call_command("bootstrap", "--miner", stdout=out)
    return out.getvalue()


def test_the_miner_is_asked_for_once_however_often_it_runs(node):
    for _ in range(3):
        with pytest.raises(CommandError, match="its message has not landed"):
            run()

    miner = Miner.objects.get()
    assert (miner.owner, miner.worker, miner.create_message_id) == (
        ADDRESSES["owner"],
        ADDRESSES["worker"],
        "bootstrap-miner",
    )


def test_a_kill_leaves_no_miner_without_a_line(node, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(create, "audit_record", kill)
        with pytest.raises(Killed):
            run()
    assert not Miner.objects.exists()

    with pytest.raises(CommandError, match="its message has not landed"):
        run()

    assert AuditEntry.objects.filter(action="miner.create").count() == 1


def test_it_holds_once_the_miner_exists_and_names_the_wallets(node):
    with pytest.raises(CommandError):
        run()
    Miner.objects.update(state=MinerState.ACTIVE, actor_id=1005)
    for address in ADDRESSES.values():
        factories.wallet(address, of="pool", label="")
    Wallet.objects.filter(address=ADDRESSES["control"]).update(label="mine")

    assert "f01005" in run()
    labels = dict(Wallet.objects.values_list("address", "label"))
    assert [labels[address] for address in ADDRESSES.values()] == ["owner", "worker", "mine"]


@pytest.mark.parametrize("what", ["node", "file", "signer"])
def test_what_is_missing_is_said_and_nothing_is_made(node, tmp_path, what):
    if what == "node":
        node.is_away = True
    elif what == "file":
        (tmp_path / "signer.json").write_text('{"owner"')
    else:
        people.tenant("pool").signer_grants.all().delete()

    with pytest.raises(CommandError, match="the pool's miner cannot be created yet") as refusal:
        run()

    assert "\n" not in str(refusal.value)


def test_a_miner_that_failed_is_said_to_have_failed(node):
    with pytest.raises(CommandError):
        run()
    Miner.objects.update(state=MinerState.FAILED, error="exit code 16")

    with pytest.raises(CommandError, match="could not be created: exit code 16"):
        run()


def test_pool_starts_after_its_first_miner_was_transferred(node: Node) -> None:
    with pytest.raises(CommandError):
        run()
    Miner.objects.update(state=MinerState.ACTIVE, actor_id=1004, tenant=people.tenant("bob"))

    assert "The pool's miner is f01004" in run()
    assert Miner.objects.get().tenant.name == "bob"
