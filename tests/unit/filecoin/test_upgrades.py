"""The table of upgrades, versions by epoch, and methods that change with them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from poolsite.filecoin.actors import miner
from poolsite.filecoin.actors.method import MethodSpec, method_table, params_at, params_convert, params_read
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import Uint64, cbor_tuple, from_cbor, to_cbor
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.policy import LOTUS_2K, MAINNET
from poolsite.filecoin.upgrades import UPGRADES, upgrade_version, version_at


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Part:
    """A part in the made-up form before."""

    number: Uint64


@cbor_tuple
@dataclass(frozen=True, slots=True)
class LaterPart:
    """A part in the made-up form after."""

    number: Uint64
    weight: Uint64


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Before:
    """Made-up parameters."""

    parts: tuple[Part, ...]


@cbor_tuple
@dataclass(frozen=True, slots=True)
class After:
    """What the same method takes from version 29 on."""

    parts: tuple[LaterPart, ...]
    force: bool


[SPEC] = method_table(
    MethodSpec(5, "MadeUp", After, since=29), MethodSpec(5, "MadeUp", Before, until=29)
).values()
PLAIN = After((LaterPart(3, 0), LaterPart(4, 0)), force=False)


def test_versions_rise_with_the_table() -> None:
    versions = [upgrade.version for upgrade in UPGRADES if upgrade.version is not None]
    assert sorted(versions) == list(range(1, 29))
    assert versions[3:] == sorted(versions[3:])
    assert (upgrade_version("FireHorse"), upgrade_version("Phoenix"), upgrade_version("Odd")) == (
        28,
        None,
        None,
    )


def test_an_upgrade_s_epoch_has_the_version_before() -> None:
    assert [MAINNET.version_at(epoch) for epoch in (6_052_800, 6_052_801)] == [27, 28]
    assert LOTUS_2K.version_at(0) == 28


def test_the_reported_version_tells_of_upgrades_without_an_epoch() -> None:
    assert version_at(100, heights={}, reported=25) == 25
    assert version_at(100, heights={"Tock": 50}, reported=25) == 26
    assert version_at(100, heights={"FireHorse": 500}, reported=27) == 27
    assert version_at(100, heights={}, reported=77) == 77, "an upgrade that the table lacks"


def test_dropped_methods_end_with_a_version() -> None:
    ends = {spec.name: spec.until for spec in miner.METHODS.values() if spec.until is not None}
    assert ends["PreCommitSector"] == 22
    assert ends["ProveCommitAggregate"] == 27
    assert "ProveCommitSectors3" not in ends


def test_each_form_is_the_one_of_its_versions() -> None:
    assert SPEC.at(28).params is Before
    assert SPEC.at(29).params is SPEC.at(None).params is After
    assert [form.params for form in SPEC.forms] == [After, Before]


def test_forms_of_one_number_must_follow_on_each_other() -> None:
    with pytest.raises(ValueError, match="a form until None and one since 29"):
        method_table(MethodSpec(5, "MadeUp", Before), MethodSpec(5, "MadeUp", After, since=29))


def test_parameters_go_into_the_form_of_a_version_and_are_read_from_both() -> None:
    older = params_at(SPEC, to_cbor(PLAIN), version=28)

    assert from_cbor(Before, older) == Before((Part(3), Part(4)))
    assert params_at(SPEC, older, version=29) == to_cbor(PLAIN)
    assert params_read(After, older) == params_read(After, to_cbor(PLAIN)) == PLAIN
    with pytest.raises(BadCbor):
        params_read(After, b"\x80")
    assert params_at(SPEC, b"\x80", version=28) == b"\x80"


def test_what_the_older_form_cannot_say_is_refused() -> None:
    for value in (After(PLAIN.parts, force=True), After((LaterPart(3, 1),), force=False)):
        with pytest.raises(BadField, match="Before cannot say what After does"):
            params_convert(value, Before)
