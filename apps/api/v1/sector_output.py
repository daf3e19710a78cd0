"""One sector as REST writes it: its messages, what it waits for, its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.sector_change_output import ChangeOutput, change_body
from apps.api.v1.serializers import CODE_HELP
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.sector_changes import changes_newest
from apps.sectors.selectors.sector_messages import SectorMessage, sectors_messages
from apps.sectors.selectors.sector_waits import sector_wait
from apps.sectors.selectors.sectors import events_in_order, resume_choices, sector_events
from poolsite.wire.pipeline import SECTOR_STAGES, SECTOR_STATES

if TYPE_CHECKING:
    from apps.sectors.models import JobEvent, Sector

EVENTS_MAX = 500


class SectorMessageOutput(serializers.Serializer[Any]):
    """A message of the sector on its way to the chain."""

    id = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField()
    cid = serializers.CharField(allow_null=True)


class WaitOutput(serializers.Serializer[Any]):
    """What the sector is waiting for."""

    what = serializers.CharField()
    until_epoch = serializers.IntegerField(allow_null=True)


class SectorOutput(serializers.Serializer[Any]):
    """One sector."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=SECTOR_STATES)
    stage = serializers.ChoiceField(choices=SECTOR_STAGES)
    stage_since = serializers.DateTimeField()
    progress = serializers.FloatField(allow_null=True)
    active = serializers.BooleanField()
    active_since = serializers.DateTimeField(allow_null=True)
    paused = serializers.BooleanField()
    paused_by = serializers.CharField(help_text="who paused it; empty: it failed, or is not paused")
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    attempts = serializers.IntegerField()
    worker = serializers.CharField(allow_null=True)
    store = serializers.CharField(allow_null=True)
    seal_proof = serializers.IntegerField()
    sector_size = serializers.IntegerField()
    comm_d = serializers.CharField(allow_null=True)
    comm_r = serializers.CharField(allow_null=True)
    ticket_epoch = serializers.IntegerField(allow_null=True)
    precommit_epoch = serializers.IntegerField(allow_null=True)
    seed_epoch = serializers.IntegerField(allow_null=True)
    activation = serializers.IntegerField(allow_null=True)
    expiration = serializers.IntegerField(allow_null=True)
    deadline = serializers.IntegerField(allow_null=True)
    partition = serializers.IntegerField(allow_null=True)
    initial_pledge = serializers.CharField()
    change = ChangeOutput(allow_null=True, help_text="its latest termination or extension")
    messages = SectorMessageOutput(many=True)
    wait = WaitOutput(allow_null=True)
    created_at = serializers.DateTimeField()


class SectorEventOutput(serializers.Serializer[Any]):
    """One step or failure of a sector."""

    at = serializers.DateTimeField()
    event = serializers.CharField()
    stage = serializers.CharField()
    from_state = serializers.CharField()
    to_state = serializers.CharField()
    ms = serializers.IntegerField(allow_null=True)
    actor = serializers.CharField()
    note = serializers.CharField()
    note_code = serializers.CharField(help_text=CODE_HELP)
    is_error = serializers.BooleanField()


class SectorDetail(SectorOutput):
    """One sector with its events, and the states from which it can continue when paused."""

    events = SectorEventOutput(many=True)
    resume_at = serializers.ListField(child=serializers.CharField())


PLAIN = (
    "number",
    "state",
    "stage",
    "stage_since",
    "progress",
    "active",
    "active_since",
    "error",
    "attempts",
    "seal_proof",
    "sector_size",
    "ticket_epoch",
    "precommit_epoch",
    "seed_epoch",
    "activation",
    "expiration",
    "deadline",
    "partition",
    "created_at",
)


def sectors_body(sectors: Sequence[Sector]) -> list[dict[str, Any]]:
    """Return sectors with their messages as JSON, in two queries for all of them."""
    messages, changes = sectors_messages(sectors), changes_newest(sectors)
    head = head_current()
    height = 0 if head is None else head.height
    try:
        network = network_current()
        delay, confidence = network.pre_commit_challenge_delay, network.confidences.seed
    except NetworkUnknown:
        delay = confidence = 0
    return [
        sector_body(sector, messages[sector.pk])
        | {
            "wait": _wait(sector, height=height, delay=delay, confidence=confidence),
            "change": change_body(changes[sector.pk]) if sector.pk in changes else None,
        }
        for sector in sectors
    ]


def _wait(sector: Sector, *, height: int, delay: int, confidence: int) -> dict[str, Any] | None:
    wait = sector_wait(
        sector, height=height, challenge_delay=delay, seed_confidence=confidence, now=clock.now()
    )
    return None if wait is None else {"what": wait.what, "until_epoch": wait.until_epoch}


def sector_body(sector: Sector, messages: Sequence[SectorMessage]) -> dict[str, Any]:
    """Return one sector as JSON."""
    worker = sector.job.worker or sector.job.sticky_worker
    return {
        "uuid": str(sector.uuid),
        "miner": sector.miner.address,
        "paused": sector.paused_at is not None,
        "paused_by": sector.paused_by,
        "error_code": code_of(sector.error),
        "worker": None if worker is None else worker.name,
        "store": sector.store or None,
        "comm_d": _hex(sector.comm_d),
        "comm_r": _hex(sector.comm_r),
        "initial_pledge": str(sector.initial_pledge),
        "messages": [message_body(one) for one in messages],
        **{name: getattr(sector, name) for name in PLAIN},
    }


def message_body(one: SectorMessage) -> dict[str, Any]:
    """Return one of a sector's messages as JSON; before the messager has it, it counts as unfilled."""
    return {
        "id": one.batch.message_id,
        "kind": one.kind,
        "state": "UNFILLED" if one.message is None else one.message.state,
        "cid": None if one.message is None else one.message.cid or None,
    }


def _hex(value: bytes | memoryview | None) -> str | None:
    return None if value is None else bytes(value).hex()


def event_body(row: JobEvent) -> dict[str, Any]:
    """Return one step as JSON."""
    names = ("at", "event", "stage", "from_state", "to_state", "ms", "actor", "note", "is_error")
    return {name: getattr(row, name) for name in names} | {"note_code": code_of(row.note)}


def detail_body(sector: Sector) -> dict[str, Any]:
    """Return one sector with its steps as JSON."""
    return sectors_body([sector])[0] | {
        "events": [event_body(row) for row in events_in_order(sector, sector_events(sector)[:EVENTS_MAX])],
        "resume_at": list(resume_choices(sector)) if sector.paused_at is not None else [],
    }
