"""One miner as REST writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.core.reasons import code_of
from apps.miners.selectors.senders import senders_chosen
from apps.miners.services.porep import porep_rule_read
from apps.miners.states import MinerState, Use
from poolsite.filecoin.porep.parameters import ChallengeRule

if TYPE_CHECKING:
    from apps.miners.models import Miner

CHALLENGE_RULES = [str(rule) for rule in ChallengeRule]


class MinerOutput(serializers.Serializer[Any]):
    """One miner as last read from the chain; found by any of its addresses, or by `uuid` without one."""

    uuid = serializers.UUIDField()
    address = serializers.CharField(allow_null=True)
    robust = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    tenant = serializers.CharField()
    state = serializers.ChoiceField(choices=MinerState.values)
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    create_message_id = serializers.CharField(
        allow_null=True, help_text="id of the message that creates it; null if it was imported"
    )
    owner = serializers.CharField()
    worker = serializers.CharField()
    control = serializers.ListField(child=serializers.CharField())
    beneficiary = serializers.CharField(allow_null=True)
    seal_proof = serializers.IntegerField()
    porep = serializers.ChoiceField(choices=CHALLENGE_RULES, help_text="how its new sectors are sealed")
    post_proof = serializers.IntegerField()
    sector_size = serializers.IntegerField()
    raw_power = serializers.CharField()
    qa_power = serializers.CharField()
    has_min_power = serializers.BooleanField()
    balance = serializers.CharField()
    available = serializers.CharField()
    locked = serializers.CharField()
    pledge = serializers.CharField()
    deposits = serializers.CharField()
    fee_debt = serializers.CharField()
    live_sectors = serializers.IntegerField()
    active_sectors = serializers.IntegerField()
    faulty_sectors = serializers.IntegerField()
    unlisted_sectors = serializers.IntegerField(
        help_text="live sectors not in the database, counted once per proving period"
    )
    current_deadline = serializers.IntegerField()
    refreshed_height = serializers.IntegerField(allow_null=True)
    works_from = serializers.IntegerField(
        allow_null=True, help_text="the pool proves and mines from this height on; null: always"
    )
    works_until = serializers.IntegerField(
        allow_null=True,
        help_text="another program does from this height on; 0: it already does; null: none does",
    )
    senders = serializers.DictField(child=serializers.CharField())


AMOUNTS = ("raw_power", "qa_power", "balance", "available", "locked", "pledge", "deposits", "fee_debt")
PLAIN = (
    "name",
    "state",
    "error",
    "owner",
    "worker",
    "control",
    "seal_proof",
    "post_proof",
    "sector_size",
    "has_min_power",
    "live_sectors",
    "active_sectors",
    "faulty_sectors",
    "unlisted_sectors",
    "works_from",
    "works_until",
    "current_deadline",
)


def miner_body(miner: Miner) -> dict[str, Any]:
    """Return one miner as JSON."""
    return miner_bodies([miner])[0]


def miner_bodies(miners: Sequence[Miner]) -> list[dict[str, Any]]:
    """Return miners as JSON, with as many queries for many as for one."""
    senders = senders_chosen(miners)
    return [_body(miner, senders[miner]) for miner in miners]


def _body(miner: Miner, senders: Mapping[Use, str]) -> dict[str, Any]:
    return {
        "uuid": str(miner.uuid),
        "address": miner.address or None,
        "robust": miner.robust or None,
        "create_message_id": miner.create_message_id or None,
        "error_code": code_of(miner.error),
        "tenant": miner.tenant.name,
        "beneficiary": miner.beneficiary or None,
        "porep": str(porep_rule_read(miner)),
        "refreshed_height": miner.refreshed_height if miner.refreshed_height >= 0 else None,
        "senders": {use.value: address for use, address in senders.items()},
        **{name: getattr(miner, name) for name in PLAIN},
        **{name: str(getattr(miner, name)) for name in AMOUNTS},
    }
