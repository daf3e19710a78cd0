"""Stores as hosts tell of them: with each heartbeat the rows follow what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from msgspec.structs import asdict

from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.reasons import COLON, Reason, quoted
from apps.sectors.models import Sector, Store, StoreAttachment, StoreSample, Worker, WorkerCommand
from apps.sectors.reasons import BY, RENAMED, ROOM_PROMISED
from apps.sectors.services.files.removals import removals_detach_store, store_leftovers_remove
from apps.sectors.services.stores.events import ATTACHED, CHANGED, FAILED, event_write
from apps.sectors.services.stores.lost import files_find, forgotten_detach, is_forgotten
from apps.sectors.services.stores.move_steps import move_note, moves_of_orders_lock
from apps.sectors.states import DETACHED
from poolsite.wire.commands import MOVE_OPERATIONS, STORE_OPERATIONS, Operation
from poolsite.wire.stores import READABLE, SPACE_RESERVED, UNBOUNDED_BYTES, AttachedStore

SAMPLE_EVERY: Final = timedelta(minutes=10)
SAMPLES_KEPT: Final = timedelta(days=30)
SIZE_NOISE: Final = 1_000
"""Free bytes are written once they differ by this part of a size; without a bound, of what is used."""
RULES: Final = (
    *("weight", "max_bytes", "reserve_bytes", "is_read_only", "can_seal", "can_store"),
    *("groups", "allow_miners", "deny_miners", "allow_types", "deny_types"),
)


ATTACHMENTS: Final[Compiled[StoreAttachment]] = Compiled(
    "attachments_of_worker",
    lambda worker: StoreAttachment.objects.filter(worker=worker).select_related("store"),
    worker="bigint",
)


def stores_lock(worker: Worker, *, uids: Collection[str] = ()) -> None:
    """Lock the stores that a host has, and those of these uids."""
    own = Q(attachments__worker=worker) | Q(tenant_id=worker.tenant_id, uid__in=uids)
    keys = Store.objects.filter(own).values("pk")
    list(Store.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("uid"))


@transaction.atomic(savepoint=False)
def stores_note(worker: Worker, *, reported: Sequence[AttachedStore], now: datetime) -> list[str]:
    """Follow what a host tells of its stores; returns the names of those that it can read."""
    rows = {row.path: row for row in ATTACHMENTS.rows(worker=worker.pk)}
    readable = []
    known = {path: (row.store.uid, row.store.name) for path, row in rows.items()}
    if any(known.get(one.path) != (one.uid, one.name) for one in reported):  # its sectors' rows change, too
        stores_lock(worker, uids=[one.uid for one in reported])
    for one in sorted(reported, key=lambda one: one.uid):
        row = rows.pop(one.path, None)
        if row is not None and row.store.uid != one.uid:
            _detach(row, worker, now=now)
            row = None
        if row is None:
            row = _attach(one, worker, now=now)
        if row is None:
            continue
        store = row.store
        if store.name != one.name and one.condition in READABLE:
            _rename(store, one.name, worker, now=now)
        if one.condition in READABLE:
            _sizes_note(store, one, now=now)
            readable.append(store.name)
        _condition_note(row, one, worker, now=now)
    for missing in rows.values():
        _detach(missing, worker, now=now)
    return list(dict.fromkeys(readable))


def _attach(one: AttachedStore, worker: Worker, *, now: datetime) -> StoreAttachment | None:
    """Create the row of an attachment; None for a store that was forgotten, until it can be read.

    Else it would be back with the next heartbeat of the host that its disk died on.  Any other store is
    listed whatever its condition: sectors may lie in it.
    """
    store = Store.objects.filter(tenant_id=worker.tenant_id, uid=one.uid).first()
    if store is None:
        if one.condition not in READABLE and is_forgotten(worker.tenant_id, uid=one.uid):
            forgotten_detach(worker, uid=one.uid, now=now)
            return None
        name = one.name
        if Store.objects.filter(tenant_id=worker.tenant_id, name=name).exists():
            name = f"{name}{_name_suffix(one.uid)}"
        defaults = {"name": name[:110], "rules": _rules(one)}
        store, _ = Store.objects.get_or_create(tenant_id=worker.tenant_id, uid=one.uid, defaults=defaults)
    event_write(store, event=ATTACHED, actor=worker.name, note=one.path, now=now)
    if one.condition in READABLE:
        worker.commands.filter(op=Operation.DETACH, args__uid=one.uid, done_at=None, actor="console").delete()
        files_find(store, actor=worker.name, now=now)
    store_leftovers_remove(worker, store=store)
    return StoreAttachment.objects.create(
        store=store,
        worker=worker,
        path=one.path,
        condition=one.condition,
        reason=quoted(one.reason[:300], by="host"),
        disk=one.disk,
        since=now,
        by_console=one.by_console,
    )


def _name_suffix(uid: str) -> str:
    """Return what tells a store from another whose mark has the same name."""
    return f" {uid[:8]}"


def mark_name_encode(name: str, *, uid: str) -> str:
    """Return the name that the mark of the store with this row's name has."""
    return name.removesuffix(_name_suffix(uid))


def _detach(row: StoreAttachment, worker: Worker, *, now: datetime) -> None:
    event_write(row.store, event=DETACHED, actor=worker.name, note=row.path, now=now)
    removals_detach_store(worker, store=row.store)
    row.delete()


def _rename(store: Store, name: str, worker: Worker, *, now: datetime) -> None:
    """Rename a store after its mark, in its sectors too; a name that is taken is not used."""
    is_used = Store.objects.filter(tenant_id=store.tenant_id, name=name).exclude(pk=store.pk).exists()
    if is_used:
        return
    Sector.objects.filter(tenant_id=store.tenant_id, store=store.name).update(store=name)
    event_write(
        store,
        event=CHANGED,
        actor=worker.name,
        note=RENAMED(store=store.name),
        now=now,
    )
    store.name = name
    store.save(update_fields=["name", "updated_at"])


def _condition_note(row: StoreAttachment, one: AttachedStore, worker: Worker, *, now: datetime) -> None:
    facts = {
        "condition": one.condition,
        "reason": quoted(one.reason[:300], by="host"),
        "by_console": one.by_console,
        "disk": one.disk or row.disk,
    }
    if all(getattr(row, name) == value for name, value in facts.items()):
        return
    if row.condition != one.condition:
        row.since = now
        event_write(
            row.store, event=one.condition, actor=worker.name, note=quoted(one.reason, by="host"), now=now
        )
    for name, value in facts.items():
        setattr(row, name, value)
    row.save()


def _sizes_note(store: Store, one: AttachedStore, *, now: datetime) -> None:
    """Save sizes and rules that changed, and a sample of the used space now and then."""
    facts: dict[str, Any] = {"total_bytes": one.total_bytes, "reserved_bytes": one.reserved_bytes}
    facts |= {"sectors": one.sectors, "rules": _rules(one)}
    if one.disk_bytes:  # a host of an older version reports none: another host's figures stay
        facts["disk_bytes"] = one.disk_bytes
    is_listed = _is_listed(one)
    free = one.free_bytes if is_listed or store.told_at is None else store.free_bytes
    is_due = is_listed and (store.sampled_at is None or now - store.sampled_at >= SAMPLE_EVERY)
    used = max(one.total_bytes - free - one.reserved_bytes, 0)
    size = one.total_bytes if one.total_bytes < UNBOUNDED_BYTES else used
    is_noise = abs(store.free_bytes - free) * SIZE_NOISE <= size
    if is_noise and not is_due and all(getattr(store, name) == value for name, value in facts.items()):
        return
    for name, value in facts.items():
        setattr(store, name, value)
    store.free_bytes, store.told_at = free, now
    if one.disk_bytes:
        store.disk_free_bytes = one.disk_free_bytes
    if is_due:
        store.sampled_at = now
        StoreSample.objects.create(store=store, at=now, used_bytes=used)
        store.samples.filter(at__lt=now - SAMPLES_KEPT).delete()
    sizes = "free_bytes", "disk_free_bytes"
    store.save(update_fields=[*facts, *sizes, "told_at", "sampled_at", "updated_at"])
    publish(Change("store", str(store.uuid), store.tenant_id))


def _is_listed(one: AttachedStore) -> bool:
    """Return whether a host knows what its sectors take in a store: a bucket it lists beside its looks."""
    return not one.sectors or one.free_bytes + one.reserved_bytes < one.total_bytes


def _rules(one: AttachedStore) -> dict[str, Any]:
    reported = asdict(one)
    return {
        name: list(reported[name]) if isinstance(reported[name], tuple) else reported[name] for name in RULES
    }


def fault_read(text: str) -> Reason | str:
    """Return what a host says why an order failed, by its only word that decides something."""
    return Reason(text, ROOM_PROMISED, {"text": text}) if SPACE_RESERVED in text else quoted(text, by="host")


def orders_note(worker: Worker, *, done: Collection[str], errors: Mapping[str, str], now: datetime) -> None:
    """Note which orders a host could not carry out, and what became of those for stores."""
    commands = list(worker.commands.filter(uuid__in=done, done_at=None, op__in=STORE_OPERATIONS))
    moves_of_orders_lock(commands)
    for command in commands:
        error = fault_read(errors.get(str(command.uuid), ""))
        if command.op in MOVE_OPERATIONS:
            move_note(command, error=error, now=now)
        if error:
            WorkerCommand.objects.filter(pk=command.pk).update(error=error)
        store = Store.objects.filter(tenant_id=worker.tenant_id, uid=command.args.get("uid", "")).first()
        if store is not None and (error or command.op == Operation.SET_STORE):
            note = COLON(one=command.op, other=error) if error else BY(actor=command.actor)
            event_write(store, event=FAILED if error else CHANGED, actor=worker.name, note=note, now=now)
