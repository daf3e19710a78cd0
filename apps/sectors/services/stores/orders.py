"""Orders for stores: the host carries them out and reports the outcome with a heartbeat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext_noop

from apps.core.errors import BadValue
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.units import values_with_units
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Store, StoreAttachment, Worker, WorkerCommand
from apps.sectors.reasons import LABELS
from apps.sectors.selectors.ended_sectors import sectors_lying_in
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.store_filters import LABEL_MAX
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.events import CHANGED, event_write
from apps.sectors.states import OPEN_MOVES
from apps.users.rules.principals import Principal
from poolsite.wire.codec import NUMBER_MAX
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import PATH_MAX, READABLE, WEIGHT_MAX

LABELS_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreChanges:
    """What is to be changed of a store; None stays."""

    weight: int | None = None
    reserve_bytes: int | None = None
    max_bytes: int | None = None
    read_only: bool | None = None
    labels: list[str] | None = None

    def rules(self) -> dict[str, str]:
        """Return what a host writes into the store's mark.  Raises BadValue."""
        most = {"weight": WEIGHT_MAX, "reserve_bytes": NUMBER_MAX, "max_bytes": NUMBER_MAX}
        rules = {}
        for name, limit in most.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not 0 <= value <= limit:
                raise BadValue(gettext("must be from 0 to {limit}").format(limit=limit), field=name)
            rules[name] = str(value)
        if self.read_only is not None:
            rules["read_only"] = "yes" if self.read_only else "no"
        return rules


@transaction.atomic
def store_attach(worker: Worker, *, path: str, is_new: bool, by: Principal) -> WorkerCommand:
    """Order a host to attach a folder or a bucket; a new store's gets its mark.  Raises BadValue."""
    path = path.strip()
    if not path.startswith(("/", "s3://")) or len(path) > PATH_MAX or "\0" in path:
        raise BadValue(gettext("must be an absolute path on the host, or s3://bucket/prefix"), field="path")
    args = {"path": path.rstrip("/") or "/"} | ({"init": "yes"} if is_new else {})
    return _order(
        worker,
        Operation.ATTACH,
        args,
        by=by,
        target=gettext_noop("{path} of {worker}").format(path=path, worker=worker.name),
    )


@transaction.atomic
def store_detach(attachment: StoreAttachment, *, now: datetime, by: Principal) -> WorkerCommand:
    """Order a host to detach a store; its files stay.  Raises StoreRefused."""
    store = Store.objects.select_for_update(no_key=True).get(pk=attachment.store_id)
    if reason := detach_refusal_explain(attachment, now=now):
        raise StoreRefused(reason)
    target = gettext_noop("{store} of {worker}").format(store=store.name, worker=attachment.worker.name)
    return _order(attachment.worker, Operation.DETACH, {"uid": store.uid}, by=by, target=target)


def detach_refusal_explain(attachment: StoreAttachment, *, now: datetime) -> str:
    """Return why a host must keep a store; empty: it need not.

    A prover must while sectors in it, or on their way there, are to be proven and no other prover that is
    there reads the store; a sealing host while it has sectors under way whose files lie there already.
    """
    store, worker = attachment.store, attachment.worker
    in_progress = (
        sectors_lying_in(store).exclude(state=SectorState.PROVING).filter(job__sticky_worker=worker).count()
    )
    if in_progress:
        many = plural(in_progress, "sector")
        return gettext("{store} holds {many} in progress on {worker}: let them finish first").format(
            many=many, worker=worker.name, store=store.name
        )
    if JobKind.WINDOW_POST not in worker.kinds:
        return ""
    if any(other.pk != worker.pk for other in provers_of_store(store, now=now)):
        return ""
    without = gettext("and no other online prover has it: attach it to another one first")
    if count := sectors_lying_in(store).count():
        return gettext("{sectors} in {store} must be proven, {without}").format(
            sectors=plural(count, "sector"), store=store.name, without=without
        )
    if count := store.moves_here.filter(state__in=OPEN_MOVES).count():
        return gettext("{sectors} being moved to {store} must be proven there, {without}").format(
            sectors=plural(count, "sector"), store=store.name, without=without
        )
    return ""


@transaction.atomic
def store_change(
    store: Store, *, changes: StoreChanges, now: datetime, by: Principal
) -> WorkerCommand | None:
    """Save the labels, and order a host to write the rest into the mark.  Raises BadValue, StoreRefused."""
    rules = changes.rules()
    if changes.labels is not None:
        labels = _labels_read(changes.labels)
        if labels != store.labels:
            before = {"labels": store.labels}
            store.labels = labels
            store.save(update_fields=["labels", "updated_at"])
            event_write(
                store,
                event=CHANGED,
                actor=by.actor,
                note=LABELS(labels=", ".join(labels) or "none"),
                now=now,
            )
            store_audit(by, action="store.labels", target=store.name, before=before, after={"labels": labels})
    if not rules:
        return None
    rows = store.attachments.filter(condition__in=READABLE, worker__retired_at=None).select_related("worker")
    host = next((row.worker for row in rows if not worker_is_away(row.worker, now=now)), None)
    if host is None:
        raise StoreRefused(
            gettext(
                "no online host can read {store}: these settings are written into the store itself"
            ).format(store=store.name)
        )
    args, before = {"uid": store.uid, **rules}, _rules_shown(store, rules)
    return _order(host, Operation.SET_STORE, args, by=by, target=store.name, before=before)


def _rules_shown(store: Store, changed: Iterable[str]) -> dict[str, str | None]:
    """Return what the store's mark said of these, as a host told it, with units."""
    reported = store.rules | {"read_only": "yes" if store.rules.get("is_read_only") else "no"}
    return values_with_units({name: reported.get(name) for name in changed})


def _labels_read(labels: list[str]) -> list[str]:
    found = sorted({label.strip() for label in labels if label.strip()})
    if len(found) > LABELS_MAX or any(len(label) > LABEL_MAX for label in found):
        raise BadValue(
            gettext("must be at most {limit}, each of at most {characters} characters").format(
                limit=LABELS_MAX, characters=LABEL_MAX
            ),
            field="labels",
        )
    return found


def _order(
    worker: Worker,
    op: Operation,
    args: dict[str, str],
    *,
    by: Principal,
    target: str,
    before: dict[str, str | None] | None = None,
) -> WorkerCommand:
    same = worker.commands.filter(op=op, args=args, done_at=None).first()
    if same is not None:  # a second click finds the same order
        return same
    command = WorkerCommand.objects.create(worker=worker, op=op, args=args, actor=by.actor)
    after = values_with_units({name: value for name, value in args.items() if name != "uid"})
    store_audit(by, action=f"store.{op}", target=target, before=before, after=after)
    publish(Change("worker", worker.pk, worker.tenant_id))
    publish(Change("store", "", worker.tenant_id))
    return command
