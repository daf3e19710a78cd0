"""The proposed change that limits sealing and proving to the tenant's own miners."""

from __future__ import annotations

import pytest

from poolsite.wire.policy import RuleForm
from poolsite.wire.proposals import (
    ANY_ESCROW,
    NO_PUBLISHING,
    NO_VOTES,
    OWN_TRANSFERS,
    PROOFS_BY_DAY,
    address_changes_rule,
    own_miners_edit,
    own_transfers_edit,
    policy_advice,
    proofs_edit,
    publishing_edit,
    rule_text,
    withdrawals_rule,
)
from workers.signer.default_policy import DEFAULT
from workers.signer.policy_parse import policy_parse
from workers.signer.policy_text import edit_apply, rule_form

SEALING = "sealing and proving"


def rules_of(text: str = DEFAULT) -> tuple[RuleForm, ...]:
    policy = policy_parse(text)
    return tuple(rule_form(rule, policy.sets) for rule in policy.rules)


def test_default_policy_gets_the_power_actor_and_own_miners() -> None:
    edit = own_miners_edit(rules_of(), ["f01234", "f05678"])

    assert edit is not None
    text = edit_apply(DEFAULT, edit)
    rule = next(one for one in policy_parse(text).rules if one.name == SEALING)
    assert rule.to == ("f04", "f01234", "f05678")
    assert [one.name for one in policy_parse(text).rules] == [one.name for one in policy_parse(DEFAULT).rules]


def test_miner_added_later_is_appended_to_what_is_named() -> None:
    first = own_miners_edit(rules_of(), ["f01234"])
    assert first is not None
    text = edit_apply(DEFAULT, first)

    again = own_miners_edit(rules_of(text), ["f01234", "f05678"])

    assert again is not None
    assert again.rule is not None
    assert again.rule.to == ("f04", "f01234", "f05678")
    assert own_miners_edit(rules_of(text), ["f01234"]) is None


def test_nothing_is_proposed_without_a_miner_or_such_a_rule() -> None:
    transfers = 'version = 1\n[[rule]]\nname = "all"\nmethods = ["Send", "miner.PreCommitSectorBatch2"]\n'

    assert own_miners_edit(rules_of(), []) is None
    assert own_miners_edit(rules_of(transfers), ["f01234"]) is None


@pytest.mark.parametrize("other", ["miner.TerminateSectors", "miner.WithdrawBalance", "miner.Change*Address"])
def test_miner_is_named_in_no_rule_for_other_messages_to_miners(other: str) -> None:
    """To approve sealing for a miner must not let somebody terminate its sectors, or become its owner."""
    rule = f'[[rule]]\nname = "one miner"\nmethods = ["{other}"]\nto = ["f01004"]\n'
    start = DEFAULT.index("[[rule]]")
    before = f"{DEFAULT[:start]}{rule}{DEFAULT[start:]}"
    beside = f"{DEFAULT}\n{rule}".replace('"power.CreateMiner",', '"power.CreateMiner", "Send",')

    edit = own_miners_edit(rules_of(before), ["f01234"])

    assert edit is not None
    assert (edit.name, edit.place) == (SEALING, 3)
    assert own_miners_edit(rules_of(beside), ["f01234"]) is None


def test_own_transfers_become_a_rule_with_the_typed_amounts() -> None:
    amounts = {"value_max": "50 FIL", "value_per_day": "100 FIL"}
    text = edit_apply(DEFAULT, own_transfers_edit(rules_of(), ["f01001"], **amounts))
    added = policy_parse(text).rules[-1]
    assert (added.name, added.methods, added.to) == (OWN_TRANSFERS, ("Send",), ("f01001",))
    assert (added.value_max, added.value_per_day) == (50 * 10**18, 100 * 10**18)
    assert (added.premium_max, added.premium_per_day) == (10**17, 5 * 10**17)

    amounts["value_max"] = "60 FIL"
    again = edit_apply(text, own_transfers_edit(rules_of(text), ["f01002"], **amounts))

    changed = policy_parse(again).rules[-1]
    assert len(policy_parse(again).rules) == len(policy_parse(text).rules)
    assert (changed.to, changed.value_max) == (("f01001", "f01002"), 60 * 10**18)


def test_rule_for_address_changes_is_read_as_it_was_meant() -> None:
    rule = address_changes_rule("f01004")

    read = rules_of(f"{DEFAULT}\n{rule_text(rule)}\n")[-1]

    assert (read.name, read.methods, read.to) == (rule.name, rule.methods, rule.to)
    assert (read.value_max, read.fee_max, read.fee_per_day) == ("0 FIL", "1 FIL", "5 FIL")
    assert (read.premium_max, read.premium_per_day) == ("0.1 FIL", "0.5 FIL")


def test_rule_for_withdrawals_is_read_as_it_was_meant() -> None:
    rule = withdrawals_rule("f01004", value_max="100 FIL")

    read = policy_parse(f"{DEFAULT}\n{rule_text(rule)}\n").rules[-1]

    assert (read.name, read.methods, read.to) == (rule.name, ("miner.WithdrawBalance",), ("f01004",))
    assert (read.value_max, read.value_per_day, read.fee_max) == (100 * 10**18, 100 * 10**18, 10**18)


YESTERDAY = """\
version = 1
[[rule]]
name = "sealing and proving"
methods = ["miner.PreCommitSectorBatch2", "miner.SubmitWindowedPoSt", "miner.DeclareFaults",
    "miner.DeclareFaultsRecovered"]
to = ["f04", "f01234"]
fee_max = "5 FIL"
fee_per_day = "200 FIL"
[[rule]]
name = "address book and housekeeping"
methods = ["miner.ChangePeerID", "market.AddBalance"]
value_max = "1 FIL"
value_per_day = "5 FIL"
"""


def test_proofs_limited_by_day_get_a_rule_before_all_others() -> None:
    edit = proofs_edit(rules_of(YESTERDAY))

    assert edit is not None
    text = edit_apply(YESTERDAY, edit)
    first, second, _ = policy_parse(text).rules
    assert set(first.methods) == {
        "miner.SubmitWindowedPoSt",
        "miner.DeclareFaults",
        "miner.DeclareFaultsRecovered",
    }
    assert (first.value_max, first.value_per_day, first.fee_per_day, first.to) == (0, None, None, ("*",))
    assert second.to == ("f04", "f01234"), "what a person edited stays"
    assert proofs_edit(rules_of(text)) is None


def test_miners_are_named_in_the_rules_for_proofs_and_sealing() -> None:
    proofs = 'name = "proofs and declarations"\n'
    text = DEFAULT.replace(proofs, f'{proofs}to = ["f01000"]\n')
    for name in ("proofs and declarations", SEALING):
        edit = own_miners_edit(rules_of(text), ["f01234"])
        assert edit is not None
        assert edit.name == name
        text = edit_apply(text, edit)
    assert own_miners_edit(rules_of(text), ["f01234"]) is None


def test_what_is_said_of_a_policy_ends_once_it_is_changed() -> None:
    assert policy_advice(rules_of(YESTERDAY)) == [PROOFS_BY_DAY, ANY_ESCROW, NO_VOTES, NO_PUBLISHING]
    assert policy_advice(rules_of()) == [NO_VOTES, NO_PUBLISHING]
    votes = '[[rule]]\nname = "votes"\ntypes = ["f3"]\n'
    assert policy_advice(rules_of(f"{DEFAULT}\n{votes}")) == [NO_PUBLISHING]
    transfers = 'version = 1\n[[rule]]\nname = "all"\nmethods = ["Send"]\n'
    assert proofs_edit(rules_of(transfers)) is None, "this signer proves nothing"
    anything = 'version = 1\n[[rule]]\nname = "all"\nfee_per_day = "1 FIL"\n'
    assert policy_advice(rules_of(anything)) == [PROOFS_BY_DAY, ANY_ESCROW, NO_VOTES]
    values = 'version = 1\n[[rule]]\nname = "all"\nvalue_per_day = "1 FIL"\n'
    assert proofs_edit(rules_of(values)) is None, "proofs carry no value"
    named = DEFAULT.replace('name = "proofs and declarations"', 'name = "mine"')
    assert proofs_edit(rules_of(named)) is None, "a person's own name of the rule is kept"


def test_publishing_deals_gets_a_rule_once() -> None:
    edit = publishing_edit(rules_of())

    assert edit is not None
    text = edit_apply(DEFAULT, edit)
    added = policy_parse(text).rules[-1]
    methods = ("market.PublishStorageDeals", "market.SettleDealPaymentsExported")
    assert (added.methods, added.to, added.value_max) == (methods, ("f05",), 0)
    assert publishing_edit(rules_of(text)) is None
    assert policy_advice(rules_of(text)) == [NO_VOTES]
    any_market = DEFAULT + '\n[[rule]]\nname = "market"\nmethods = ["market.*"]\n'
    assert publishing_edit(rules_of(any_market)) is None
    elsewhere = any_market + 'to = ["f01234"]\n'
    assert publishing_edit(rules_of(elsewhere)) is not None
    named = any_market.replace('"market.*"', '"Send"').replace('"market"', '"publishing deals"')
    older = DEFAULT + '\n[[rule]]\nname = "publishing deals"\nmethods = ["market.PublishStorageDeals"]\n'
    settling = publishing_edit(rules_of(older))
    assert settling is not None
    rule = policy_parse(edit_apply(older, settling)).rules[-1]
    assert (rule.name, rule.methods) == ("settling deals", ("market.SettleDealPaymentsExported",))
    again = publishing_edit(rules_of(named))
    assert again is not None
    assert policy_parse(edit_apply(named, again)).rules[-1].name == "publishing deals of miners"
