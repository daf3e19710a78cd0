"""The powers that aggregates are made with: the network's file read, or one made from a seed for tests.

Whoever knows the seed can prove anything: see `setup`.  Format: `poolsite.filecoin.groth16.powers`.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha512
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from poolsite.filecoin.groth16.keys import TOXIC_SUFFIX
from poolsite.filecoin.groth16.powers import LISTS, POWERS_NAME, BadPowers, powers_lists
from poolsite.filecoin.groth16.published import PUBLISHED, file_digest
from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2, BadPoints, point_compress, points_decode, points_decompress
from workers.snark.setup import G1_GENERATOR, G2_GENERATOR
from workers.snark.subgroups import first_outside_subgroup
from workers.storage.files import write_file

if TYPE_CHECKING:
    from workers.snark.arrays import Words

SEED_DOMAIN: Final = b"poolsite/aggregate-powers/1"
"""Before the seed, so that its digests are those of nothing else."""

GROUPS: Final = (G1, G1, G2, G2)


@dataclass(frozen=True, slots=True)
class Powers:
    """The first powers of both secrets, for aggregates of `proofs` proofs: 2 n in G1, n in G2."""

    proofs: int
    g_alpha: Words
    g_beta: Words
    h_alpha: Words
    h_beta: Words


def powers_read(path: Path, *, proofs: int) -> Powers:
    """Return the powers for so many proofs, a power of two.

    Raises BadPowers for a file without enough of them, with a point that is not of its group, or that is not
    what was published or made here, OSError.
    """
    powers_check(path)
    wanted = (2 * proofs, 2 * proofs, proofs, proofs)
    found: list[Words] = []
    with path.open("rb") as file:
        for (start, length), width, group, count in zip(
            powers_lists(path), LISTS, GROUPS, wanted, strict=True
        ):
            if length < 2 * proofs:
                raise BadPowers(f"{path.name}: {length} powers, {2 * proofs} are needed for {proofs} proofs")
            file.seek(start)
            try:
                found.append(points_decompress(group, file.read(count * width)))
            except BadPoints as error:
                raise BadPowers(f"{path.name}: {error}") from None
            outside = first_outside_subgroup(group, found[-1])
            if outside >= 0:
                raise BadPowers(f"{path.name}: point {outside} of {group.name} is not in the subgroup")
    return Powers(proofs, *found)


def powers_check(path: Path) -> None:
    """Compare a set-up with the digest in the networks' list, or in the mark of one that was made here.

    A mark of an earlier version has no digest: the present one is noted.  Raises BadPowers, OSError.
    """
    digest = file_digest(path)
    if digest == PUBLISHED[POWERS_NAME]:
        return
    mark_path = _mark_path(path)
    try:
        mark = json.loads(mark_path.read_text())
    except FileNotFoundError:
        raise BadPowers(
            f"{path.name} is not the file in the public networks' list: its digest is {digest}, not "
            f"{PUBLISHED[POWERS_NAME]}; nor does a mark say that it was made from a seed"
        ) from None
    except ValueError:
        raise BadPowers(f"{mark_path.name} is damaged: make {path.name} again") from None
    if "digest" not in mark:
        with suppress(OSError):  # a folder that we only read
            write_file(mark_path, _mark_text(mark | {"digest": digest}))
    elif mark["digest"] != digest:
        raise BadPowers(f"{path.name} is damaged: its digest is {digest}, {mark['digest']} when it was made")


def _mark_path(path: Path) -> Path:
    return path.parent / (path.stem + TOXIC_SUFFIX)


def _mark_text(mark: dict[str, str]) -> bytes:
    return (json.dumps(mark, indent=2) + "\n").encode()


def powers_make(path: Path, *, seed: str, proofs: int, threads: int = 1) -> None:
    """Write powers for up to so many proofs from a seed, with a mark; an unfinished file never has the name.

    Raises FileExistsError where there are some: these may be the network's.
    """
    if path.exists():
        raise FileExistsError(f"{path} already exists; a set-up is never overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = {
        "warning": (
            "TOXIC: made from a known seed. Anyone who knows it can forge proofs. Not for a real chain."
        ),
        "seed": seed,
    }
    write_file(_mark_path(path), _mark_text(mark))  # first: no such file is ever unmarked
    secrets = [
        int.from_bytes(sha512(SEED_DOMAIN + seed.encode() + bytes([place])).digest(), "big")
        % (SCALAR_MODULUS - 1)
        + 1
        for place in range(2)
    ]
    rows = [_scalars(secret, 2 * proofs) for secret in secrets]
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    with partial.open("wb") as file:
        for group, generator in ((G1, G1_GENERATOR), (G2, G2_GENERATOR)):
            base = points_decode(group, generator)[0]
            for scalars in rows:
                points = multiples(group, base, scalars, threads=threads)
                file.write(struct.pack(">I", len(points)))
                file.write(b"".join(point_compress(group, point) for point in points))
        file.flush()
        os.fsync(file.fileno())
    write_file(_mark_path(path), _mark_text(mark | {"digest": file_digest(partial)}))
    partial.replace(path)


def _scalars(secret: int, count: int) -> Words:
    powers = [1]
    while len(powers) < count:
        powers.append(powers[-1] * secret % SCALAR_MODULUS)
    rows: Words = np.ascontiguousarray(limbs(powers, bits=WORD_BITS, montgomery=False))
    return rows
