from __future__ import annotations

from datetime import UTC, datetime

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.wire.policy import OUTDATED_DEFAULT_DIGESTS, is_old_default
from tests.unit.workers.signer.policy import (
    any_escrow_default,
    any_miner_default,
    compacting_default,
    free_premium_default,
    old_default,
)
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import BadPolicy
from workers.signer.policy_file import PolicyFile
from workers.signer.policy_parse import policy_parse
from workers.signer.sign_request import Amounts, SignRequest

ADDRESS = address_parse("f1z5e2mduf7uxnn7k3szuy6vcoapzeigdjjttjjyy")
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def message(*readings: str, to: str = "f01001", value: int = 0, fee: int = 0) -> SignRequest:
    return SignRequest(
        "message",
        ADDRESS,
        b"",
        readings=readings or ("Send",),
        to=address_parse(to),
        value=value,
        fee_max=fee,
    )


def decide(
    text: str,
    request: SignRequest,
    *,
    caller: str = "gateway",
    now: datetime = NOON,
    spent: Amounts | None = None,
) -> str:
    sums = spent or Amounts()
    verdict = policy_parse(text).decide(request, caller=caller, now=now, spent=lambda _rule: sums)
    return verdict.error or f"by {verdict.rule}"


def rule(body: str) -> str:
    return f'version = 1\n[[rule]]\nname = "r"\n{body}\n'


COMPACTING = '[[rule]]\nname = "compacting"\nmethods = ["miner.CompactSectorNumbers"]\nto = ["f01001"]\n'
NAMED = DEFAULT.replace('to = ["f04"]', 'to = ["f04", "f01001"]')


@pytest.mark.parametrize(
    "method",
    ["miner.PreCommitSectorBatch2", "miner.ProveCommitSectors3", "miner.SubmitWindowedPoSt"],
)
def test_the_default_lets_a_pool_seal_and_prove_for_miners_it_names(method):
    deposit = message(method, value=10 * FIL)

    assert decide(NAMED, deposit) == "by sealing and proving"
    assert not decide(DEFAULT, deposit).startswith("by ")
    assert not decide(NAMED, message(method, to="f01002", value=10 * FIL)).startswith("by ")


def test_a_proof_waits_for_no_fees_that_sealing_spent():
    spent = Amounts(fee=199 * FIL, value=2000 * FIL)
    for method in ("miner.SubmitWindowedPoSt", "miner.DeclareFaults", "miner.DeclareFaultsRecovered"):
        found = decide(DEFAULT, message(method, fee=4 * FIL), spent=spent)
        assert found == "by proofs and declarations", found
    assert "fees per day" in decide(NAMED, message("miner.ProveCommitSectors3", fee=4 * FIL), spent=spent)
    assert not decide(DEFAULT, message("miner.SubmitWindowedPoSt", value=1)).startswith("by ")


def test_the_default_pays_no_stranger_beside_small_transfers():
    for method, to in (
        ("miner.ChangePeerID", "f01002"),
        ("miner.ChangeMultiaddrs", "f01002"),
        ("multisig.Propose", "f01002"),
        ("init.Exec", "f01"),
        ("paych.Settle", "f01002"),
        ("eam.CreateExternal", "f010"),
        ("evm.InvokeContract", "f01002"),
    ):
        assert decide(NAMED, message(method, to=to, value=FIL)).startswith("no rule allows"), method


def test_the_default_lets_a_pool_make_a_miner():
    assert decide(DEFAULT, message("power.CreateMiner", to="f04", value=FIL)) == "by sealing and proving"


@pytest.mark.parametrize(
    "method",
    [
        "miner.WithdrawBalance",
        "miner.ChangeOwnerAddress",
        "miner.ChangeBeneficiary",
        "miner.ChangeWorkerAddress",
        "miner.TerminateSectors",
        "miner.CompactSectorNumbers",
        "multisig.Propose",
        "evm.InvokeContract",
    ],
)
def test_the_default_refuses_what_moves_value_or_power_over_it(method):
    assert decide(NAMED, message(method)).startswith("no rule allows")


def test_the_default_limits_transfers():
    assert decide(DEFAULT, message(value=FIL)) == "by small transfers"
    assert "value 1.5 FIL is above 1 FIL" in decide(DEFAULT, message(value=3 * FIL // 2))
    assert "value per day" in decide(DEFAULT, message(value=FIL), spent=Amounts(value=20 * FIL))
    assert "fee" in decide(DEFAULT, message(value=FIL, fee=FIL))


def test_every_reading_of_a_message_must_be_allowed():
    policy = rule('methods = ["miner.*"]')

    assert decide(policy, message("miner.ChangePeerID")) == "by r"
    assert decide(policy, message("miner.ChangePeerID", "multisig.Cancel")).startswith("no rule allows")


def test_proving_a_key_needs_no_rule():
    assert decide("version = 1", SignRequest("verifyaddress", ADDRESS, b"")) == "by (proof of a key)"


def test_blind_bytes_are_refused_unless_a_rule_names_them():
    blind = SignRequest("unknown", ADDRESS, b"")

    assert decide(DEFAULT, blind).startswith("no rule allows")
    assert decide(rule('methods = ["*"]'), blind).startswith("no rule allows")
    assert decide(rule('types = ["unknown"]'), blind) == "by r"
    assert decide(rule('types = ["f3"]'), blind).startswith("no rule allows")


@pytest.mark.parametrize("types", ['"f3"', '"unknown"'])
def test_votes_of_fast_finality_need_a_rule_for_them_or_for_all_bytes(types):
    vote = SignRequest("f3", ADDRESS, b"", about="COMMIT in round 0 of instance 7 of filecoin")

    assert decide(DEFAULT, vote) == f"no rule allows f3: {vote.about}"
    assert decide(rule('methods = ["*"]'), vote).startswith("no rule allows")
    assert decide(rule(f"types = [{types}]"), vote) == "by r"


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        (f'keys = ["{ADDRESS}"]', True),
        (f'keys = ["t{str(ADDRESS)[1:]}"]', True),
        ('keys = ["f01"]', False),
        ('to = ["f01001", "f01002"]', True),
        ('to = ["f01002"]', False),
        ('callers = ["gateway*"]', True),
        ('callers = ["rpc *"]', False),
        ('hours = "08:00-18:00"', True),
        ('hours = "18:00-08:00"', False),
        ('hours = "23:00-12:30"', True),
    ],
)
def test_each_condition_counts(body, allowed):
    assert (decide(rule(body), message()) == "by r") is allowed


def test_the_first_rule_that_allows_decides():
    text = rule('value_max = "1 FIL"') + '[[rule]]\nname = "second"\nvalue_max = "5 FIL"\n'

    assert decide(text, message(value=2 * FIL)) == "by second"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "version = 1"),
        ("version = 2", "version = 1"),
        ("version = 1\nrules = 3", "nothing else"),
        ("version = 1\nrule = 3", r"\[\[rule\]\]"),
        ("version = 1\n[[rule]]\n", "needs a name"),
        (rule("color = 3"), "unknown field 'color'"),
        (rule("value_max = 3"), "value_max: write amounts as strings"),
        (rule('value_max = "3 BTC"'), "value_max"),
        (rule('types = ["mesage"]'), "'mesage' is not one of"),
        (rule('to = ["f01x"]'), "to:"),
        (rule("methods = []"), "methods: must be a list"),
        (rule('hours = "8-9"'), "hours"),
        (rule("") + rule("").partition("\n")[2], "two rules have the same name"),
        ("version = ", "not TOML"),
    ],
)
def test_a_bad_file_is_refused_by_rule_and_field(text, complaint):
    with pytest.raises(BadPolicy, match=complaint):
        policy_parse(text)


def test_the_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(rule('methods = ["Send"]'))
    file = PolicyFile(path)
    first = file.current()

    (tmp_path / "new").write_text("version = 1\n")
    (tmp_path / "new").replace(path)

    assert (len(first.rules), len(file.current().rules)) == (1, 0)
    assert file.current().digest != first.digest


def test_without_a_readable_file_nothing_is_decided(tmp_path):
    with pytest.raises(BadPolicy, match="cannot be read"):
        PolicyFile(tmp_path / "missing.toml").current()


def test_an_older_default_is_known_and_todays_is_none():
    """Whoever makes DEFAULT stricter adds the digest below to OUTDATED_DEFAULT_DIGESTS."""
    defaults = (old_default, any_miner_default, compacting_default, free_premium_default, any_escrow_default)
    olds = [one() for one in defaults]
    digests = {policy_parse(text).digest for text in olds}

    assert digests == OUTDATED_DEFAULT_DIGESTS
    assert policy_parse(DEFAULT).digest == "0ccbaf80a336828b7e080ace408e06eb"


@pytest.mark.parametrize(
    ("text", "is_old"),
    [
        (DEFAULT, False),
        (f"{DEFAULT}\n{COMPACTING}", False),
        (compacting_default(), True),
        (compacting_default().replace('"f04"', '"f04", "f01001"'), True),
    ],
    ids=["todays", "todays-and-own-rule", "older", "older-that-names-a-miner"],
)
def test_an_own_rule_for_compacting_makes_no_old_default(text, is_old):
    policy = policy_parse(text)

    assert is_old_default(policy.digest, (one.methods for one in policy.rules)) == is_old
