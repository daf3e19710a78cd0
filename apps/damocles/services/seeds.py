"""The seed of a sector that a damocles-worker asks for, once a prover has seen the sector's files."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_noop

from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.services.files import files_wait
from apps.damocles.services.sector_locks import SectorName, damocles_sector_lock
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.seeds import seeds_assign
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SectorState

SEED_AGAIN = gettext_noop("the seed has changed: resume the thread with --state PersistanceSubmitted")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAnswer:
    """A sector's seed, or in how many epochs to ask for it again."""

    seed: bytes = b""
    epoch: int = 0
    wait_epochs: int = 0


def damocles_seed_assign(principal: Principal, *, name: SectorName, work: SealingContext) -> SeedAnswer:
    """Return a sector's seed, or how long it takes; none before a prover has seen the sector's files.

    Raises NotDamocles, NotThatFar.
    """
    with damocles_sector_lock(principal, name=name, now=work.now) as one:
        one.go_on()
        sector = one.sector
        if sector.state in ENDED_SECTORS or one.is_before(SectorState.PRECOMMIT_LANDED):
            raise NotThatFar(
                gettext("{name} is {state}: its pre-commit has not landed").format(
                    name=name, state=sector.state
                )
            )
    if sector.state == SectorState.PRECOMMIT_LANDED and sector.paused_at is None:
        seeds_assign(
            SectorsInProgress([sector]),
            client=work.client,
            network=work.network,
            head=work.head,
            now=work.now,
        )
    with damocles_sector_lock(principal, name=name, now=work.now) as one:
        if one.sector.store and files_wait(one):
            return SeedAnswer(wait_epochs=1)
        sector = one.sector
        if sector.seed is None or sector.seed_epoch is None:
            wait = work.network.pre_commit_challenge_delay + work.network.confidences.seed
            due = (sector.precommit_epoch or work.head.height) + wait
            return SeedAnswer(wait_epochs=max(due - work.head.height, 1))
        one.record.seed_epoch = sector.seed_epoch
        one.lease()
        return SeedAnswer(seed=bytes(sector.seed), epoch=sector.seed_epoch)
