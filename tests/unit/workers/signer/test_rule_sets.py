"""Sets of rules bound to tokens, rehearsals of another policy, and the versions of the policy."""

from __future__ import annotations

import base64
import errno
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite.filecoin import cbor
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.jwt import BadToken
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from tests.keys import fixed_key
from workers.signer.changes import policy_set, versions_now
from workers.signer.commands import main
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import BadPolicy, Denied
from workers.signer.history import History, HistoryBroken
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.records import Verdict
from workers.signer.sign_request import SignRequest
from workers.signer.signing import Signer
from workers.signer.tokens import Rights, secret_load, token_new, token_rights

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = bytes(range(32))
SENDER = key_address(fixed_key("secp256k1"))
SETS = """
[[set]]
name = "sealer"
rules = ["sealing and proving", "blocks"]

[[set]]
name = "purse"
rules = ["small transfers"]
"""


def sign(signer: Signer, *, value: Any = FIL // 2, nonce: int = 0, fee_cap: int = 1, **overrides: Any) -> Any:
    gas: dict[str, Any] = {"gas_limit": 1, "gas_fee_cap": fee_cap, "gas_premium": 1}
    one = Message(to=address_parse("f01234"), from_=SENDER, value=value, nonce=nonce, **gas)
    asked: dict[str, Any] = {
        "address": str(SENDER),
        "to_sign": one.cid.data,
        "meta_type": "message",
        "extra": message_to_cbor(one),
        "caller": "gateway",
        **overrides,
    }
    return signer.sign(**asked)


@pytest.fixture
def with_sets(signer: Signer) -> Signer:
    (signer.folder / "policy.toml").write_text(DEFAULT + SETS)
    return signer


def test_a_caller_with_a_set_uses_only_its_rules(with_sets):
    assert sign(with_sets, rule_set="purse")
    assert sign(with_sets)
    with pytest.raises(Denied, match="no rule allows"):
        sign(with_sets, rule_set="sealer")


def test_a_set_that_is_gone_allows_nothing(with_sets):
    with pytest.raises(Denied, match="no set 'gone'"):
        sign(with_sets, rule_set="gone")


@pytest.mark.parametrize(
    "text",
    [
        '[[set]]\nname = "a"\nrules = ["nobody"]',
        '[[set]]\nname = "a"\nrules = []',
        '[[set]]\nrules = ["blocks"]',
        '[[set]]\nname = "a"\nrules = ["blocks"]\nmore = 1',
        '[[set]]\nname = "a"\nrules = ["blocks"]\n[[set]]\nname = "a"\nrules = ["blocks"]',
        "set = 1",
    ],
)
def test_a_set_that_cannot_be_is_refused_with_its_name(text):
    with pytest.raises(BadPolicy):
        policy_parse("set = 1\n" + DEFAULT if text == "set = 1" else DEFAULT + text)


def test_a_tokens_set_is_under_its_signature():
    text = token_new(SECRET, "sign", rule_set="purse")
    head, body, mac = text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    del claims["RuleSet"]
    free = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    assert token_rights(text, SECRET) == Rights(("read", "write", "sign"), "purse")
    assert token_rights(f"Bearer {text}___old", SECRET).rule_set == "purse"
    with pytest.raises(BadToken):
        token_rights(f"{head}.{free}.{mac}", SECRET)


def test_a_rehearsal_names_what_would_be_decided_otherwise(signer):
    for nonce in range(3):
        sign(signer, nonce=nonce)
    with pytest.raises(Denied):
        sign(signer, value=50 * FIL)
    since = datetime.now(UTC) - timedelta(days=30)

    same = backtest_run(signer.records, policy_parse(DEFAULT), since=since)
    tighter = DEFAULT.replace('value_per_day = "20 FIL"', 'value_per_day = "1 FIL"')
    found = backtest_run(signer.records, policy_parse(tighter), since=since)
    wider = backtest_run(
        signer.records, policy_parse(DEFAULT.replace('value_max = "1 FIL"', "")), since=since
    )

    assert (same.requests, same.changes) == (4, [])
    [change] = found.changes
    assert change.before == "signed by 'small transfers'"
    assert "value per day 1.5 FIL is above 1 FIL" in change.after
    assert wider.changes == []
    assert backtest_run(signer.records, policy_parse(tighter), since=datetime.now(UTC)).requests == 0


def test_rehearsal_of_a_month_does_not_load_it_at_once(signer):
    """`policy --try` runs beside the signer: on a small host the kernel would end one of both."""
    raw = b"\xa4" + b"".join(cbor.encode(one) for one in ("Rbase", bytes(4_000), "Pers", 5, "Round", 1))
    request = SignRequest("drawrandomparam", SENDER, b"", raw=raw + cbor.encode("Entropy") + cbor.encode(b""))
    for _ in range(2_000):
        signer.records.write(request, Verdict("blocks", ""), caller="gateway", now=datetime.now(UTC))

    tracemalloc.start()
    since = datetime.now(UTC) - timedelta(days=30)
    found = backtest_run(signer.records, policy_parse(DEFAULT), since=since)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (found.requests, found.changes) == (2_000, [])
    assert peak_bytes < 2_000_000


def test_a_rehearsal_asks_for_each_caller_within_its_set(with_sets):
    sign(with_sets, rule_set="purse", nonce=1)
    sign(with_sets, nonce=2)
    since = datetime.now(UTC) - timedelta(days=30)
    apart = DEFAULT + SETS.replace('["small transfers"]', '["blocks"]')

    found = backtest_run(with_sets.records, policy_parse(apart), since=since)
    gone = backtest_run(with_sets.records, policy_parse(DEFAULT), since=since)

    assert found.requests == 2
    [change] = found.changes
    assert (change.is_refusal, "no rule allows" in change.after) == (True, True)
    assert ["no set 'purse'" in change.after for change in gone.changes] == [True]


def test_a_rehearsal_counts_a_thing_once_in_a_day(signer):
    for fee_cap in (1_000, 1_000, 2_000):  # the same again, and a replacement
        sign(signer, nonce=1, fee_cap=fee_cap)
    tighter = DEFAULT.replace('value_per_day = "20 FIL"', 'value_per_day = "0.5 FIL"')

    found = backtest_run(signer.records, policy_parse(tighter), since=datetime.now(UTC) - timedelta(days=30))

    assert (found.requests, found.changes) == (3, [])


def test_every_version_is_kept_with_who_took_it(tmp_path):
    history = History(tmp_path / "h", secret=SECRET)
    history.add("one", by="ann", now=NOW)
    history.add("one", by="bill", now=NOW)
    history.add("two", by="bill", now=NOW + timedelta(hours=1))

    assert [(one.by, one.text) for one in history.versions()] == [("ann", "one"), ("bill", "two")]
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["change", "drop", "swap", "forge", "garbage"])
def test_a_changed_history_is_noticed(tmp_path, damage):
    path = tmp_path / "h"
    history = History(path, secret=SECRET)
    for text in ("one", "two", "three"):
        history.add(text, by="ann", now=NOW)
    lines = path.read_text().splitlines()
    forged = History(tmp_path / "f", secret=b"another")
    forged.add("four", by="eve", now=NOW)
    broken = {
        "change": [lines[0], lines[1].replace("two", "2"), lines[2]],
        "drop": [lines[0], lines[2]],
        "swap": [lines[1], lines[0], lines[2]],
        "forge": [*lines, (tmp_path / "f").read_text().strip()],
        "garbage": [*lines, "{"],
    }
    path.write_text("\n".join(broken[damage]) + "\n")

    with pytest.raises(HistoryBroken):
        history.versions()


@pytest.mark.parametrize("left", [1, 100, -1], ids=["one byte", "half", "no end of line"])
def test_a_version_whose_line_was_cut_is_none_and_stops_nothing(signer, left):
    """A power cut in the write of a line: the policy is written after it, so the text was never in force."""
    policy_set(signer.folder, DEFAULT, by="ann")
    path = signer.folder / "policy-history.jsonl"
    whole = path.read_bytes()
    policy_set(signer.folder, DEFAULT + "# more\n", by="bill")
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:left])
    (signer.folder / "policy.toml").write_text(DEFAULT)

    assert [one.by for one in versions_now(signer.folder)] == ["ann"]
    policy_set(signer.folder, DEFAULT + "# more\n", by="cleo")
    assert [one.by for one in versions_now(signer.folder)] == ["ann", "cleo"]


def test_a_full_disk_leaves_the_history_and_the_policy_as_they_were(signer, monkeypatch):
    policy_set(signer.folder, DEFAULT, by="ann")
    before = (signer.folder / "policy-history.jsonl").read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("workers.signer.history.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            policy_set(signer.folder, DEFAULT + "# more\n", by="bill")

    assert (signer.folder / "policy-history.jsonl").read_bytes() == before
    assert (signer.folder / "policy.toml").read_text() == DEFAULT


def test_the_command_line_tries_takes_and_lists_policies(signer, tmp_path, capsys):
    sign(signer)
    folder = ["--dir", str(signer.folder)]
    candidate = tmp_path / "candidate.toml"
    candidate.write_text(DEFAULT.replace('methods = ["Send"]', 'methods = ["nothing"]') + SETS)

    assert main(["policy", *folder, "--try", str(candidate)]) == 0
    assert "1 requests in 30 days, 1 decisions would change" in capsys.readouterr().out
    assert main(["policy", *folder, "--take", str(candidate), "--by", "ann"]) == 0
    assert main(["policy", *folder, "--history"]) == 0
    assert " ann" in capsys.readouterr().out
    with pytest.raises(Denied):
        sign(signer)
    assert main(["token", *folder, "sign", "--set", "sealer"]) == 0
    text = capsys.readouterr().out.strip()
    assert token_rights(text, secret_load(signer.folder)).rule_set == "sealer"
    assert main(["token", *folder, "sign", "--set", "nothing"]) == 1
    candidate.write_text("nonsense")
    assert main(["policy", *folder, "--take", str(candidate)]) == 1
