"""The same bad input sent to running web processes, over HTTP and WebSocket: refused, and nothing written."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from apps.api.rpc.callers import REGULAR_S
from tests.acceptance.bad_frames import FRAMES, SILENT, Frame
from tests.acceptance.bad_requests import BODIES, REPORTS, RPC_CASES, SENDING, WHO_CALLS
from tests.acceptance.fingerprint import fingerprint
from tests.acceptance.pool import RunningPool
from tests.acceptance.scene import Scene
from tests.factories import MinerNode
from tests.fake_node import served
from tests.integration.pools import NO_CERTIFICATES, SITE, crowding, wait_until

pytestmark = pytest.mark.xdist_group("pool")

LEFT_OUT: Final = "devnet,follower,tasks,tasks-slow,signer-init,signer,bootstrap-miner,sealer,prover"
"""Whoever writes rows by itself; what stays are the servers and two web processes."""

MAKE: Final = "import sys, django; django.setup(); from tests.acceptance.scene import main; main(sys.argv[1])"

CALM_S: Final = 20.0
"""How long an answer may take on a machine with a core to spare."""


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningPool]:
    """A pool in which only requests write."""
    with RunningPool(has_kernels=False, has_tables=True, POOLSITE_DISABLE=LEFT_OUT) as pool:
        wait_until(pool.all_up, within_s=60, what=pool.diagnosis)
        yield pool


@pytest.fixture(scope="module")
def scene(pool: RunningPool) -> Iterator[Scene]:
    """The tenants' rows in this pool's database, with a node that answers."""

    def ask(method: str, path: str, body: str, headers: dict[str, str]) -> httpx.Response:
        kind = {"Content-Type": "application/json"} if body else {}
        url = f"http://127.0.0.1:{pool.port}{path}"
        return httpx.request(
            method,
            url,
            content=body.encode(),
            headers={**headers, **kind},
            timeout=60,
            verify=NO_CERTIFICATES,
        )

    with served(MinerNode()) as node:
        made = subprocess.run(
            [sys.executable, "-c", MAKE, node],
            cwd=SITE,
            env={**pool.env, "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded"},
            capture_output=True,
            check=False,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        scene = Scene(ask, **json.loads(made.stdout.splitlines()[-1]))
        scene.work_begin()
        yield scene


@contextlib.contextmanager
def dialled(pool: RunningPool, scene: Scene, who: str) -> Iterator[ClientConnection]:
    """A socket with the token of one of them."""
    url = f"ws://127.0.0.1:{pool.port}/rpc/v1"
    headers = scene.headers(who)
    with websockets.sync.client.connect(url, additional_headers=headers, max_size=None) as link:
        yield link


def heard(link: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    answer: dict[str, Any] = json.loads(link.recv(timeout=CALM_S * crowding()))
    return answer


def is_at_work(link: ClientConnection) -> bool:
    """Return whether the socket still answers an honest call, and nothing else came before."""
    link.send(json.dumps({"jsonrpc": "2.0", "id": "last", "method": "Message.Version", "params": []}))
    answer = heard(link)
    return answer["id"] == "last" and "result" in answer


def test_every_bad_frame_is_answered_with_its_error(pool: RunningPool, scene: Scene) -> None:
    before = fingerprint(pool.rows_of)
    wrong = [words for bad in FRAMES for words in frame_faults(pool, scene, bad)]

    assert wrong == []
    assert fingerprint(pool.rows_of) == before


def frame_faults(pool: RunningPool, scene: Scene, bad: Frame) -> list[str]:
    """Send a bad frame; gives what is wrong with its answer."""
    data = bad.data if isinstance(bad.data, str | bytes) else json.dumps(scene.fill(bad.data))
    with dialled(pool, scene, bad.who) as link:
        link.send(data)
        answer = heard(link)
        goes_on = bad.who != "alice" or is_at_work(link)
    error = answer.get("error", {})
    got = (error.get("code"), answer["id"])
    faults = [f"{bad.what}: {str(answer)[:300]}"] if got != (bad.code, bad.request_id) else []
    if bad.words not in error.get("message", ""):
        faults.append(f"{bad.what}: no {bad.words!r} in {str(error)[:300]}")
    return faults if goes_on else [*faults, f"{bad.what}: the socket does not go on"]


def test_cancellations_of_nothing_get_no_answer_and_end_nothing(pool: RunningPool, scene: Scene) -> None:
    before = fingerprint(pool.rows_of)

    with dialled(pool, scene, "alice") as link:
        for frame in SILENT:
            link.send(json.dumps(frame))
        assert is_at_work(link)

    assert fingerprint(pool.rows_of) == before


def test_a_cancelled_channel_is_closed_once_and_the_socket_goes_on(pool: RunningPool, scene: Scene) -> None:
    before = fingerprint(pool.rows_of)
    policy = {"SupportAccounts": [], "SignBytes": base64.b64encode(bytes(32)).decode()}

    with dialled(pool, scene, "alice-signer") as link:
        listen = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.ListenWalletEvent", "params": [policy]}
        link.send(json.dumps(listen))
        channel = heard(link)["result"]
        first = heard(link)
        for _ in range(2):
            link.send(json.dumps({"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1]}))
        closed = heard(link)
        link.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "Gateway.Version", "params": []}))
        after = heard(link)

    assert (first["method"], first["params"][0]) == ("xrpc.ch.val", channel)
    assert closed == {"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [channel]}
    assert after["id"] == 2
    assert "result" in after
    open_ = "select count(*) from gateway_signerconnection where closed_at is null"
    wait_until(lambda: pool.rows_of(open_) == [(0,)], within_s=10, what=pool.diagnosis)
    changed = {name for name, row in fingerprint(pool.rows_of).items() if row != before[name]}
    assert changed <= {"gateway_signerconnection"}


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("nobody", "token"),
        ("nonsense", "not registered"),
        ("alice-expired", "expired"),
        ("alice-revoked", "revoked"),
        ("carol-disabled", "disabled"),
    ],
)
def test_a_bad_token_opens_no_socket(pool: RunningPool, scene: Scene, who: str, words: str) -> None:
    with pytest.raises(InvalidStatus) as refused, dialled(pool, scene, who):
        pass

    assert refused.value.response.status_code == 401
    assert words in (refused.value.response.body or b"").decode()


def test_bad_requests_get_the_same_answers_from_outside(pool: RunningPool, scene: Scene) -> None:
    before = fingerprint(pool.rows_of)
    wrong = []
    for bad in (*WHO_CALLS, *BODIES, *SENDING, *REPORTS):
        answer = scene.send(bad)
        body = answer.json()
        if (answer.status_code, body["code"], body["field"]) != (bad.status, bad.code, bad.field):
            wrong.append(f"{bad.what}: {answer.status_code} {body}")
        elif bad.words not in body["message"]:
            wrong.append(f"{bad.what}: no {bad.words!r} in {body['message']!r}")

    assert wrong == []
    assert fingerprint(pool.rows_of) == before


def test_bad_calls_get_the_same_answers_from_outside(pool: RunningPool, scene: Scene) -> None:
    before = fingerprint(pool.rows_of)
    wrong = []
    for what, who, ask, status, code, words in RPC_CASES:
        filled = {"jsonrpc": "2.0", "id": 1, "method": ask[0], "params": scene.fill(ask[1])}
        body = ask if isinstance(ask, str) else json.dumps(filled)
        answer = scene.ask("POST", "/rpc/v0", body, scene.headers(who))
        error = answer.json()["error"]
        if (answer.status_code, error["code"]) != (status, code) or words not in error["message"]:
            wrong.append(f"{what}: {answer.status_code} {error}")

    assert wrong == []
    assert fingerprint(pool.rows_of) == before


def test_revoked_token_closes_its_sockets_in_every_process_in_a_second(
    pool: RunningPool, scene: Scene
) -> None:
    admin = {"Authorization": f"Bearer {pool.operator['admin_token']}"}
    body = json.dumps({"tenant": "alice", "name": "short", "perm": "read"})
    made = scene.ask("POST", "/api/v1/tokens", body, admin).json()
    scene.tokens["short"] = made["token"]
    with contextlib.ExitStack() as opened:
        # two processes accept from the same port: of many sockets each has some
        links = [opened.enter_context(dialled(pool, scene, "short")) for _ in range(12)]
        assert all(is_at_work(link) for link in links)

        answer = scene.ask("DELETE", f"/api/v1/tokens/{made['uuid']}", "", admin)

        assert answer.status_code == 204, answer.text
        closed_require(links)


def closed_require(links: list[ClientConnection]) -> None:
    """Require that all are closed with 4401 before anybody would look without being told."""
    began, limit_s = time.monotonic(), REGULAR_S * 0.8 * crowding()
    for link in links:
        with pytest.raises(ConnectionClosed) as closed:
            read_on(link, until=began + limit_s)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    print(f"{len(links)} sockets closed {time.monotonic() - began:.3f} s after the answer")


def read_on(link: ClientConnection, *, until: float) -> None:
    """Read what comes.  Raises ConnectionClosed at its end, TimeoutError if there is none in time."""
    while True:
        link.recv(timeout=max(0.0, until - time.monotonic()))


def test_who_signs_out_has_no_live_page_within_a_second(pool: RunningPool) -> None:
    address = f"127.0.0.1:{pool.port}"
    with httpx.Client(base_url=f"http://{address}", timeout=60, follow_redirects=True) as browser:
        entry = {name: pool.operator[name] for name in ("username", "password")}
        browser.get("/login/")
        come_in = browser.post("/login/", data={**entry, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        assert come_in.status_code == 200, come_in.text
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        with contextlib.ExitStack() as opened:
            pages = [
                opened.enter_context(
                    websockets.sync.client.connect(
                        f"ws://{address}/ws/live/?page=today",
                        additional_headers={"Cookie": cookies, "Origin": f"http://{address}"},
                    )
                )
                for _ in range(12)
            ]
            assert all(page.ping().wait(CALM_S * crowding()) for page in pages)

            out = browser.post("/logout/", data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]})

            assert out.status_code == 200
            closed_require(pages)
