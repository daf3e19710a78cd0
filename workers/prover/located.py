"""Where the files of sectors lie that a proof reads; looked up again when a move took them away meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.porep.parameters import seal_parameters
from workers.processors.post_tasks import Replica

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import ProvenSector
    from workers.storage.attachment import Attachment
    from workers.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Located:
    """Where the files of sectors lie."""

    replicas: tuple[Replica, ...]
    unreachable: frozenset[int]
    """Numbers of those that are in no store which is there, while another store is away."""
    stores: tuple[Attachment, ...]
    """Stores that were looked through."""


def sectors_locate(
    stores: Stores, miner_id: int, sectors: Iterable[ProvenSector], *, uid: str = ""
) -> Located:
    """Return the places of sectors' files, with `uid` in that store alone.

    Raises UnknownSealProof, OSError if that store is not there or one went away.
    """
    here, away = stores.here(), stores.away()
    if uid:
        here, away = [one for one in here if one.uid == uid], []
        if not here:
            raise OSError("the store to be checked is unavailable")
    replicas, unreachable = [], set()
    for sector in sectors:
        parameters = seal_parameters(sector.seal_proof)
        name: dict[str, Any] = {"miner_id": miner_id, "number": sector.number}
        files = stores.proven_files(parameters, **name, comm_r=sector.comm_r, here=here)
        if files is None:
            if away:
                unreachable.add(sector.number)
            files = (here or away)[0].store.files(parameters, **name)
        replicas.append(
            Replica(
                sector_id=sector.number,
                comm_r=sector.comm_r,
                cache_dir=str(files.cache),
                sealed_file=str(files.sealed),
            )
        )
    return Located(tuple(replicas), frozenset(unreachable), tuple(here))


class OtherPlaces:
    """Other copies of a job's sectors: while one moves, two stores have it, until the old copy goes.

    `uid`: the only store that was looked through; the other half of what it has may lie in any.
    """

    def __init__(
        self, stores: Stores, miner_id: int, sectors: Iterable[ProvenSector], *, uid: str = ""
    ) -> None:
        self.stores, self.miner_id, self.uid = stores, miner_id, uid
        self.sectors = {sector.number: sector for sector in sectors}
        self.tried: dict[int, set[tuple[str, str]]] = {}
        """By sector: sealed files that could not be proven, each with its cache."""

    def after(self, replicas: Sequence[Replica], failed: Collection[int]) -> tuple[Replica, ...]:
        """Return the replicas, of those that failed another copy each; nothing if none has another.

        A store in which one was tried is passed over: a mount may show for a while what was removed.
        """
        chosen, here = list(replicas), self.stores.here()
        is_other = False
        for place, replica in enumerate(replicas):
            number = replica.sector_id
            if number not in failed:
                continue
            tried = self.tried.setdefault(number, set())
            tried.add((replica.sealed_file, replica.cache_dir))
            other = self._other(number, [one for one in here if not _has_one(one, tried)])
            if other is None and self.uid:
                other = self._other(number, here)
            if other is not None and (other.sealed_file, other.cache_dir) not in tried:
                chosen[place], is_other = other, True
        return tuple(chosen) if is_other else ()

    def may_be_away(self, numbers: Collection[int]) -> set[int]:
        """Return the sectors that a store which is away may have, as none that is here has a whole copy."""
        if not numbers or not self.stores.away():
            return set()
        here = self.stores.here()
        try:
            return {number for number in numbers if self._other(number, here) is None}
        except OSError:  # one more went away
            return set(numbers)

    def _other(self, number: int, stores: Sequence[Attachment]) -> Replica | None:
        sector = self.sectors[number]
        name: dict[str, Any] = {"miner_id": self.miner_id, "number": number}
        parameters = seal_parameters(sector.seal_proof)
        files = self.stores.proven_files(parameters, **name, comm_r=sector.comm_r, here=stores)
        try:
            if files is None or files.comm_r != sector.comm_r or not files.sealed.exists():
                return None
        except OSError:  # no better than the copy that was tried
            return None
        return Replica(number, sector.comm_r, str(files.cache), str(files.sealed))


def store_having(stores: Iterable[Attachment], file: str) -> str:
    """Return the identity of the store that a file lies in; empty: none of these."""
    return next((one.uid for one in stores if Path(file).is_relative_to(one.path)), "")


def _has_one(store: Attachment, tried: Collection[tuple[str, str]]) -> bool:
    return any(Path(sealed).is_relative_to(store.path) for sealed, _ in tried)
