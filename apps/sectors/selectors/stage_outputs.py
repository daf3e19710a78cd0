"""What a stage's report must bring, and the columns that it fills."""

from __future__ import annotations

from typing import Any

from apps.core.marked_texts import gettext
from apps.sectors.errors.jobs import BadReport
from apps.sectors.models import Store
from apps.sectors.rules.params import pieces_column
from apps.sectors.rules.policy import SealingPolicy
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.pipeline import Stage, StageSpec


def outputs_check(
    stage: StageSpec, *, outputs: StageOutputs, policy: SealingPolicy, tenant_id: int
) -> dict[str, Any]:
    """Return the columns that a stage's report fills.  Raises BadReport naming what is missing."""
    for name in stage.outputs:
        if name != "pieces" and getattr(outputs, name) in (None, b"", ""):  # none: a sector of zeros
            raise BadReport("missing", field=f"outputs.{name}")
    if outputs.proof is not None and len(outputs.proof) > policy.proof_max_bytes:
        raise BadReport(
            gettext("must have at most {limit} bytes").format(limit=policy.proof_max_bytes),
            field="outputs.proof",
        )
    columns = outputs_map_columns(stage, outputs=outputs)
    if stage.stage == Stage.FINALIZE and outputs.store:  # its store was lost: it has another
        columns["store"] = outputs.store
    if "store" in columns and outputs.store_uid:
        store = Store.objects.filter(tenant_id=tenant_id, uid=outputs.store_uid).first()
        columns["store"] = outputs.store if store is None else store.name
    return columns


def outputs_map_columns(stage: StageSpec, *, outputs: StageOutputs) -> dict[str, Any]:
    """Return the sector's columns that a stage's outputs fill; a proof has a row of its own."""
    columns = {name: getattr(outputs, name) for name in stage.outputs if name != "proof"}
    if "pieces" in columns:
        columns["pieces"] = pieces_column(outputs.pieces or ())
    return columns
