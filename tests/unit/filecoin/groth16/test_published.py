"""The list of the public networks' parameter files, and what is refused by it."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pytest

from poolsite.filecoin.groth16.circuits import verifying_key_name
from poolsite.filecoin.groth16.keys import VerifyingKeys
from poolsite.filecoin.groth16.powers import POWERS_NAME
from poolsite.filecoin.groth16.published import (
    PUBLISHED,
    ForeignParameters,
    data_digest,
    file_digest,
    published_check,
)
from poolsite.filecoin.groth16.verification import BadVerifyingKey
from poolsite.filecoin.policy import CALIBNET, DEMO, LOTUS_2K, MAINNET, SetUp
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from tests.unit.filecoin.golden_proofs import golden
from workers.snark.files import CircuitKind, spec_for


def test_the_list_names_the_files_of_every_circuit_and_no_other() -> None:
    specs = [spec_for(kind, size) for kind in CircuitKind for size in SECTOR_SIZES]
    names = {name for spec in specs for name in (spec.parameters_name, spec.verifying_key_name)}
    assert set(PUBLISHED) == names | {POWERS_NAME}
    assert len(set(PUBLISHED.values())) == len(PUBLISHED)
    assert all(len(bytes.fromhex(digest)) == 16 for digest in PUBLISHED.values())


def test_a_digest_begins_the_blake2b_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * (2 << 20))  # longer than what is read at a time
    seen: list[tuple[int, int]] = []
    assert file_digest(path, progress=lambda *done: seen.append(done)) == data_digest(path.read_bytes())
    assert seen[-1] == (6 << 20, 6 << 20)
    assert len(seen) == 2
    assert data_digest(b"abc") == blake2b(b"abc").hexdigest()[:32] == "ba80a53f981c4d0d6a2797b69f12f6e9"


def test_a_file_of_another_digest_or_of_no_list_is_refused_by_name() -> None:
    name = verifying_key_name(spec_for(CircuitKind.POREP, SECTOR_SIZES[3]).id)
    published_check(name, "0c7b4aac1c40fdb7eb82bc355b41addf")
    with pytest.raises(ForeignParameters, match=rf"{name} .* is {'00' * 16}, not 0c7b4aac1c40fdb7"):
        published_check(name, "00" * 16)
    with pytest.raises(ForeignParameters, match=r"other\.vk is not in the public networks' parameter list"):
        published_check("other.vk", "00" * 16)


def test_public_networks_take_the_published_set_up_and_others_their_own() -> None:
    assert {network.set_up for network in (MAINNET, CALIBNET)} == {SetUp.PUBLISHED}
    assert {network.set_up for network in (LOTUS_2K, DEMO)} == {SetUp.LOCAL}


def test_a_key_that_is_not_of_the_list_proves_nothing_on_a_public_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit = spec_for(CircuitKind.WINDOW_POST, SECTOR_SIZES[0]).id
    data = bytes.fromhex(golden("groth16_window_2k")["vk"])
    (tmp_path / verifying_key_name(circuit)).write_bytes(data)
    assert VerifyingKeys(tmp_path).get(circuit) is not None
    public = VerifyingKeys(tmp_path, must_be_published=True)
    with pytest.raises(BadVerifyingKey, match=f"{verifying_key_name(circuit)} is not the file in"):
        public.get(circuit)
    monkeypatch.setitem(PUBLISHED, verifying_key_name(circuit), data_digest(data))
    assert public.get(circuit) is not None
