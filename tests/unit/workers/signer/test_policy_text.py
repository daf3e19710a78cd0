"""Changing one rule of a policy's text: everything else stays as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.wire.policy import PUT, REMOVE, REPLACE, PolicyEdit, RuleForm
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import BadPolicy
from workers.signer.policy_parse import policy_parse
from workers.signer.policy_text import edit_apply, parts_cut, parts_join, rule_form, text_write

SETS = '\n[[set]]\nname = "purse"\nrules = ["small transfers", "blocks"]\n'


def put(text: str = DEFAULT, *, was: str = "", place: int | None = None, **rule: Any) -> str:
    return edit_apply(text, PolicyEdit(op=PUT, name=was, place=place, rule=RuleForm(**rule)))


def names(text: str) -> list[str]:
    return [rule.name for rule in policy_parse(text).rules]


@pytest.mark.parametrize("text", ["", "version = 1\n", DEFAULT, DEFAULT + SETS, DEFAULT.rstrip("\n")])
def test_cut_and_put_together_it_is_the_same_text(text):
    assert "".join(line for part in parts_cut(text) for line in part.lines) == text


def test_a_new_rule_stands_last_and_the_rest_keeps_its_words():
    changed = put(name="bonus", methods=("Send",), to=("f01234",), value_max="2 FIL")

    assert names(changed) == [*names(DEFAULT), "bonus"]
    for line in DEFAULT.splitlines():
        assert line in changed.splitlines()


def test_a_new_rule_goes_where_it_is_told():
    assert names(put(name="bonus", place=2))[1] == "bonus"
    assert names(put(name="bonus", place=1))[0] == "bonus"
    assert names(put(name="bonus", place=99))[-1] == "bonus"


def test_a_changed_rule_keeps_place_and_comment():
    changed = put(was="small transfers", name="transfers", methods=("Send",), value_max="0.5 FIL")

    assert names(changed)[4] == "transfers"
    assert "# Transfers leave the pool" in changed
    assert policy_parse(changed).rules[4].value_max == 5 * 10**17
    assert policy_parse(changed).rules[4].value_per_day is None


def test_a_rule_taken_out_leaves_with_its_comment_and_out_of_its_sets():
    changed = edit_apply(DEFAULT + SETS, PolicyEdit(op=REMOVE, name="small transfers"))

    assert "small transfers" not in names(changed)
    assert "Transfers leave the pool" not in changed
    assert policy_parse(changed).sets == {"purse": ("blocks",)}


def test_the_last_rule_of_a_set_takes_the_set_with_it():
    text = edit_apply(DEFAULT + SETS, PolicyEdit(op=REMOVE, name="small transfers"))

    assert policy_parse(edit_apply(text, PolicyEdit(op=REMOVE, name="blocks"))).sets == {}


def test_a_renamed_rule_stays_in_its_sets_and_new_sets_are_made():
    text = DEFAULT + SETS
    changed = put(text, was="blocks", name="mining", types=("block",), sets=("purse", "miner"))

    assert policy_parse(changed).sets == {"purse": ("small transfers", "mining"), "miner": ("mining",)}


def test_a_form_shows_what_it_wrote():
    form = RuleForm(
        name='ü “quoted” \\ " rule',
        types=("message", "block"),
        keys=("f01234",),
        methods=("miner.*", "Send"),
        to=("f099",),
        callers=("gateway *",),
        value_max="1.5 FIL",
        value_per_day="20 FIL",
        fee_max="0.1 FIL",
        fee_per_day="1 FIL",
        premium_max="0.01 FIL",
        premium_per_day="0.05 FIL",
        hours="22:00-06:00",
        sets=("purse",),
    )
    policy = policy_parse(edit_apply(DEFAULT, PolicyEdit(op=PUT, rule=form)))

    assert rule_form(policy.rules[-1], policy.sets) == form


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (PolicyEdit(op=REMOVE, name="nobody"), "rule 'nobody' no longer exists"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="")), "every rule needs a name"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="blocks")), "rule 'blocks' already exists"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="x", value_max="much")), "rule 'x': value_max"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="x", hours="8-9")), "rule 'x': hours"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="x", hours="08:00+02:00-09:00")), "must not have a time zone"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="x", types=("nonsense",))), "is not one of"),
        (PolicyEdit(op=PUT, rule=RuleForm(name="half \ud800")), "an incomplete character"),
        (PolicyEdit(op=REPLACE, text="version = 2"), "must contain version = 1"),
    ],
)
def test_what_cannot_be_done_says_why(edit, complaint):
    with pytest.raises(BadPolicy, match=complaint):
        edit_apply(DEFAULT, edit)


def test_a_text_that_cannot_be_cut_is_left_to_people():
    text = 'version = 1\nrule = [{name = "one"}, {name = "two"}]\n'

    with pytest.raises(BadPolicy, match="cannot be edited with the form"):
        put(text, name="three")


def test_a_header_inside_a_string_is_not_taken_for_one():
    text = 'version = 1\n[[rule]]\nname = """\n[[rule]]\n"""\n'

    with pytest.raises(BadPolicy, match="cannot be edited with the form"):
        put(text, name="three")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives(value):
    policy = policy_parse(f"version = 1\n[[rule]]\nname = {text_write(value)}\n")

    assert policy.rules[0].name == value


@given(st.lists(st.sampled_from(["[[rule]]\n", "# note\n", "\n", 'name = "x"\n', "[[set]] # s\n", "x"])))
def test_parts_are_joined_with_no_line_lost(lines):
    text = "".join(lines)

    kept = [line for line in parts_join(parts_cut(text)).splitlines() if line.strip()]

    assert kept == [line for line in text.splitlines() if line.strip()]
