"""Stage sector_check: whether the files of sectors are there, whole, and prove one random leaf.

What damocles calls a provable check: far cheaper than a proof, and made before the proof is due.
Source: damocles-manager modules/impl/sectors/proving.go SingleProvable (files, sizes, one random proof).
"""

from __future__ import annotations

import time
from dataclasses import replace

from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStKind
from workers.processors import inputs
from workers.processors.errors import BadFile, BadProof
from workers.processors.parallel import Progress, no_progress
from workers.processors.post_sector import post_parameters_of, sector_prove
from workers.processors.post_tasks import BadReplica, SectorCheckOutput, SectorCheckTask
from workers.processors.window_post import distinct_replicas


def run(task: SectorCheckTask, *, progress: Progress = no_progress) -> SectorCheckOutput:
    """Look at each sector once, no faster than was asked."""
    parameters = replace(post_parameters_of(task.proof_type, PoStKind.WINDOW), challenges=1)
    inputs.digests_check(seed=task.seed)
    randomness = post_randomness(task.seed)
    replicas = distinct_replicas(task.replicas)
    bad, started = [], time.monotonic()
    for done, replica in enumerate(replicas):
        if task.per_second:
            time.sleep(max(started + done / task.per_second - time.monotonic(), 0))
        try:
            sector_prove(parameters, replica, randomness=randomness, position=0)
        except (BadFile, BadProof) as error:
            bad.append(BadReplica(replica.sector_id, str(error)))
        progress(done + 1, len(replicas))
    return SectorCheckOutput(tuple(bad))
