"""ChainReadObj gives the CIDs of a miner's deadlines: one moves when its partitions do, and no other."""

from __future__ import annotations

from poolsite.devnet.state.heads import deadlines_object
from poolsite.devnet.state.sector_rows import EMPTY_PARTITION, Deadline, deadlines_of, partitions_of
from poolsite.devnet.state.tables import EMPTY_STATE, Draft, State
from poolsite.filecoin.cbor import decode

MINER = 1000


def changed(base: State, *rows: tuple[str, object, object]) -> State:
    draft = Draft(base)
    for table, key, record in rows:
        draft.put(table, key, record)  # type: ignore[arg-type]  # keys and records of those tables
    return draft.seal()[0]


def roots(state: State) -> list[str]:
    [due] = decode(deadlines_object(state, MINER, 4))
    return [str(one) for one in due]


def test_a_deadline_moves_with_its_own_rows_alone() -> None:
    rows = [(deadlines_of(MINER), at, Deadline(partitions=0, posted=())) for at in range(4)]
    first = changed(EMPTY_STATE, *rows)
    posted = changed(first, (deadlines_of(MINER), 1, Deadline(partitions=0, posted=(0,))))
    filled = changed(posted, (partitions_of(MINER), (2, 0), EMPTY_PARTITION))
    before, then, last = roots(first), roots(posted), roots(filled)

    assert len(set(before)) == 4
    assert [at for at in range(4) if before[at] != then[at]] == [1]
    assert [at for at in range(4) if then[at] != last[at]] == [2]
    assert roots(changed(filled, *rows)) != before, "a partition is left"
