"""Draws the flows of docs/flows.md: `make docs`; a test holds every hop to the code."""

from __future__ import annotations

from typing import Final, NamedTuple

HEAD: Final = """# Flows

Each box is a function or class and its module. A solid arrow means that the first imports the second, a
dashed one goes through a row, a queue or a socket. Drawn by `make docs`; `make test`
compares, and fails for a box that does not exist or a solid arrow without its import.
[architecture.md](architecture.md#six-flows) describes what each flow is for.
"""


class Hop(NamedTuple):
    """From one place to the next; with `over` it is no call."""

    source: str
    target: str
    over: str = ""


FLOWS: Final[dict[str, tuple[Hop, ...]]] = {
    "A message": (
        Hop("apps.api.v1.messages:MessagesView", "apps.api.outside_messages:outside_message_push"),
        Hop(
            "apps.api.outside_messages:outside_message_push",
            "apps.messages.services.push:messages_push_batch",
        ),
        Hop("apps.messages.services.push:messages_push_batch", "apps.messages.tasks:select", "row, head"),
        Hop("apps.messages.tasks:select", "apps.messages.tasks:select_sender", "Celery"),
        Hop("apps.messages.tasks:select_sender", "apps.messages.services.select:sender_select"),
        Hop(
            "apps.messages.services.select:sender_select",
            "apps.messages.services.estimate_rounds:messages_choose",
        ),
        Hop(
            "apps.messages.services.estimate_rounds:messages_choose",
            "apps.messages.services.sign:selection_sign",
        ),
        Hop("apps.messages.tasks:select_sender", "apps.messages.services.publish:messages_publish"),
        Hop("apps.messages.services.publish:messages_publish", "apps.messages.tasks:track", "chain, head"),
        Hop("apps.messages.tasks:track", "apps.messages.services.track:messages_track"),
    ),
    "A sector": (
        Hop(
            "apps.api.v1.miner_pledge:MinerSectorsView", "apps.sectors.services.sealing.pledge:pledge_create"
        ),
        Hop(
            "apps.sectors.services.sealing.pledge:pledge_create",
            "apps.sectors.services.jobs.claims:jobs_claim",
            "job",
        ),
        Hop("apps.sectors.services.jobs.claims:jobs_claim", "workers.agent.loop:Agent", "claim"),
        Hop("workers.agent.loop:Agent", "workers.agent.stages:StageRunner", "Celery of the host"),
        Hop("workers.agent.loop:Agent", "apps.sectors.services.jobs.stage_events:job_event_record", "report"),
        Hop(
            "apps.sectors.services.jobs.stage_events:job_event_record",
            "apps.sectors.services.sealing.steps:sector_step",
        ),
        Hop(
            "apps.sectors.services.sealing.steps:sector_step",
            "apps.sectors.tasks:sectors_advance",
            "row, head",
        ),
        Hop("apps.sectors.tasks:sectors_advance", "apps.sectors.services.sealing.tickets:tickets_assign"),
        Hop(
            "apps.sectors.services.sealing.steps:sector_step", "apps.sectors.tasks:sectors_batch", "row, head"
        ),
        Hop("apps.sectors.tasks:sectors_batch", "apps.sectors.services.batches.closing:batches_close"),
        Hop(
            "apps.sectors.services.batches.closing:batches_close",
            "apps.sectors.services.batches.messages:batch_push",
        ),
        Hop(
            "apps.sectors.services.batches.messages:batch_push",
            "apps.messages.services.push:messages_push_batch",
        ),
    ),
    "A window": (
        Hop("apps.proving.tasks:proving_refresh", "apps.proving.services.deadlines:deadlines_follow"),
        Hop(
            "apps.proving.services.deadlines:deadlines_follow",
            "apps.proving.tasks:proving_submit",
            "rows, head",
        ),
        Hop("apps.proving.tasks:proving_submit", "apps.proving.services.posts:posts_advance"),
        Hop("apps.proving.tasks:proving_submit", "apps.proving.tasks:proving_share", "Celery"),
        Hop("apps.proving.tasks:proving_share", "apps.proving.services.posts:posts_advance"),
        Hop(
            "apps.proving.services.posts:posts_advance", "apps.proving.services.read_ahead:post_reader_build"
        ),
        Hop("apps.proving.services.posts:posts_advance", "apps.proving.services.windows:posts_begin"),
        Hop("apps.proving.services.posts:posts_advance", "apps.proving.services.proofs:posts_prove"),
        Hop("apps.proving.services.proofs:posts_prove", "apps.proving.services.proof_orders:jobs_create"),
        Hop("apps.proving.services.proof_orders:jobs_create", "workers.prover.loop:Prover", "job, claim"),
        Hop(
            "apps.proving.services.proof_orders:jobs_create",
            "apps.proving.services.backup_prover:backup_monitor",
        ),
        Hop(
            "apps.proving.services.backup_prover:backup_monitor",
            "apps.proving.rules.stall_detection:stall_detect",
        ),
        Hop("workers.prover.loop:Prover", "apps.sectors.services.jobs.reports:job_complete", "report"),
        Hop("apps.proving.services.posts:posts_advance", "apps.proving.services.submissions:posts_submit"),
        Hop(
            "apps.proving.services.submissions:posts_submit",
            "apps.messages.services.push:messages_push_batch",
        ),
    ),
    "A block": (
        Hop("apps.blocks.rounds.producer:BlockProducer", "apps.blocks.rounds.miner_round:MinerRound"),
        Hop("apps.blocks.rounds.miner_round:MinerRound", "apps.blocks.rounds.template:BlockTemplate"),
        Hop("apps.blocks.rounds.miner_round:MinerRound", "apps.blocks.services.guard:blocks_reserve"),
        Hop("apps.blocks.rounds.miner_round:MinerRound", "workers.signer.signing:Signer", "hub"),
        Hop("apps.blocks.rounds.producer:BlockProducer", "apps.blocks.rounds.chores:chores_do"),
        Hop("apps.blocks.rounds.chores:chores_do", "apps.blocks.services.settle:rounds_settle"),
    ),
    "A head": (
        Hop("apps.chain.heads.follow:ChainFollower", "apps.chain.services.heads:head_follow"),
        Hop("apps.chain.services.heads:head_follow", "apps.messages.tasks:select", "Celery"),
        Hop("apps.chain.services.heads:head_follow", "apps.core.live:publish"),
        Hop("apps.core.live:publish", "apps.dashboard.live:AudiencePages", "channel layer"),
        Hop("apps.dashboard.live:AudiencePages", "apps.dashboard.live_fragments:fragments_render"),
    ),
    "A signature": (
        Hop("apps.wallets.services.sign:messages_sign", "apps.gateway.services.signatures:wallet_sign_all"),
        Hop(
            "apps.gateway.services.signatures:wallet_sign_all",
            "apps.gateway.hub.blocking_client:requests_send",
        ),
        Hop(
            "apps.gateway.hub.blocking_client:requests_send",
            "apps.gateway.providers.hub_node:HubNode",
            "Redis",
        ),
        Hop(
            "apps.gateway.providers.hub_node:HubNode",
            "apps.gateway.providers.wallet:WalletProvider",
            "own connections",
        ),
        Hop(
            "apps.gateway.providers.wallet:WalletProvider",
            "workers.signer.gateway:GatewaySession",
            "WebSocket",
        ),
        Hop("workers.signer.gateway:GatewaySession", "workers.signer.signing:Signer"),
    ),
}


def box(place: str) -> str:
    """Return a place as a node of Mermaid."""
    module, _, name = place.partition(":")
    return f'{place.replace(".", "_").replace(":", "__")}["{name}<br>{module}"]'


def drawn(hops: tuple[Hop, ...]) -> str:
    """Return a flow as a diagram."""
    lines = [
        f"    {box(hop.source)} {f'-. {hop.over} .->' if hop.over else '-->'} {box(hop.target)}"
        for hop in hops
    ]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def page() -> str:
    """Return the page of all flows."""
    return HEAD + "".join(f"\n## {name}\n\n{drawn(hops)}\n" for name, hops in FLOWS.items())
