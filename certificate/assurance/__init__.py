"""Assurance: from order and evidence to what may honestly be claimed of one medium. Pure, and never raises.

`judge` starts from the strongest claim the technique allows and collects every reason against it
(`reasons.Reason`); a reason only lowers. Nothing is believed that can be decoded again: commands and status
logs are read here from their raw words.

1.  The evidence answers this order: id, token, hello, configuration, purpose; it is of the boot and the key
    that the order names, and that boot held its secret. (Digests and signatures: `verify`, before this.)
2.  Every identifying fact the order names was seen to agree, at least three. One not observed counts as one
    that disagrees, or else not to look would pay.
3.  Every medium and place the order names has exactly one entry, and no other storage was found. A dead drive
    with its entry spoils no other; a missing entry spoils all, because nobody knows what else is missing.
4.  The medium was present, opened exclusively, the same before and after, as planned, writable and readable;
    its own word offers the technique; every namespace is covered, and namespaces and unallocated capacity
    together are the whole capacity, so that a namespace nobody listed shows.
5.  The commands are the plan's techniques from the first on, each after the refusal or failure of the one
    before; the last is judged. It was the Sanitize opcode with the technique's action, its start was
    acknowledged, its completion was success, it did not time out.
6.  The drive's status afterwards is a success (SSTAT 1 or 4) of exactly our CDW10, with Global Data Erased,
    and is not the status from before: an unchanged one proves nothing, unless markers were committed in
    every namespace and every one, seen on the medium before, changed.
7.  The markers open the commitment that the controller acknowledged, and are as many as were committed. A
    listed namespace with fewer than three, at different offsets, is at most device-reported: one that is not
    attached cannot be marked, one below three pages has no room. By reading, after a cryptographic erase:
        pseudorandom   evidence of a changed key, if about half of the bits changed
        zero, constant unmapping shows the same: at most device-reported
        unchanged      `not_erased`, whatever the drive says
        unreadable     at most inconclusive: no technique here has a capability word that predicts it
        not_applicable, not_observed   at most inconclusive
    A block erase is device-reported at most; `unchanged` is `not_erased` there too.
8.  boot_trust caps: `network` at most clear; `tenant_os` at most inconclusive; `installed` as tenant_os, but
    not for an agent beside the machine or on a host that never had a tenant. Media keys known to be escrowed:
    a cryptographic erase is at most inconclusive (SP 800-88r2, 3.2.2); not knowing is said in `limits`.
9.  A claim below the order's floor is inconclusive. A refused or failed command, or an unchanged marker, is
    `not_erased`. Recorded errors and a read-back that differs are at most inconclusive, but where the plan's
    next technique followed a failure, the codes of that failure are explained.
Sources: DESIGN.md, "What is claimed"; FORMATS.md, "boot_trust and what it caps"; erasure.md, 2.4 and 3.
"""

from __future__ import annotations

from certificate.assurance.claim import may_release, strength, what_became, worst
from certificate.assurance.judgement import judge
from certificate.assurance.limits import (
    ATTACHED_LIMIT,
    CELLS_LIMIT,
    COPIES_LIMIT,
    ESCROW_LIMIT,
    FIRMWARE_LIMIT,
    KEY_LIMIT,
    REPORTED_LIMIT,
    START_LIMIT,
    UNALLOCATED_LIMIT,
)
from certificate.reasons import Effect, Reason

__all__ = [
    "ATTACHED_LIMIT",
    "CELLS_LIMIT",
    "COPIES_LIMIT",
    "ESCROW_LIMIT",
    "FIRMWARE_LIMIT",
    "KEY_LIMIT",
    "REPORTED_LIMIT",
    "START_LIMIT",
    "UNALLOCATED_LIMIT",
    "Effect",
    "Reason",
    "judge",
    "may_release",
    "strength",
    "what_became",
    "worst",
]
