"""The trust root: what it refuses of itself, and whom it believes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from certificate import envelope as dsse
from certificate import trust as trust_module
from certificate.envelope import TRUST_ROOT_PAYLOAD_TYPE, Envelope
from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.keys import PrivateKey
from certificate.log import note
from certificate.statements import Approval, Order, Outcome, Summary, ValidationTable, Withdrawal
from certificate.trust import TrustRoot

Alter = Callable[[Any, str, Any], Any]


def refusal_of(act: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value


def signed_fields(trust: TrustRoot, signer: PrivateKey, **changes: Any) -> bytes:
    """The trust root's envelope with some of its JSON replaced, signed again by `signer`."""
    document = json.loads(trust.canonical()) | changes
    payload = json.dumps(document).encode()
    return dsse.sign(payload, signer, payload_type=TRUST_ROOT_PAYLOAD_TYPE).write()


# --- the document itself ------------------------------------------------------------------------------------


def test_a_trust_root_is_read_as_it_was_signed(trust: TrustRoot, trust_bytes: bytes) -> None:
    assert trust_module.read(trust_bytes) == trust


def test_the_fingerprint_is_the_digest_of_the_payload(trust: TrustRoot, trust_bytes: bytes) -> None:
    assert trust_module.fingerprint(trust_bytes) == hashlib.sha256(trust.canonical()).hexdigest()


def test_no_witnesses_are_written_out(trust: TrustRoot) -> None:
    assert json.loads(trust.canonical())["witnesses"] == "none"


def test_only_a_root_key_signs_a_trust_root(trust: TrustRoot, keys: Any) -> None:
    assert refusal_of(lambda: trust_module.sign(trust, keys.issuer)).code is Code.KEY_UNTRUSTED
    forged = dsse.sign(trust.canonical(), keys.issuer, payload_type=TRUST_ROOT_PAYLOAD_TYPE).write()
    assert refusal_of(lambda: trust_module.read(forged)).code is Code.SIGNATURE_INVALID


def test_a_statement_is_no_trust_root(trust: TrustRoot, keys: Any) -> None:
    statement = dsse.sign(trust.canonical(), keys.root).write()
    assert refusal_of(lambda: trust_module.read(statement)).code is Code.TYPE_MISMATCH
    assert refusal_of(lambda: trust_module.fingerprint(statement)).code is Code.TYPE_MISMATCH


@given(data=st.data())
def test_any_flipped_byte_refuses_a_trust_root_or_leaves_it_as_it_is(
    data: st.DataObject, trust: TrustRoot, trust_bytes: bytes
) -> None:
    altered = bytearray(trust_bytes)
    position = data.draw(st.integers(min_value=0, max_value=len(altered) - 1))
    altered[position] ^= data.draw(st.integers(min_value=1, max_value=255))
    try:
        found = trust_module.read(bytes(altered))
    except Refused:
        return
    # The keyid is a hint that nobody believes, and white space is no part of what was signed.
    assert found == trust


def log_key(trust: TrustRoot, **changes: Any) -> dict[str, Any]:
    return json.loads(trust.canonical())["log"]["keys"][0] | changes


SMALL_ORDER_LOG_KEY = {
    "signature_type": 1,
    "public_key": "01" + "00" * 31,
    "valid_until_size": "not_applicable",
}


@pytest.mark.parametrize(
    "broken",
    [
        lambda root: {"expires_at": root["created_at"]},
        lambda root: {"previous_fingerprint": "00" * 32},
        lambda root: {"root_threshold": 2},
        lambda root: {"operators": root["operators"][:1]},
        lambda root: {"operators": [root["operators"][0]] * 2},
        lambda root: {"operators": [root["operators"][0], root["root_keys"][0]]},
        lambda root: {"root_keys": root["root_keys"] * 2},
        lambda root: {"keys": [*root["keys"], root["keys"][0]]},
        lambda root: {"keys": [{**root["keys"][0], "statements": ["outcome"]}, *root["keys"][1:]]},
        lambda root: {"keys": [{**root["keys"][0], "statements": []}, *root["keys"][1:]]},
        lambda root: {"keys": [{**root["keys"][0], "role": "root", "statements": ["validation"]}]},
        lambda root: {"keys": [{**root["keys"][0], "keyid": root["keys"][1]["keyid"]}]},
        lambda root: {"keys": [{**root["keys"][0], "public_key": "01" + "00" * 31}]},
        lambda root: {"keys": [{**root["keys"][0], "public_key": "ff" * 32}]},
        lambda root: {"log": {**root["log"], "origin": "hoster.example/expunge-log/00000000"}},
        lambda root: {"domain": "other.example"},
        lambda root: {"domain": "hoster..example"},
        lambda root: {"domain": "hoster.example "},
        lambda root: {"log": {**root["log"], "keys": []}},
        lambda root: {"log": {**root["log"], "keys": root["log"]["keys"] * 2}},
        lambda root: {"log": {**root["log"], "keys": [{**root["log"]["keys"][0], "signature_type": 6}]}},
        lambda root: {"log": {**root["log"], "keys": [{**root["log"]["keys"][0], "public_key": "00"}]}},
        lambda root: {"log": {**root["log"], "keys": [*root["log"]["keys"], SMALL_ORDER_LOG_KEY]}},
        lambda root: {"witnesses": "some"},
        lambda root: {"purpose": "test"},
        lambda root: {"created_at": "2026-10-23T10:00:00+00:00"},
    ],
)
def test_a_trust_root_that_is_not_whole_is_refused(
    broken: Callable[[dict[str, Any]], dict[str, Any]], trust: TrustRoot, keys: Any
) -> None:
    document = json.loads(trust.canonical())
    data = signed_fields(trust, keys.root, **broken(document))
    assert refusal_of(lambda: trust_module.read(data)).code is Code.TRUST_ROOT_INVALID


def test_a_key_of_small_order_is_refused_by_its_name(trust: TrustRoot, keys: Any) -> None:
    document = json.loads(trust.canonical())
    small = {**document["keys"][0], "public_key": "01" + "00" * 31}
    refusal = refusal_of(lambda: trust_module.read(signed_fields(trust, keys.root, keys=[small])))
    assert "small order" in refusal.reason


def test_a_field_that_is_not_in_the_format_is_refused(trust: TrustRoot, keys: Any) -> None:
    data = signed_fields(trust, keys.root, also="this")
    assert refusal_of(lambda: trust_module.read(data)).code is Code.UNKNOWN_FIELD


def test_what_this_release_cannot_check_is_unsupported(trust: TrustRoot, keys: Any) -> None:
    document = json.loads(trust.canonical())
    stranger = {"keyid": keys.stranger.public.keyid, "public_key": keys.stranger.public.raw.hex()}
    witness = {"name": "witness.example", "signature_type": 4, "public_key": "00" * 32}
    for changes in (
        {"version": 2, "previous_fingerprint": "00" * 32},
        {"root_keys": [*document["root_keys"], stranger], "root_threshold": 2},
        {"witnesses": {"quorum": 1, "witnesses": [witness]}},
    ):
        data = signed_fields(trust, keys.root, **changes)
        assert refusal_of(lambda data=data: trust_module.read(data)).code is Code.UNSUPPORTED  # type: ignore[misc]


def test_one_key_for_two_purposes_cannot_even_be_made(
    make_trust: Callable[..., TrustRoot], keys: Any
) -> None:
    with pytest.raises(ValidationError, match="one purpose"):
        make_trust(order_key=keys.issuer.public)


def test_expiry_bounds_issuing_and_nothing_else(trust: TrustRoot, now: datetime, log: Any) -> None:
    second = timedelta(seconds=1)
    assert trust.may_issue(now)
    assert trust.may_issue(trust.created_at)
    assert not trust.may_issue(trust.created_at - second)
    assert trust.may_issue(trust.expires_at - second)
    assert not trust.may_issue(trust.expires_at)


def test_an_expired_root_still_opens_what_was_signed_under_it(
    make_trust: Callable[..., TrustRoot], make_order: Callable[..., Order], signed_order: Any, now: datetime
) -> None:
    expired = make_trust(expires_at=now - timedelta(days=1))
    statement, _ = expired.open_statement(signed_order(make_order()).write(), Order, seq=4)
    assert statement.predicate == make_order()


# --- statements ---------------------------------------------------------------------------------------------


def test_a_statement_is_opened_with_its_digest(trust: TrustRoot, make_order: Any, signed_order: Any) -> None:
    envelope = signed_order(make_order())
    statement, digest = trust.open_statement(envelope.write(), Order, seq=4)
    assert statement.predicate == make_order()
    assert digest == hashlib.sha256(envelope.payload).hexdigest()


def test_the_keyid_decides_nothing(trust: TrustRoot, make_order: Any, signed_order: Any, keys: Any) -> None:
    document = json.loads(signed_order(make_order()).write())
    for keyid in ("", "nonsense", keys.issuer.public.keyid):
        document["signatures"][0]["keyid"] = keyid
        trust.open_statement(json.dumps(document).encode(), Order, seq=4)


@pytest.mark.parametrize("role", ["issuer", "boot", "log", "root"])
def test_a_key_of_another_role_signs_no_order(
    role: str, trust: TrustRoot, make_order: Any, signed_order: Any, keys: Any
) -> None:
    signer = getattr(keys, role)
    envelope = signed_order(make_order(signer=signer.public.keyid), signer)
    refusal = refusal_of(lambda: trust.open_statement(envelope.write(), Order, seq=4))
    assert refusal.code is Code.KEY_UNTRUSTED


def test_the_order_key_signs_no_outcome_summary_or_table(
    trust: TrustRoot, make_outcome: Any, make_summary: Any, make_table: Any, signed: Any, keys: Any
) -> None:
    keyid = keys.order.public.keyid
    cases: list[tuple[Any, Any]] = [
        (make_outcome(issuer=keyid), Outcome),
        (make_summary(issuer=keyid), Summary),
        (make_table(), ValidationTable),
    ]
    for predicate, kind in cases:
        data = signed(predicate, keys.order).write()
        assert refusal_of(lambda d=data, k=kind: trust.open_statement(d, k)).code is Code.KEY_UNTRUSTED  # type: ignore[misc]


def test_a_strangers_signature_is_untrusted_and_a_borrowed_keyid_is_invalid(
    trust: TrustRoot, make_order: Any, signed_order: Any, keys: Any
) -> None:
    data = signed_order(make_order(), keys.stranger).write()
    assert refusal_of(lambda: trust.open_statement(data, Order)).code is Code.KEY_UNTRUSTED
    document = json.loads(data)
    document["signatures"][0]["keyid"] = keys.order.public.keyid
    borrowed = json.dumps(document).encode()
    assert refusal_of(lambda: trust.open_statement(borrowed, Order)).code is Code.SIGNATURE_INVALID


def test_a_statement_that_names_another_signer_is_refused(
    trust: TrustRoot, make_order: Any, signed_order: Any, make_outcome: Any, signed: Any, keys: Any
) -> None:
    order = signed_order(make_order(signer=keys.issuer.public.keyid)).write()
    assert refusal_of(lambda: trust.open_statement(order, Order)).code is Code.KEY_UNTRUSTED
    outcome = signed(make_outcome(issuer=keys.order.public.keyid), keys.issuer).write()
    assert refusal_of(lambda: trust.open_statement(outcome, Outcome)).code is Code.KEY_UNTRUSTED


def test_a_statement_is_not_opened_as_another(
    trust: TrustRoot, make_order: Any, signed_order: Any, make_withdrawal: Any, signed: Any, keys: Any
) -> None:
    order = signed_order(make_order()).write()
    assert refusal_of(lambda: trust.open_statement(order, Withdrawal)).code is Code.TYPE_MISMATCH
    withdrawal = signed(make_withdrawal(), keys.order).write()
    assert refusal_of(lambda: trust.open_statement(withdrawal, Order)).code is Code.TYPE_MISMATCH


def test_no_key_of_the_controller_signs_for_people(trust: TrustRoot, make_approval: Any, keys: Any) -> None:
    data = make_approval(keys.order).write()
    assert refusal_of(lambda: trust.open_statement(data, Approval)).code is Code.KEY_UNTRUSTED


@pytest.mark.parametrize(
    ("root", "document"), [("production", "demonstration"), ("demonstration", "production")]
)
def test_demonstration_and_production_do_not_vouch_for_each_other(
    root: str, document: str, make_trust: Any, make_order: Any, signed_order: Any
) -> None:
    data = signed_order(make_order(purpose=document)).write()
    refusal = refusal_of(lambda: make_trust(purpose=root).open_statement(data, Order))
    assert refusal.code is Code.PURPOSE_MISMATCH
    make_trust(purpose=document).open_statement(data, Order)


@pytest.mark.parametrize(
    ("window", "seq", "may_count"),
    [
        ((0, "not_applicable"), None, True),
        ((0, "not_applicable"), 10**9, True),
        ((0, 7), 6, True),
        ((0, 7), 7, False),
        ((0, 7), None, False),
        ((3, "not_applicable"), 2, False),
        ((3, "not_applicable"), 3, True),
        ((3, "not_applicable"), None, True),
    ],
)
def test_a_key_counts_between_its_log_positions(
    window: tuple[int, Any],
    seq: int | None,
    may_count: bool,
    trust: TrustRoot,
    altered: Alter,
    make_order: Any,
    signed_order: Any,
) -> None:
    limited = altered(trust, "keys.0.valid_from_seq", window[0])
    limited = altered(limited, "keys.0.valid_until_seq", window[1])
    data = signed_order(make_order()).write()
    if may_count:
        limited.open_statement(data, Order, seq=seq)
    else:
        refusal = refusal_of(lambda: limited.open_statement(data, Order, seq=seq))
        assert refusal.code is Code.KEY_REVOKED_AT_INDEX


# --- checkpoints --------------------------------------------------------------------------------------------


def with_log_keys(trust: TrustRoot, altered: Alter, *further: dict[str, Any], until: Any = None) -> TrustRoot:
    """The trust root with more log keys, the first one limited."""
    first = log_key(trust, valid_until_size=until if until is not None else "not_applicable")
    changed: TrustRoot = altered(trust, "log.keys", [first, *further])
    return changed


def test_a_checkpoint_of_the_log_is_opened(trust: TrustRoot, log: Any) -> None:
    assert trust.open_checkpoint(log.checkpoint()).size == 3


def test_log_keys_of_unknown_types_are_passed_over(trust: TrustRoot, altered: Alter, log: Any) -> None:
    post_quantum = {"signature_type": 6, "public_key": "ab" * 1312, "valid_until_size": "not_applicable"}
    assert with_log_keys(trust, altered, post_quantum).open_checkpoint(log.checkpoint()).size == 3


def test_a_withdrawn_log_key_vouches_for_smaller_trees_only(
    trust: TrustRoot, altered: Alter, log: Any, keys: Any
) -> None:
    successor = {
        "signature_type": 1,
        "public_key": keys.stranger.public.raw.hex(),
        "valid_until_size": "not_applicable",
    }
    assert with_log_keys(trust, altered, successor, until=4).open_checkpoint(log.checkpoint()).size == 3
    rotated = with_log_keys(trust, altered, successor, until=3)
    refusal = refusal_of(lambda: rotated.open_checkpoint(log.checkpoint()))
    assert refusal.code is Code.CHECKPOINT_INVALID
    old = note.read(log.checkpoint())
    new = note.signature_of(old.text, name=trust.log.origin, signer=keys.stranger)
    both = note.Note(text=old.text, signatures=(*old.signatures, new)).write()
    assert rotated.open_checkpoint(both).size == 3


# --- what agents sign ---------------------------------------------------------------------------------------


def test_evidence_is_opened_with_the_key_of_its_boot(
    trust: TrustRoot, make_evidence: Any, signed_evidence: Any, keys: Any
) -> None:
    envelope: Envelope = signed_evidence(make_evidence())
    statement, digest = trust.open_evidence(envelope.write(), boot_id=keys.agent.public.boot_id)
    assert statement.predicate == make_evidence()
    assert digest == envelope.payload_digest


def test_evidence_of_another_boot_key_or_hand_is_refused(
    trust: TrustRoot, make_evidence: Any, signed_evidence: Any, keys: Any
) -> None:
    ours, other = keys.agent.public.boot_id, keys.stranger.public.boot_id
    evidence = make_evidence()
    cases = [
        (signed_evidence(evidence), other, Code.KEY_UNTRUSTED),
        (signed_evidence(evidence, keys.stranger), ours, Code.SIGNATURE_INVALID),
        (signed_evidence(make_evidence(boot_id=other)), ours, Code.KEY_UNTRUSTED),
        (signed_evidence(make_evidence(boot_id=other)), other, Code.KEY_UNTRUSTED),
        (
            signed_evidence(make_evidence(agent_key=keys.stranger.public.raw.hex()), keys.stranger),
            ours,
            Code.KEY_UNTRUSTED,
        ),
        (signed_evidence(make_evidence(agent_keyid=keys.stranger.public.keyid)), ours, Code.KEY_UNTRUSTED),
        (signed_evidence(make_evidence(agent_key="01" + "00" * 31)), ours, Code.KEY_INVALID),
        (signed_evidence(make_evidence(purpose="demonstration")), ours, Code.PURPOSE_MISMATCH),
    ]
    for envelope, boot_id, code in cases:
        found = refusal_of(lambda e=envelope, b=boot_id: trust.open_evidence(e.write(), boot_id=b))  # type: ignore[misc]
        assert found.code is code


def test_an_absence_is_opened_with_the_key_of_its_boot_only(
    trust: TrustRoot, make_absence: Any, make_evidence: Any, signed: Any, keys: Any
) -> None:
    ours, other = keys.agent.public.boot_id, keys.stranger.public.boot_id
    absence = signed(make_absence(), keys.agent)
    assert trust.open_absence(absence.write(), boot_id=ours)[1] == absence.payload_digest
    for envelope, boot_id, code in (
        (absence, other, Code.KEY_UNTRUSTED),
        (signed(make_absence(), keys.stranger), ours, Code.SIGNATURE_INVALID),
        (signed(make_absence(purpose="demonstration"), keys.agent), ours, Code.PURPOSE_MISMATCH),
        (signed(make_evidence(), keys.agent), ours, Code.TYPE_MISMATCH),
    ):
        found = refusal_of(lambda e=envelope, b=boot_id: trust.open_absence(e.write(), boot_id=b))  # type: ignore[misc]
        assert found.code is code


def test_refusals_of_form_and_of_trust_are_two_types(trust: TrustRoot, keys: Any) -> None:
    assert isinstance(refusal_of(lambda: trust.open_statement(b"{}", Order)), Malformed)
    assert isinstance(refusal_of(lambda: trust_module.sign(trust, keys.issuer)), Untrusted)
