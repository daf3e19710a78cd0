"""The signer as its own process: killed, stopped, refused."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from apps.core.errors import DomainError
from apps.gateway.services.signatures import wallet_has, wallet_sign
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import message_to_cbor
from poolsite.filecoin.signature import Signature, signature_verify
from tests import people
from tests.integration.gateway.signer_process import folder, made_once, message, start, workers
from tests.unit.workers.signer.policy import old_default
from tests.unit.workers.signer.slash_protection import block
from workers.signer.default_policy import DEFAULT

__all__ = ["folder", "made_once", "start"]


def sign(sender: str) -> None:
    one = message(sender)
    signature = wallet_sign(
        address=sender,
        accounts=["alice"],
        to_sign=one.cid.data,
        meta_type="message",
        extra=message_to_cbor(one),
    )
    signature_verify(signature, one.from_, one.cid.data)


def test_a_killed_signer_is_answered_for_by_its_successor(start, folder):
    addresses = json.loads((folder / "addresses.json").read_text())
    first = start()
    first.logged("gateway_connected")
    sign(addresses["owner"])

    os.kill(first.process.pid, signal.SIGKILL)
    start()

    sign(addresses["control"])


def sign_block(worker: str, header: BlockHeader) -> Signature:
    raw = to_cbor(header)
    return wallet_sign(address=worker, accounts=["alice"], to_sign=raw, meta_type="block", extra=b"")


def test_killed_signer_repeats_its_block_and_signs_no_second_one(start, folder):
    worker = json.loads((folder / "addresses.json").read_text())["worker"]
    first = start()
    first.logged("gateway_connected")
    signature = sign_block(worker, block(100, b"one"))
    signature_verify(signature, address_parse(worker), block(100, b"one").signing_bytes)

    os.kill(first.process.pid, signal.SIGKILL)
    start().logged("gateway_connected")

    with pytest.raises(DomainError, match="double-fork fault: f01000 has a block at height 100: bafy"):
        sign_block(worker, block(100, b"two"))
    assert sign_block(worker, block(100, b"one")) == signature
    signature_verify(sign_block(worker, block(101)), address_parse(worker), block(101).signing_bytes)


def test_two_blocks_asked_of_one_signer_at_once_get_one_signature(start, folder):
    worker = json.loads((folder / "addresses.json").read_text())["worker"]
    start().logged("gateway_connected")
    headers = [block(100, b"%d" % number) for number in range(6)]

    def asked(header: BlockHeader) -> Signature | str:
        try:
            return sign_block(worker, header)
        except DomainError as refusal:
            return str(refusal)

    with ThreadPoolExecutor(len(headers)) as pool:
        found = list(pool.map(asked, headers))

    [won] = [number for number, one in enumerate(found) if isinstance(one, Signature)]
    assert all("double-fork fault" in one for one in found if isinstance(one, str))
    assert sign_block(worker, headers[won]) == found[won]


def test_a_signer_stops_cleanly_on_sigterm(start):
    signer = start()
    signer.logged("gateway_connected")

    signer.process.send_signal(signal.SIGTERM)

    assert signer.process.wait(60) == 0
    assert '"stopping"' in signer.log_path.read_text()


def test_a_running_signer_serves_the_wallet_rpc_and_takes_new_keys(start, folder):
    signer = start()
    address = signer.logged(r'"address": "(127\.0\.0\.1:[0-9]+)"')
    signer.logged("gateway_connected")
    token = (folder / "token").read_text().strip()
    body = {"jsonrpc": "2.0", "id": 1, "method": "Filecoin.WalletNew", "params": ["secp256k1"]}

    with httpx.Client(base_url=f"http://{address}", headers=people.bearer(token)) as client:
        made = client.post("/rpc/v0", json=body).json()["result"]
        assert client.get("/healthcheck").json() == {"status": "OK"}
        assert client.post("/rpc/v0", json=body, headers=people.bearer("x.y.z")).status_code == 401
        assert client.post("/rpc/v0", content=b"x" * 5_000_000).status_code == 413
        assert client.post("/nothing").status_code == 404
    until = time.monotonic() + 60
    while not wallet_has(made, accounts=["alice"]) and time.monotonic() < until:
        time.sleep(0.05)

    sign(made)


def test_init_is_repeated_without_change(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    again = workers("init", "--dir", folder)

    kept = ("addresses.json", "keystore.json", "password", "policy.toml", "secret", "token")
    assert json.loads(again.stdout) == json.loads(before["addresses.json"])
    assert {name: (folder / name).read_bytes() for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--dir", "DIR/none"), "there is no signer in"),
        (("--dir", "DIR"), "nothing to do"),
        (("--dir", "DIR", "--console", "ws://127.0.0.1:1/rpc/v1"), "gateway token not set"),
        (("--dir", "DIR", "--listen", "127.0.0.1:99999"), "cannot listen on"),
        (
            ("--dir", "DIR", "--listen", "127.0.0.1:0", "--password-file", "DIR/x"),
            "does not exist",
        ),
        (
            ("--dir", "DIR", "--console", "ws://a/", "--token-file", "DIR/token", "--gateway-requests", "0"),
            "must be above zero",
        ),
        (("export", "f01", "--dir", "DIR"), "record not found"),
    ],
)
def test_what_cannot_start_says_why_in_one_sentence(folder, words, complaint):
    refused = workers(*(word.replace("DIR", str(folder)) for word in words))

    last = refused.stderr.strip().splitlines()[-1]
    assert (refused.returncode, complaint in last) == (1, True), refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_password_file_is_refused(folder):
    (folder / "password").write_text("wrong\n")

    refused = workers("--dir", folder, "--listen", "127.0.0.1:0")

    assert (refused.returncode, refused.stderr.strip()) == (1, "password mismatch")


def test_an_older_default_policy_is_warned_of_and_todays_is_shown(start, folder):
    shown = workers("policy", "--default", "--dir", folder).stdout
    assert shown == (folder / "policy.toml").read_text() == DEFAULT
    (folder / "policy.toml").write_text(old_default())

    start().logged("policy_is_an_old_default")


def test_keys_go_out_and_in_as_files_of_lotus(folder, tmp_path):
    made = workers("new", "bls", "--dir", folder).stdout.strip()
    (tmp_path / "key").write_text(workers("export", made, "--dir", folder).stdout)
    workers("delete", made, "--dir", folder)
    assert made not in workers("list", "--dir", folder).stdout

    back = workers("import", tmp_path / "key", "--dir", folder)

    assert back.stdout.strip() == f"imported key {made} successfully!"


def test_a_running_signer_goes_on_when_its_password_is_changed(start, folder):
    addresses = json.loads((folder / "addresses.json").read_text())
    signer = start()
    signer.logged("gateway_connected")
    sign(addresses["owner"])

    workers("password", "--dir", folder, input="a new one\n")

    sign(addresses["owner"])
    sign(addresses["control"])
    assert '"locked"' not in signer.log_path.read_text()


def test_a_changed_password_opens_the_store_at_the_next_start(folder):
    changed = workers("password", "--dir", folder, input="a new one\n")

    assert changed.stdout.startswith(
        f"Password set successfully\nA signer that was started with {folder}/password"
    )
    assert (folder / "password").read_text() == "a new one\n"
    assert workers("new", "--dir", folder).returncode == 0
    assert workers("records", "--verify", "--dir", folder).stdout.strip() == "no record was changed"
    assert workers("policy", "--dir", folder).stdout.startswith("5 rules, version ")
