"""The verb `run`: serves gateways and the wallet JSON-RPC until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from poolsite.tracing import tracing_start
from poolsite.wire.policy import is_old_default
from workers.config_mistakes import BadConfig
from workers.host_arguments import is_address
from workers.host_folder import token_read
from workers.logs import logs_set_up
from workers.signer.accounts import accounts_read
from workers.signer.changes import versions_now
from workers.signer.errors import SignerError
from workers.signer.fair_share import Limits
from workers.signer.gateway import GatewayLink, bad_address_text, gateway_url
from workers.signer.records import RecordQuery
from workers.signer.records_pruning import pruned_daily
from workers.signer.server import WalletApp, listen_socket, serve
from workers.signer.signer_folder import existing, password_path, password_read
from workers.signer.signing import Signer
from workers.signer.tokens import secret_load

log = structlog.get_logger(__name__)

T = TypeVar("T")


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    logs_set_up("signer")
    tracing_start("signer")
    signer = Signer(existing(options.dir))
    try:
        signer.records.old_index_drop()
        policy = signer.policy.current()
        if is_old_default(policy.digest, (rule.methods for rule in policy.rules)):
            log.warning(
                "policy_is_an_old_default", advice="it allows too much: compare it with `policy --default`"
            )
        if records_seem_lost(signer):
            log.warning(
                "no_records_yet",
                advice="if these keys have signed before, restore records.sqlite, or close the heights of"
                " their miners with `heights --close`",
            )
        versions_now(options.dir)
        if not options.locked:
            signer.store.unlock(password_read(options))
            signer.store.password_path = password_path(options)
        with pruned_daily(signer.folder / "records.sqlite"):
            asyncio.run(run_until_stopped(signer, options))
    finally:
        signer.close()
    return 0


def records_seem_lost(signer: Signer) -> bool:
    """Return whether nothing is recorded, not even a proof of a key, although a key is a day old."""
    before = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    keys = signer.store.content().entries.values()
    return any(key.created_at < before for key in keys) and not signer.records.query(RecordQuery(limit=1))


async def run_until_stopped(signer: Signer, options: argparse.Namespace) -> None:
    """Run the links and the server; the first that fails ends all."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every opened key
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    links = links_for(signer, options)
    if not links and not options.listen:
        raise SignerError("nothing to do: pass --console or --listen")
    listener = listen_socket(options.listen) if options.listen else None
    jobs = [asyncio.create_task(link.run()) for link in links]
    if listener is not None:
        app = WalletApp(signer, secret=lambda: secret_load(options.dir), hubs=links)
        jobs.append(asyncio.create_task(serve(app, listener)))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({*jobs, stopping}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    failed = [job for job in jobs if job.done()]
    for job in (*jobs, stopping):
        job.cancel()
    for job in jobs:
        with contextlib.suppress(asyncio.CancelledError):
            if job not in failed:
                await job
    for job in failed:
        job.result()


def links_for(signer: Signer, options: argparse.Namespace) -> list[GatewayLink]:
    """Return one link per gateway."""
    consoles = options.console
    if consoles and not options.token_file:
        raise SignerError("gateway token not set: pass --token-file")
    if options.gateway_requests < 1 or options.gateway_per_s <= 0:
        raise SignerError("--gateway-requests and --gateway-per-s must be above zero")
    token_files = for_each("--token-file", options.token_file, consoles)
    rule_sets = for_each("--set", options.set or [""], consoles)
    for url, token_file in zip(consoles, token_files, strict=True):
        if not is_address(url, "http", "https", "ws", "wss"):
            raise SignerError(bad_address_text(url))
        try:
            token_read(token_file)
        except BadConfig as error:
            raise SignerError(str(error)) from None
    limits = Limits(options.gateway_requests, options.gateway_per_s)
    return [
        GatewayLink(
            signer,
            url=gateway_url(url),
            token=partial(token_read, token_file),
            supported=sorted({*options.support_account, *accounts_read(options.dir)}),
            rule_set=rule_set,
            limits=limits,
        )
        for url, token_file, rule_set in zip(consoles, token_files, rule_sets, strict=True)
    ]


def for_each(option: str, values: Sequence[T], consoles: Sequence[str]) -> Sequence[T]:
    """Return a value for each gateway, of one that all share or one for each.  Raises SignerError."""
    if len(values) == 1:
        return [values[0]] * len(consoles)
    if len(values) != len(consoles):
        raise SignerError(f"pass {option} once, or once for each --console")
    return values
