"""A pool with a collector: one message and one sector are one trace each, through all processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from poolsite.tracing.subjects import of_jobs, of_messages
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.otlp import Collector, collector

pytestmark = pytest.mark.xdist_group("pool")

CALLER = "11111111111111111111111111111111"
OF_A_MESSAGE = {
    "poolsite-web": {"message", "message push", "POST api-messages", "connection WalletSign"},
    "poolsite-tasks": {
        *("task messages.select_sender", "message choose", "message FILL", "message publish", "message LAND"),
        *("hub WalletSign", "node GasBatchEstimateMessageGas", "node MpoolPush"),
    },
    "poolsite-signer": {"signer WalletSign"},
}
OF_A_SECTOR = {
    "poolsite-web": {"job", "sector begin", "job claim", "sector PC1", "sector C2"},
    "poolsite-sealer": {"stage PC1", "stage PC2", "stage C2", "stage FINALIZE", "report"},
    "poolsite-tasks": {
        *("sector ASSIGN_TICKET", "sector send", "sector SEND_PRECOMMIT", "sector LAND_PRECOMMIT"),
    },
}
"""Names of spans by service; each process sends its own a moment later."""


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[RunningPool, Collector]]:
    with collector() as kept:
        made = RunningPool(
            web_processes=1,
            has_tables=True,
            OTEL_EXPORTER_OTLP_ENDPOINT=kept.url,
            OTEL_BSP_SCHEDULE_DELAY="200",
        )
        with made as pool:
            pool.wait_miner()
            yield pool, kept


def missing(kept: Collector, trace_id: str, wanted: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return which spans a trace lacks; both task processes are one service."""
    found: dict[str, set[str]] = {}
    for one in kept.trace(trace_id):
        found.setdefault(one.service.removesuffix("-slow"), set()).add(one.name)
    lacks = {service: names - found.get(service, set()) for service, names in wanted.items()}
    return {service: names for service, names in lacks.items() if names}


def test_a_message_over_rest_is_one_trace_until_it_has_landed(traced: tuple[RunningPool, Collector]) -> None:
    pool, kept = traced
    wallets = pool.read("/api/v1/wallets")["results"]
    sender = next(row["address"] for row in wallets if int(row["balance"] or 0) > 10**18)
    body = {"id": "followed", "from": sender, "to": wallets[-1]["address"], "value": "1", "method": 0}
    header = {"traceparent": f"00-{CALLER}-2222222222222222-01"}

    answer = pool.ask("POST", "/api/v1/messages", json=body, headers=header)

    assert answer.status_code == 201, answer.text
    ((key,),) = pool.rows_of("select id from messages_message where push_id = 'followed'")
    (subject,) = of_messages([key])
    trace_id = f"{subject.trace_id:032x}"
    wait_until(
        lambda: missing(kept, trace_id, OF_A_MESSAGE) == {},
        within_s=60,
        what=lambda: str(missing(kept, trace_id, OF_A_MESSAGE)),
    )
    made = {one.span_id: one for one in kept.trace(trace_id)}
    below = [one for one in made.values() if one.name != "message"]
    assert all(one.parent_id in made for one in below), [one for one in below if one.parent_id not in made]
    asked = next(one for one in kept.trace(CALLER) if one.name == "POST api-messages")
    twin = next(one for one in made.values() if one.name == asked.name)
    assert CALLER in twin.links
    secrets = [pool.operator["admin_token"], pool.operator["password"]]
    sent = b"".join(kept.bodies)
    assert not any(secret.encode() in sent for secret in secrets)


@pytest.mark.slow
def test_a_sector_is_one_trace_on_console_and_host(traced: tuple[RunningPool, Collector]) -> None:
    pool, kept = traced
    (uuid,) = pool.pledge(pool.miner())

    pool.wait_state(uuid, "PROVING", within_s=240)

    ((job,),) = pool.rows_of(
        "select j.uuid from sectors_job j join sectors_sector s on s.id = j.sector_id where s.uuid = %s", uuid
    )
    (subject,) = of_jobs([job])
    trace_id = f"{subject.trace_id:032x}"
    wait_until(
        lambda: missing(kept, trace_id, OF_A_SECTOR) == {},
        within_s=60,
        what=lambda: str(missing(kept, trace_id, OF_A_SECTOR)),
    )
    sends = [one for one in kept.trace(trace_id) if one.name == "sector send"]
    (message,) = of_messages([sends[0].facts["poolsite.message"]])
    assert {"message", "message push", "message LAND"} <= {
        one.name for one in kept.trace(f"{message.trace_id:032x}")
    }
