"""A week of the small chain for 5 miners of 40 sectors, while parts of the pool are killed, stopped, slowed.

`make week` runs it alone.  POOLSITE_SOAK_NETWORK, _MINERS, _SECTORS and _PERIODS set the size.  A week of
`soak` takes 28 minutes (epochs of 4 s, windows of 40).  One of `test` (1 s, 10 s), the fastest on which hosts
can prove, takes 7 minutes, and needs both cores of a small machine to itself.  How it went, and what was not
judged since the machine had too much else to do, stands at the end of pytest's output.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest

from tests.acceptance.blocks import service_beside
from tests.acceptance.disturbances import Disturber
from tests.acceptance.messager import token_for
from tests.acceptance.pool import RunningPool, dice
from tests.acceptance.roles import Machine
from tests.acceptance.soak import Soak, Tally, Unjudged, miners_make, sectors_make
from tests.cables import Cable
from tests.integration.pools import wait_until
from tests.notes import REPORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Note = Callable[[str, object], None]

pytestmark = pytest.mark.xdist_group("pool")

NETWORK: Final = os.environ.get("POOLSITE_SOAK_NETWORK") or "soak"
MINERS: Final = int(os.environ.get("POOLSITE_SOAK_MINERS") or 5)
SECTORS: Final = int(os.environ.get("POOLSITE_SOAK_SECTORS") or 40)
PERIODS: Final = int(os.environ.get("POOLSITE_SOAK_PERIODS") or 7)

SHORT_EPOCHS: Final = 20
"""Ten minutes of epochs of 30 s."""
SHORT_SECTORS: Final = 4

TARGETS: Final = ("prover", "rack-b", "web-1", "web-2", "postgres", "devnet", "signer", "blocks")
PROVER_S: Final = 60
CALM_S: Final = 200.0


def soaked(
    pool: RunningPool, folder: Path, note: Note, *, miners: int, sectors: int, epochs: int = 0
) -> None:
    """Run a soak on a pool: for some epochs, or the periods that the environment says."""
    random = dice()
    names = miners_make(pool, miners)
    sectors_make(pool, names, sectors)
    token = folder / "token"
    token.write_text(token_for(pool, "pool", perm="write", scopes=["prover"]))
    with Cable(pool.port).running() as line, service_beside(pool):
        machine = Machine(pool, "rack-b", token, port=line.port)
        machine.start()
        try:
            wait_until(lambda: provers(pool) == 2, within_s=PROVER_S, what=pool.diagnosis)
            grid = pool.chain.deadline(names[0])
            period = int(grid["WPoStProvingPeriod"])
            disturber = Disturber(pool, machine, line, random, TARGETS)
            soak = Soak(pool, names, disturber, is_strict=not epochs)
            try:
                soak.run(epochs or PERIODS * period, random)
                calm = soak.disturber.height() + int(grid["WPoStChallengeWindow"])
                wait_until(lambda: pool.chain.height() > calm, within_s=CALM_S, what=pool.diagnosis)
                soak.end()
            finally:
                note(REPORT, soak.report)
        finally:
            machine.kill()
    [row] = [row for row in pool.read("/api/v1/workers")["results"] if row["host"] == machine.name]
    assert pool.ask("DELETE", f"/api/v1/workers/{row['uuid']}").status_code == 204


def provers(pool: RunningPool) -> int:
    """How many provers offer their proofs of wins, of the miner that has the fewest."""
    sql = "select count(*) from gateway_proverconnection where closed_at is null and purpose = 'proof'"
    return min(int(count) for (count,) in pool.rows_of(f"{sql} group by actor_id"))


@pytest.mark.slow
def test_a_week_of_accidents_costs_no_window_and_no_win(tmp_path: Path, record_property: Note) -> None:
    with RunningPool(POOLSITE_NETWORK=NETWORK) as pool:
        soaked(pool, tmp_path, record_property, miners=MINERS, sectors=SECTORS)


@pytest.mark.slow
def test_ten_minutes_of_accidents_cost_no_window_and_no_win(
    shared_pool: RunningPool, tmp_path: Path, record_property: Note
) -> None:
    soaked(shared_pool, tmp_path, record_property, miners=1, sectors=SHORT_SECTORS, epochs=SHORT_EPOCHS)


@pytest.mark.parametrize(
    ("is_strict", "load", "judged"), [(False, 2.5, False), (False, 1.5, True), (True, 9.0, True)]
)
def test_what_a_crowded_machine_keeps_from_being_judged_is_reported(
    monkeypatch: pytest.MonkeyPatch, is_strict: bool, load: float, judged: bool
) -> None:
    made = Soak.__new__(Soak)
    made.disturber, made.pool = SimpleNamespace(done=[]), SimpleNamespace(rows_of=lambda *_: [])  # type: ignore[assignment]  # nothing was disturbed
    made.first = made.seen = 10
    made.windows, made.wins, made.unjudged, made.is_strict = Tally(), Tally(), Unjudged(), is_strict
    made.undisturbed = 0
    lost = SimpleNamespace(miner="f01000", open=12, close=22, missed=True)
    audit = SimpleNamespace(read=lambda *_: None, windows=lambda *_: [lost], wins=lambda *_: [])
    made.audit = SimpleNamespace(**vars(audit), time_of=float)  # type: ignore[assignment]  # a chain of two windows
    monkeypatch.setattr("tests.acceptance.soak.crowding", lambda: load)

    if judged:
        with pytest.raises(AssertionError, match="f01000"):
            made.judge(21)
        assert made.report.endswith("each of 12 epochs was judged")
    else:
        made.judge(21)
        made.judge(31)
        assert "22 of 22 epochs were not judged" in made.report
        assert "up to 2.5 times the cores; 2 windows and 0 wins that were lost" in made.report
