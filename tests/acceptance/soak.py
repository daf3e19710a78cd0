"""A week of the small chain for several miners, while parts of the pool are killed, held still and slowed."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from poolsite.filecoin.cids import Cid, cid_to_json
from poolsite.filecoin.keys import KeyInfo, key_import
from poolsite.filecoin.policy import SOAK
from tests.acceptance.chain import Chain
from tests.acceptance.chain_audit import ChainAudit, Win, Window
from tests.acceptance.disturbances import Disturbance, Disturber
from tests.acceptance.pool import MINER_S, SEALED_S, RunningPool
from tests.integration.pools import SITE, crowding, wait_until

SETTLED_S: Final = 4.0
"""After a disturbance of something that every block needs, whoever was connected is connected again."""
LANDING_S: Final = 6.0
"""A prover that has so long of a window, with everything else at work, must land its proof."""
CROWDED: Final = 2.0
"""From so many times the cores' work on, steps that take milliseconds take seconds."""
BEHIND: Final = 3
"""Epochs behind the head that are judged."""
ALONE: Final = ("devnet", "postgres", "signer")
"""There is one of each, and no proof lands without it."""
CALM_S: Final = (1.0, 5.0)
"""Between two disturbances."""
LONG_CALM_S: Final = (12.0, 20.0)
"""In a week every fourth time: long enough for wins that nothing excuses."""


@dataclass(slots=True)
class Tally:
    """How many there were, and how many of them went wrong."""

    all: int = 0
    bad: int = 0

    def add(self, seen: Sequence[object], bad: Sequence[object]) -> None:
        """Count more."""
        self.all, self.bad = self.all + len(seen), self.bad + len(bad)

    def __str__(self) -> str:
        return f"{self.bad} of {self.all}"


@dataclass(slots=True)
class Unjudged:
    """Epochs in which a loss did not count, as the machine had too much else to do."""

    epochs: int = 0
    load: float = 0.0
    """The highest, in times of the cores."""
    windows: int = 0
    """Lost windows that would have counted."""
    wins: int = 0

    def add(self, epochs: int, load: float, windows: int, wins: int) -> None:
        """Count more."""
        self.epochs, self.load = self.epochs + epochs, max(self.load, load)
        self.windows, self.wins = self.windows + windows, self.wins + wins

    def words(self, epochs: int) -> str:
        """Return what of so many epochs was not judged."""
        if not self.epochs:
            return f"each of {epochs} epochs was judged"
        return (
            f"{self.epochs} of {epochs} epochs were not judged for lost windows and wins, at a load of up to"
            f" {self.load:.1f} times the cores; {self.windows} windows and {self.wins} wins that were lost in"
            " them would have counted"
        )


def signer_verb(pool: RunningPool, verb: str, *words: str) -> str:
    """Run a verb of the pool's signer."""
    argv = [sys.executable, "-m", "workers", "signer", verb, "--dir", str(pool.var / "signer"), *words]
    return subprocess.run(argv, cwd=SITE, env=pool.env, check=True, capture_output=True, text=True).stdout


def worker_key(pool: RunningPool) -> KeyInfo:
    """The key that draws for all the pool's miners."""
    worker = json.loads((pool.var / "signer.json").read_text())["worker"]
    return key_import(signer_verb(pool, "export", worker).strip())


def miners_make(pool: RunningPool, count: int) -> list[str]:
    """Have so many miners, all of the same owner and worker, and let the signer work for them."""
    pool.wait_miner()
    keys = json.loads((pool.var / "signer.json").read_text())
    for number in range(2, count + 1):
        wish = {"name": f"soak-{number}", "owner": keys["owner"], "worker": keys["worker"]}
        answer = pool.ask("POST", "/api/v1/miners", json={**wish, "sector_size": 2048})
        assert answer.status_code == 201, answer.text

    def active() -> list[str]:
        rows = pool.read("/api/v1/miners")["results"]
        return [str(row["address"]) for row in rows if row["state"] == "ACTIVE"]

    wait_until(lambda: len(active()) == count, within_s=MINER_S, what=pool.diagnosis)
    miners = active()
    signer_verb(pool, "policy", "--by", "soak", *(word for one in miners for word in ("--miner", one)))
    return miners


def sectors_make(pool: RunningPool, miners: Sequence[str], count: int) -> None:
    """Have so many sectors of each miner sealed and active."""
    for miner in miners:
        if missing := count - len(pool.chain.sectors(miner)):
            pool.pledge(miner, missing)
    # committed just after its deadline's window, a sector waits a whole period for its first proof
    within_s = SEALED_S + SOAK.epoch_s * SOAK.proving.period + 20.0 * count * len(miners)
    for miner in miners:
        wait_until(
            lambda miner=miner: len(active(pool, miner)) >= count, within_s=within_s, what=pool.diagnosis
        )


def active(pool: RunningPool, miner: str) -> set[int]:
    """The miner's active sectors; none while the node cannot answer.  Looks twice a second."""
    time.sleep(0.5)
    with contextlib.suppress(httpx.TransportError):
        return pool.chain.active(miner)
    return set()


class Soak:
    """The run and what it must have kept."""

    def __init__(
        self, pool: RunningPool, miners: Sequence[str], disturber: Disturber, *, is_strict: bool
    ) -> None:
        self.pool, self.disturber = pool, disturber
        self.is_strict = is_strict
        """Whether a loss counts on a crowded machine too, since epochs are long enough."""
        self.needs_calm = is_strict
        """Whether some win must have fallen where nothing was disturbed."""
        self.audit = ChainAudit(pool.chain, miners, worker_key(pool))
        self.windows, self.wins, self.unjudged = Tally(), Tally(), Unjudged()
        self.undisturbed = 0
        """Wins that nothing excused, with a block or without."""
        self.first = pool.chain.height() + 1
        self.seen = self.first

    @property
    def done(self) -> list[Disturbance]:
        """What was disturbed so far."""
        return self.disturber.done

    def run(self, epochs: int, dice: random.Random) -> None:
        """Disturb until so many epochs have passed, and a window with sectors has closed.

        What the chain shows is judged after each: a node has the states of its newest epochs at hand.
        """
        end = self.first + epochs
        while self.disturber.height() < end or not self.windows.all:
            self.disturber.one()
            is_long = self.is_strict and dice.random() < 0.25
            time.sleep(dice.uniform(*(LONG_CALM_S if is_long else CALM_S)))
            self.judge(self.disturber.height() - BEHIND)

    def judge(self, last: int) -> None:
        """Require that nothing was lost since the last look, up to this epoch."""
        if last < self.seen:
            return
        self.audit.read(self.seen - 1, last)
        windows, wins = self.audit.windows(self.seen, last), self.audit.wins(self.seen, last)
        epochs, self.seen = last + 1 - self.seen, last + 1
        missed = [window for window in windows if window.missed]
        lost = [win for win in wins if not win.blocks]
        late = [window for window in missed if self.was_provable(window)]
        undisturbed = [win for win in wins if self.was_reachable(win)]
        blamed = [win for win in undisturbed if not win.blocks]
        self.undisturbed += len(undisturbed)
        self.windows.add(windows, missed)
        self.wins.add(wins, lost)
        print(f"epoch {last}: {self.windows} windows missed, {self.wins} wins without a block", flush=True)
        for win in lost:
            print(self.why_lost([win]), flush=True)
        load = crowding()
        if not self.is_strict and load > CROWDED:
            self.unjudged.add(epochs, load, len(late), len(blamed))
            print(f"load {load:.1f} times the cores: losses are not judged", flush=True)
            return
        words = "\n".join(map(str, self.done[-12:]))
        assert not late, f"{late}\n{self.why(late)}\n{words}"
        assert not blamed, f"{blamed}\n{self.why_lost(blamed)}\n{words}"

    @property
    def report(self) -> str:
        """What was seen, and what of it was not judged."""
        words = self.unjudged.words(self.seen - self.first)
        kept = f"{self.undisturbed} of the wins fell where nothing was disturbed"
        return f"{self.windows} windows missed, {self.wins} wins without a block ({kept}); {words}"

    # Who could

    def was_provable(self, window: Window) -> bool:
        """Whether a prover and all that it needs had long enough of a window.

        One thing at a time is disturbed, so a prover or a web process that is away leaves the others: only
        what there is one of takes from the window's time.
        """
        begin, end = self.audit.time_of(window.open), self.audit.time_of(window.close)
        gaps = sorted((one.begin, one.end) for one in self.done if one.name in ALONE and one.how != "slowed")
        free, at = 0.0, begin
        for from_s, to_s in gaps:
            if to_s > begin and from_s < end:
                free = max(free, from_s - at)
                at = max(at, to_s)
        return max(free, end - at) >= LANDING_S

    def was_reachable(self, win: Win) -> bool:
        """Whether everything that makes a block was at work from its base to its epoch."""
        begin, end = self.audit.time_of(win.base) - SETTLED_S, self.audit.time_of(win.epoch) + 2
        return not any(one.end > begin and one.begin < end for one in self.done)

    # What the pool says of it, for whoever reads a failure

    def why(self, windows: Iterable[Window]) -> str:
        """The pool's own words about windows."""
        sql = (
            "select miner.actor_id, post.open_epoch, post.state, post.error, post.tries, attempt.state,"
            " attempt.host, attempt.reason, post.landed_height from proving_windowpost post"
            " join miners_miner miner on miner.id = post.miner_id"
            " left join proving_proofattempt attempt on attempt.post_id = post.id where post.open_epoch = %s"
        )
        return "\n".join(str(row) for one in windows for row in self.pool.rows_of(sql, one.open))

    def why_lost(self, wins: Iterable[Win]) -> str:
        """The pool's own words about wins."""
        sql = (
            "select round.state, round.reason, round.steps from blocks_round round"
            " join miners_miner miner on miner.id = round.miner_id where epoch = %s and miner.actor_id = %s"
        )
        return "\n".join(str((one, self.pool.rows_of(sql, one.epoch, int(one.miner[2:])))) for one in wins)

    # The end

    def end(self) -> None:
        """Require what must hold once everything has calmed down."""
        wait_until(self.pool.all_up, within_s=60, what=self.pool.diagnosis)
        self.judge(self.pool.chain.height() - BEHIND)
        assert doubles(self.pool.chain, self.pool.var / "devnet" / "chain.sqlite", self.audit.miners) == []
        for miner in self.audit.miners:
            info: dict[str, Any] = self.pool.chain.call("StateMinerInfo", miner, None)
            assert info["ConsensusFaultElapsed"] == -1, info
        self.audit.messages_require()
        assert self.undisturbed or not self.needs_calm, "each win fell beside a disturbance: none was judged"
        print(Counter(f"{one.name} {one.how}" for one in self.done))


def doubles(chain: Chain, path: Path, miners: Iterable[str]) -> list[tuple[str, int]]:
    """Miners and heights for which the node has seen two blocks, in its chain or beside it."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
        cids = [cid_to_json(Cid(data)) for (data,) in link.execute("SELECT cid FROM blocks")]
    blocks = chain.call_many([("ChainGetBlock", [cid]) for cid in cids])
    seen = Counter((str(block["Miner"]), int(block["Height"])) for block in blocks)
    return [key for key, count in seen.items() if count > 1 and key[0] in set(miners)]
