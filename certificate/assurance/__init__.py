"""Assurance: from order and evidence to what may honestly be claimed of one medium. Pure, and never raises.

`judge` starts from the strongest claim the technique allows and collects every reason against it
(`reasons.Reason`); a reason only lowers. Nothing is believed that can be decoded again: commands, capability
words and status logs are read here from their raw words. Who knows less claims no more: a fact that nobody
observed counts as the adverse one.

1.  The evidence answers this order: id, token, hello, configuration, purpose; it is of the boot and the key
    that the order names, and that boot held its secret. (Digests and signatures: `verify`, before this.)
2.  Every identifying fact the order names was seen to agree, at least three. One not observed counts as one
    that disagrees, or else not to look would pay.
3.  Every medium and place the order names has exactly one entry, and no other storage was found. A dead drive
    with its entry spoils no other; a missing entry spoils all, because nobody knows what else is missing.
4.  The medium was present, opened exclusively by a driver of ours, the same before and after, as planned
    (transport, attachment, capacity, firmware, and the kind that its own words make it), writable and
    readable; whatever held it let go; it hides no capacity. Its own words offer the technique; every
    namespace is covered, and namespaces and unallocated capacity together are the whole capacity, so that a
    namespace nobody listed shows. A Format and an overwrite reach attached namespaces only: every one is
    attached, and the drive's own words (UNVMCAP, TNVMCAP) leave nothing unallocated or uncounted. Where the
    total is another than what is listed, or the subsystem has several controllers (CMIC) and says no total,
    or may have more namespaces than are listed (NN) and manages none, what one controller lists cannot be
    known to be everything.
5.  The commands are the plan's techniques from the first on, each after the refusal or failure of the one
    before, which is the drive's word and nobody else's; the last technique is judged. Sanitize and overwrite
    are one command, Format is one for all or one a namespace, and one of them that failed is a failure of
    all. Each start was acknowledged, each was accepted in time, and a device's completion was success.
        sanitize    its opcode and action; of an overwrite the pattern that order, nonce and medium give,
                    not inverted, and as many passes reported as were asked for
        format      its opcode and secure erase setting; together they reach every namespace by the drive's
                    own word (FNA), and keep what the namespaces' own words say of format, metadata and
                    protection
        overwrite   the plan's pattern, every byte of the medium written, none failed, all flushed, and no
                    metadata in line with the data; device words do not apply
6.  After a sanitize the drive's status is a success (SSTAT 1 or 4) of exactly our CDW10, with Global Data
    Erased, and is not the status from before: state, passes, Global Data Erased and CDW10 are compared, not
    estimates. An unchanged one proves nothing, unless markers were committed in every namespace and every
    one, seen on the medium before, reads as only this technique leaves it: pseudorandom after a cryptographic
    one, as_overwritten after an overwrite, nothing after an erase of blocks. Zeros show unmapping, which a
    drive does without a sanitize. No other technique has a status log, and one on record there is a mismatch.
7.  The markers open the commitment that the controller acknowledged, are as many as were committed, and are
    exactly those that `marking` derives again from order, nonce, medium and attached namespaces: markers
    elsewhere prove nothing of the rest. A listed namespace with fewer than three, at different offsets, is at
    most device-reported: one that is not attached cannot be marked, one below three pages has no room. So
    is a sanitize of a drive whose namespaces may not all be listed, by the words of rule 4: it reaches them,
    and no marker shows it.
    Every changed marker differs in about half of its bits. By reading:
        pseudorandom    a changed key after a cryptographic sanitize or Format; fits an erase of blocks or
                        user data and shows no key there; nothing after an overwrite
        as_overwritten  proof of an overwrite, the drive's or the host's; nothing after anything else
        zero, constant  unmapping shows the same: at most device-reported; nothing after a host's overwrite
        unchanged       `not_erased`, whatever the drive says
        unreadable      at most inconclusive: no technique here has a capability word that predicts it
        not_applicable, not_observed    at most inconclusive
    A block erase and a user data erase are device-reported at most.
    A host's overwrite was also read back: in the plan's mode or a stronger one, from the seed that order,
    nonce and medium give, every extent of it and every byte. A byte that could not be read is a doubt; one
    that reads otherwise than it was written is `not_erased`, because the medium did not keep the overwrite.
    After another technique a read-back proves nothing, and an adverse one is a doubt. No device reports on
    what the host writes: where its markers would be worth device-reported, it is inconclusive.
8.  boot_trust caps: `network` at most clear; `tenant_os` at most inconclusive; `installed` as tenant_os, but
    not for an agent beside the machine or on a host that never had a tenant. Keys known to be kept elsewhere:
    what destroys nothing but keys, the drive's or a layer's, or need do no more (a Format's user data erase),
    is at most inconclusive (SP 800-88r2, 3.2.2); not knowing is said in `limits`. Who knows is the provider,
    by its signed validation table; the order repeats that word.
9.  Each encryption layer the order names has exactly one entry, and there is no other. A header found after
    everything, or a key that still opens one, is `not_erased`; one that nobody looked for is inconclusive. A
    layer that was not seen to be destroyed (acknowledged, every copy changed, flushed) is at most
    device-reported. Layers alone are inconclusive: a backup of a header may exist.
10. A claim below the order's floor is inconclusive. A refused or failed command, or an unchanged marker, is
    `not_erased`. Recorded errors are at most inconclusive, but where the plan's next technique followed a
    failure, a code is explained that the raw words of that failure give: a completion other than success, a
    status log that says failed. So is it that a drive could not be marked, where no marker was committed to
    and its status log from right before the first command, a sanitize, says that its latest one failed: it
    then refuses all access until one succeeds. What follows is at most device-reported, by rule 7.

11. Of an attempt whose evidence never came nothing is known: inconclusive, whatever was ordered. A result
    that the evidence supports and nobody accepted, or somebody rejected, is inconclusive, too, and keeps its
    technique, reasons and limits. Both only take away.

What only ever speaks against a medium has no place where it could be missed: an error, what did not let go, a
key that still opens a layer. To leave one out is to say less, not to know less, and the signature is the
agent's.
Sources: DESIGN.md, "What is claimed"; FORMATS.md, "boot_trust and what it caps"; erasure.md, 2.3, 2.4, 2.10,
2.11, 3.
"""

from __future__ import annotations

from certificate.assurance.claim import UNACCEPTED, may_release, strength, unaccepted, what_became, worst
from certificate.assurance.judgement import DESTROYS_A_KEY, judge, without_evidence
from certificate.assurance.limits import (
    ATTACHED_LIMIT,
    CACHE_LIMIT,
    CELLS_LIMIT,
    COMPLETION_LIMIT,
    COPIES_LIMIT,
    ESCROW_LIMIT,
    FIRMWARE_LIMIT,
    FLASH_LIMIT,
    KEY_LIMIT,
    KNOWN_COPY_LIMIT,
    LAYERS_LIMIT,
    NATIVE_LIMIT,
    REPORTED_LIMIT,
    SPARE_LIMIT,
    START_LIMIT,
    UNALLOCATED_LIMIT,
    UNLISTED_LIMIT,
    UNSEEN_LIMIT,
    ZERO_LIMIT,
)
from certificate.reasons import Effect, Reason

__all__ = [
    "ATTACHED_LIMIT",
    "CACHE_LIMIT",
    "CELLS_LIMIT",
    "COMPLETION_LIMIT",
    "COPIES_LIMIT",
    "DESTROYS_A_KEY",
    "ESCROW_LIMIT",
    "FIRMWARE_LIMIT",
    "FLASH_LIMIT",
    "KEY_LIMIT",
    "KNOWN_COPY_LIMIT",
    "LAYERS_LIMIT",
    "NATIVE_LIMIT",
    "REPORTED_LIMIT",
    "SPARE_LIMIT",
    "START_LIMIT",
    "UNACCEPTED",
    "UNALLOCATED_LIMIT",
    "UNLISTED_LIMIT",
    "UNSEEN_LIMIT",
    "ZERO_LIMIT",
    "Effect",
    "Reason",
    "judge",
    "may_release",
    "strength",
    "unaccepted",
    "what_became",
    "without_evidence",
    "worst",
]
