"""The tree against published vectors, against a second implementation, and against every altered proof."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from certificate.errors import Code, Untrusted
from certificate.log import merkle
from certificate.log.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

#: The reference leaves and roots of the certificate-transparency projects (RFC 6962 trees of 0 to 8 leaves).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
#: (leaf index, tree size, path) from the same source.
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
#: (first size, second size, proof) from the same source.
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]

SIZES = st.integers(min_value=1, max_value=700)
#: Around 256^k a tile is full or begins; 65 536 itself is tried once, below.
EDGES = st.sampled_from([1, 2, 3, 127, 128, 129, 254, 255, 256, 257, 258, 510, 511, 512, 513, 514])
ALL = [leaf_hash(b"leaf %d" % number) for number in range(700)]


def simple_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, as its recursive definition reads: the second implementation."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    left, right = simple_root(hashes[:split]), simple_root(hashes[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def refused(check: object, *arguments: object) -> None:
    with pytest.raises(Untrusted) as refusal:
        check(*arguments)  # type: ignore[operator]
    assert refusal.value.code is Code.PROOF_INVALID


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_hash(HASHES[:size]) == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, path: list[str]) -> None:
    proof = tuple(bytes.fromhex(node) for node in path)
    assert inclusion_proof(index, HASHES[:size]) == proof
    verify_inclusion(index, size, HASHES[index], proof, ROOTS[size])


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(first: int, second: int, path: list[str]) -> None:
    proof = tuple(bytes.fromhex(node) for node in path)
    assert consistency_proof(first, HASHES[:second]) == proof
    verify_consistency(first, second, proof, ROOTS[first], ROOTS[second])


@given(SIZES | EDGES)
def test_the_root_is_the_recursive_definitions(size: int) -> None:
    assert root_hash(ALL[:size]) == simple_root(ALL[:size])


@given(SIZES | EDGES, st.data())
def test_every_leaf_has_a_proof_that_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    hashes = ALL[:size]
    assert (
        verify_inclusion(index, size, hashes[index], inclusion_proof(index, hashes), root_hash(hashes))
        is None
    )


@given(SIZES | EDGES, st.data())
def test_every_earlier_tree_has_a_proof_that_verifies(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(min_value=1, max_value=size) | EDGES.filter(lambda edge: edge <= size))
    hashes = ALL[:size]
    proof = consistency_proof(first, hashes)
    assert verify_consistency(first, size, proof, root_hash(hashes[:first]), root_hash(hashes)) is None


@given(SIZES | EDGES, st.data())
def test_no_altered_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    hashes = ALL[:size]
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof, root = inclusion_proof(index, hashes), root_hash(hashes)
    for place in range(len(proof)):
        flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        refused(
            verify_inclusion, index, size, hashes[index], (*proof[:place], flipped, *proof[place + 1 :]), root
        )
        shorter = (*proof[:place], *proof[place + 1 :])
        refused(verify_inclusion, index, size, hashes[index], shorter, root)
    refused(verify_inclusion, index, size, hashes[index], (*proof, root), root)
    refused(verify_inclusion, index, size, hashes[index], (root, *proof), root)
    refused(verify_inclusion, index, size, leaf_hash(b"another"), proof, root)
    refused(verify_inclusion, index, size, hashes[index], proof, leaf_hash(b"another"))


@given(SIZES | EDGES, st.data())
def test_a_proof_is_for_one_index_only(size: int, data: st.DataObject) -> None:
    hashes = ALL[:size]
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    other = data.draw(st.integers(min_value=0, max_value=size - 1))
    assume(index != other)
    refused(verify_inclusion, other, size, hashes[index], inclusion_proof(index, hashes), root_hash(hashes))


@given(SIZES | EDGES, st.data())
def test_no_altered_consistency_proof_verifies(size: int, data: st.DataObject) -> None:
    hashes = ALL[:size]
    first = data.draw(st.integers(min_value=1, max_value=size))
    proof, old, new = consistency_proof(first, hashes), root_hash(hashes[:first]), root_hash(hashes)
    for place in range(len(proof)):
        flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        refused(verify_consistency, first, size, (*proof[:place], flipped, *proof[place + 1 :]), old, new)
        refused(verify_consistency, first, size, (*proof[:place], *proof[place + 1 :]), old, new)
    refused(verify_consistency, first, size, (*proof, new), old, new)
    refused(verify_consistency, first, size, proof, leaf_hash(b"another"), new)
    refused(verify_consistency, first, size, proof, old, leaf_hash(b"another"))


@settings(max_examples=30)
@given(st.integers(min_value=2, max_value=600), st.data())
def test_a_rewritten_history_is_not_consistent(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(min_value=1, max_value=size - 1))
    rewritten = data.draw(st.integers(min_value=0, max_value=first - 1))
    other = [*ALL[:rewritten], leaf_hash(b"rewritten"), *ALL[rewritten + 1 : size]]
    proof = consistency_proof(first, other)
    refused(verify_consistency, first, size, proof, root_hash(ALL[:first]), root_hash(other))


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_proofs_hold_where_a_third_level_of_tiles_begins(size: int) -> None:
    hashes = [number.to_bytes(32, "big") for number in range(size)]
    root = root_hash(hashes)
    for index in (0, 255, 256, 32_767, 32_768, size - 2, size - 1):
        verify_inclusion(index, size, hashes[index], inclusion_proof(index, hashes), root)
    for first in (1, 255, 256, 257, 32_768, size - 1):
        proof = consistency_proof(first, hashes)
        verify_consistency(first, size, proof, root_hash(hashes[:first]), root)


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = HASHES[0], HASHES[1]
    assert leaf_hash(left + right) != merkle.node_hash(left, right)
    assert leaf_hash(b"\x01" + left + right) != root_hash([left, right])


def test_nothing_stands_in_the_empty_tree() -> None:
    refused(verify_inclusion, 0, 0, HASHES[0], (), merkle.EMPTY_ROOT)


def test_consistency_from_the_empty_tree_is_refused() -> None:
    refused(verify_consistency, 0, 0, (), merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)
    refused(verify_consistency, 0, 8, (), merkle.EMPTY_ROOT, ROOTS[8])


def test_trees_of_one_size_have_one_root_and_no_proof() -> None:
    verify_consistency(8, 8, (), ROOTS[8], ROOTS[8])
    refused(verify_consistency, 8, 8, (), ROOTS[8], ROOTS[7])
    refused(verify_consistency, 8, 8, (ROOTS[1],), ROOTS[8], ROOTS[8])


def test_a_smaller_tree_does_not_follow_a_larger_one() -> None:
    refused(verify_consistency, 8, 6, consistency_proof(6, HASHES), ROOTS[8], ROOTS[6])


@pytest.mark.parametrize("first", [3, 4])
def test_a_growth_without_a_proof_is_refused(first: int) -> None:
    refused(verify_consistency, first, 8, (), ROOTS[first], ROOTS[8])


def test_a_path_longer_or_shorter_than_its_numbers_is_refused_although_its_hashes_agree() -> None:
    # Made so that only the numbers are wrong: the hashes do lead to these roots, of trees of other sizes.
    a_b, c, d, above = ROOTS[2], HASHES[2], HASHES[3], HASHES[7]
    refused(verify_inclusion, 0, 1, HASHES[0], (above,), merkle.node_hash(above, HASHES[0]))
    refused(verify_inclusion, 0, 8, HASHES[0], (), HASHES[0])
    three, four = merkle.node_hash(a_b, c), merkle.node_hash(a_b, merkle.node_hash(c, d))
    verify_consistency(3, 4, (c, d, a_b), three, four)
    higher = merkle.node_hash(above, three), merkle.node_hash(above, four)
    refused(verify_consistency, 3, 4, (c, d, a_b, above), *higher)
    refused(verify_consistency, 3, 8, (c, d, a_b), three, four)


@pytest.mark.parametrize("number", [-1, 2**63, True, 1.0, "1", None])
def test_only_numbers_of_leaves_are_numbers(number: object) -> None:
    proof = inclusion_proof(1, HASHES)
    refused(verify_inclusion, number, 8, HASHES[1], proof, ROOTS[8])
    refused(verify_inclusion, 1, number, HASHES[1], proof, ROOTS[8])
    refused(verify_consistency, number, 8, proof, ROOTS[1], ROOTS[8])
    refused(verify_consistency, 1, number, proof, ROOTS[1], ROOTS[8])


@pytest.mark.parametrize("size", [8, 9, 2**40])
def test_an_index_outside_the_tree_is_refused(size: int) -> None:
    refused(verify_inclusion, size, size, HASHES[0], (), HASHES[0])


@pytest.mark.parametrize("wrong", [b"", b"\x00" * 31, b"\x00" * 33, "0" * 32, None])
def test_a_hash_of_another_length_is_refused(wrong: object) -> None:
    proof = inclusion_proof(1, HASHES)
    refused(verify_inclusion, 1, 8, wrong, proof, ROOTS[8])
    refused(verify_inclusion, 1, 8, HASHES[1], (wrong, *proof[1:]), ROOTS[8])
    refused(verify_inclusion, 1, 8, HASHES[1], proof, wrong)
    refused(verify_consistency, 8, 8, (), wrong, wrong)


def test_a_proof_without_end_is_refused_before_it_is_hashed() -> None:
    with pytest.raises(Untrusted, match="a proof of 65 hashes"):
        verify_inclusion(0, 2**63 - 1, HASHES[0], [HASHES[0]] * 65, ROOTS[8])


def test_whoever_makes_proofs_knows_the_size() -> None:
    for index in (-1, 8):
        with pytest.raises(ValueError, match="does not stand"):
            inclusion_proof(index, HASHES)
    for first in (0, 9):
        with pytest.raises(ValueError, match="no proof leads"):
            consistency_proof(first, HASHES)
