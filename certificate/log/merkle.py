"""The tree over the log's entries: RFC 6962 with SHA-256, its proofs, and how they are verified.

Rules: a leaf is hashed behind 0x00 and a node behind 0x01, so that no node passes for a leaf; each hash has
exactly 32 bytes; an index lies in its tree; a proof has exactly the nodes that its numbers call for, no more
and no less. What is wrong raises Untrusted(PROOF_INVALID); nothing here returns a verdict that could be
ignored.

The empty tree: its root is SHA-256 of nothing, and it contains no leaf. Consistency *from* the empty tree is
refused: every tree extends it, so that there is nothing to prove, and a caller who remembers size 0 must not
be told that something was verified (RFC 9162, 2.1.4.1 requires 0 < m < n). Equal sizes need an empty proof
and equal roots.
Sources: RFC 6962, 2.1; RFC 9162, 2.1.3 and 2.1.4 (the iterative verification algorithms).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from certificate.errors import Code, Untrusted
from certificate.log.lines import MAX_NUMBER

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
#: An inclusion proof in a tree of 2^63 leaves has 63 nodes, a consistency proof one more.
MAX_PROOF_HASHES = 64


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Refuses unless `proof` (leaf to root) shows the leaf at `index` in the tree of `size` with this root.

    Raises Untrusted(PROOF_INVALID). Source: RFC 9162, 2.1.3.2.
    """
    _require_number(index, "index")
    _require_number(size, "size")
    if index >= size:
        raise _invalid(f"leaf {index} does not stand in a tree of {size}")
    _require_hashes(proof, leaf_hash, root)
    fn, sn = index, size - 1
    result = leaf_hash
    for node in proof:
        if sn == 0:
            raise _invalid("the proof has more hashes than its path")
        if fn & 1 or fn == sn:
            result = node_hash(node, result)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node_hash(result, node)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise _invalid("the proof has fewer hashes than its path")
    if result != root:
        raise _invalid(f"the path from leaf {index} leads to another root")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Refuses unless `proof` shows that the tree of `size2` only adds to the tree of `size1`.

    Raises Untrusted(PROOF_INVALID), also for `size1` 0 (see above). Source: RFC 9162, 2.1.4.2.
    """
    _require_number(size1, "size1")
    _require_number(size2, "size2")
    if size1 == 0:
        raise _invalid("nothing can be proven of the empty tree")
    if size1 > size2:
        raise _invalid(f"a tree of {size1} cannot grow into one of {size2}")
    _require_hashes(proof, root1, root2)
    if size1 == size2:
        if proof:
            raise _invalid("trees of one size need no proof")
        if root1 != root2:
            raise _invalid(f"two trees of {size1} leaves have different roots")
        return
    if not proof:
        raise _invalid("the proof is empty")
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    _walk_consistency(size1, size2, path, root1, root2)


def _walk_consistency(size1: int, size2: int, path: list[bytes], root1: bytes, root2: bytes) -> None:
    """Steps 3 to 6 of RFC 9162, 2.1.4.2."""
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for node in path[1:]:
        if sn == 0:
            raise _invalid("the proof has more hashes than its path")
        if fn & 1 or fn == sn:
            first = node_hash(node, first)
            second = node_hash(node, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, node)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise _invalid("the proof has fewer hashes than its path")
    if first != root1:
        raise _invalid(f"the proof leads to another root of {size1} leaves")
    if second != root2:
        raise _invalid(f"the proof leads to another root of {size2} leaves")


def root_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes (RFC 6962, 2.1). Hashes each node once."""
    return _subtree(leaf_hashes, 0, len(leaf_hashes)) if leaf_hashes else EMPTY_ROOT


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """The path from leaf `index` to the root, leaf first (RFC 6962, 2.1.1). Raises ValueError outside the
    tree: whoever makes proofs knows its size.
    """
    if not 0 <= index < len(leaf_hashes):
        raise ValueError(f"leaf {index} does not stand in a tree of {len(leaf_hashes)}")
    path: list[bytes] = []
    start, end = 0, len(leaf_hashes)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(leaf_hashes, middle, end))
            end = middle
        else:
            path.append(_subtree(leaf_hashes, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(size1: int, leaf_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """The proof from the first `size1` leaves to all of them (RFC 6962, 2.1.2). Raises ValueError unless
    0 < size1 <= len(leaf_hashes).
    """
    if not 0 < size1 <= len(leaf_hashes):
        raise ValueError(f"no proof leads from {size1} leaves to {len(leaf_hashes)}")
    path: list[bytes] = []
    start, end = 0, len(leaf_hashes)
    while size1 != end:
        middle = start + _split(end - start)
        if size1 <= middle:
            path.append(_subtree(leaf_hashes, middle, end))
            end = middle
        else:
            path.append(_subtree(leaf_hashes, start, middle))
            start = middle
    if start:
        path.append(_subtree(leaf_hashes, start, end))
    return tuple(reversed(path))


def _split(count: int) -> int:
    """The largest power of two below `count` (RFC 6962, 2.1: k)."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(leaf_hashes: Sequence[bytes], start: int, end: int) -> bytes:
    if end - start == 1:
        return leaf_hashes[start]
    middle = start + _split(end - start)
    return node_hash(_subtree(leaf_hashes, start, middle), _subtree(leaf_hashes, middle, end))


def _require_number(number: int, what: str) -> None:
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        raise _invalid(f"{what} is not a number of leaves")


def _require_hashes(proof: Sequence[bytes], *others: bytes) -> None:
    if len(proof) > MAX_PROOF_HASHES:
        raise _invalid(f"a proof of {len(proof)} hashes")
    if any(not isinstance(node, bytes) or len(node) != HASH_BYTES for node in (*proof, *others)):
        raise _invalid("a hash has 32 bytes")


def _invalid(reason: str) -> Untrusted:
    return Untrusted(Code.PROOF_INVALID, reason)
