"""How far a host's batch is whose layers lie on drives, in a sentence."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text
from apps.sectors.selectors.hosts import worker_is_away
from poolsite.wire.hardware import LayerBatch
from poolsite.wire.pipeline import Stage

if TYPE_CHECKING:
    from apps.sectors.models import Sector, Worker


def batch_of(worker: Worker | None, *, now: datetime) -> LayerBatch | None:
    """Return the batch that a host labels; None without one, and of a host that is away."""
    found = None if worker is None else worker.hardware.get("batch")
    if worker is None or not found or worker_is_away(worker, now=now):
        return None
    return msgspec.convert(found, LayerBatch)


def batch_text(batch: LayerBatch, *, now: datetime) -> str:
    """`layer 2 of 11; ends in about 6 h 10; 64 sectors, lanes empty: 3; 8.71 reads a node, …`."""
    return clauses_text([batch_brief(batch, now=now), batch_details(batch)])


def batch_brief(batch: LayerBatch, *, now: datetime) -> str:
    """`layer 2 of 11; ends in about 6 h 10`."""
    if batch.layer > batch.layers:
        step = gettext("replicas and trees are made")
    else:
        step = gettext("layer {layer} of {layers}").format(layer=batch.layer, layers=batch.layers)
    if not batch.end_s:
        return clauses_text([step, gettext("its end is not known yet")])
    left = formatting.time_left(batch.end_s - now.timestamp())
    return clauses_text([step, gettext("ends in about {left}").format(left=left)])


def batch_details(batch: LayerBatch) -> str:
    """`64 sectors, lanes empty: 3; 8.71 reads a node; drives: 1 000 000 reads a second, 1.91 GiB/s`."""
    sectors = plural(batch.sectors, "sector")
    parts = [gettext("{sectors}, lanes empty: {empty}").format(sectors=sectors, empty=batch.lanes_empty)]
    if batch.reads_milli:
        parts.append(gettext("{reads:.2f} reads a node").format(reads=batch.reads_milli / 1000))
    if batch.reads_s:
        count, size = formatting.whole(batch.reads_s), formatting.size(batch.reads_s * batch.page_bytes)
        rate = " ".join(size)
        parts.append(gettext("drives: {count} reads a second, {rate}/s").format(count=count, rate=rate))
    return clauses_text(parts)


def sector_batch_text(sector: Sector, *, now: datetime) -> str:
    """Return the sentence about the batch in which a sector is labelled; empty if it is in none."""
    batch = batch_of(sector.job.worker, now=now) if sector.stage == Stage.PC1 else None
    if batch is None or not sector.progress_done:  # one that waits for the next batch has none
        return ""
    return gettext("It is labelled in a batch on its host: {batch}.").format(batch=batch_text(batch, now=now))
