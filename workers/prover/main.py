"""`python -m workers prover`: proves what the store holds, as often as the chain asks."""

from __future__ import annotations

import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from poolsite.wire.jobs import JobKind
from workers.config import WARMTH_FILE, BadConfig, prover_config
from workers.console.client import Console
from workers.console.line import Line, NotTaken
from workers.console.process import AlreadyRunning, owned, refuse, stop_on_signal
from workers.logs import logs_set_up
from workers.processors.pool import ChildSpec, ProcessorPool
from workers.processors.warmth import WARMTH_VARIABLE, HostWarmth
from workers.prover.gateway import ProofLine, gateway_url
from workers.prover.loop import Prover
from workers.prover.winning import compute_proof
from workers.storage.store import Store, StoreAway, store_known

if TYPE_CHECKING:
    from workers.config import HostConfig

STAGES = ("window_post", "winning_post")


def run(config: HostConfig, *, stop: threading.Event) -> None:
    """Work until `stop` is set.  Raises NotTaken, StoreAway."""
    console = Console(config.console, config.token)
    store = Store(config.store)
    line = Line(config, console, kinds=(JobKind.WINDOW_POST,), slots={"WINDOW_POST": 1})
    line.stores = (store_known(store, config.folder),)
    warmth = HostWarmth(config.folder / WARMTH_FILE, STAGES)
    pool = ProcessorPool([ChildSpec(stages=STAGES, environment={WARMTH_VARIABLE: str(warmth.path)})])
    prover = Prover(console=console, line=line, pool=pool, store=store)

    def compute(miner: int, request: Any) -> Any:
        return compute_proof(
            request, store=store, miner_id=miner, prove=lambda task: pool.call("winning_post", task)
        )

    gateway = ProofLine(
        url=gateway_url(config.console), token=config.token, miners=store.miners, compute=compute
    )
    try:
        threading.Thread(target=pool.keep_warm, daemon=True).start()
        threading.Thread(target=line.register_until_known, daemon=True).start()
        line.start()
        gateway.start()
        while not stop.is_set():
            line.require_taken()
            told = warmth.read()
            line.kernels_note(**asdict(told))
            stop.wait(prover.tick() if line.registered is not None and told.is_warm else 0.1)
    finally:
        gateway.stop()
        line.stop()
        prover.close()
        pool.close()
        console.close()


def main(argv: list[str] | None = None) -> int:
    """Run a prover until SIGTERM or SIGINT; gives the exit code."""
    try:
        config = prover_config(sys.argv[1:] if argv is None else argv)
        with owned(config.folder, name="prover"):
            logs_set_up("prover")
            run(config, stop=stop_on_signal())
    except (BadConfig, AlreadyRunning, NotTaken, StoreAway) as error:
        return refuse(str(error))
    return 0
