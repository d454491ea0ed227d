"""Whether what answers hello is the agent that we started: each lie has its own code."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.messages import HelloAnswer
from controller.boot.configuration import BootConfiguration
from controller.boot.proof import ProvenBoot, verify_hello
from controller.errors import Code

EVIDENCE_KEY = PrivateKey.from_seed(b"e" * 32)
HOST_KEY = PrivateKey.from_seed(b"h" * 32)
#: `openssl dgst -sha256 -mac HMAC -macopt hexkey:7373...73` over the bytes that FORMATS.md lists.
VECTOR = "883e17c4249c6f9ea6c2a74c20b9b13945f80607d43aced7b845a1a64635de6a"


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One start: what we handed over, and the agent's own keys."""

    secret: bytes = b"s" * 32
    config: bytes = b'{"payload":"the configuration of this start"}\n'
    evidence_key: PrivateKey = EVIDENCE_KEY
    host_key: PrivateKey = HOST_KEY

    def answer(self, nonce: bytes, **lies: Any) -> HelloAnswer:
        """As FORMATS.md, "Keys" says, written out here once more by hand."""
        key = self.evidence_key.public.raw
        blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + self.host_key.public.raw
        digest = hashlib.sha256(self.config).digest()
        proof = hmac.new(
            self.secret, b"expunge-boot/v1" + b"\x0a" + digest + blob + key + nonce, hashlib.sha256
        )
        honest = HelloAnswer(
            boot_id=hashlib.sha256(key).hexdigest(),
            evidence_key=key.hex(),
            ssh_host_key_blob=blob.hex(),
            config_digest=digest.hex(),
            hello_nonce="0b" * 16,
            boottime_ms=123_456,
            agent_version="0.1.0",
            proof=proof.hexdigest(),
        )
        return honest.but(**lies)


NONCE = b"n" * 32
OURS = Boot()


def verified(answer: HelloAnswer, *, boot: Boot = OURS, nonce: bytes = NONCE) -> ProvenBoot:
    return verify_hello(
        answer,
        secret=boot.secret,
        configuration=BootConfiguration(data=boot.config),
        host_key_blob=boot.host_key.public.ssh_blob,
        controller_nonce=nonce,
    )


def code_of(answer: HelloAnswer, **fields: Any) -> Any:
    with pytest.raises(Refused) as refused:
        verified(answer, **fields)
    return refused.value.code


def test_an_honest_agent_is_proven_and_its_keys_are_pinned() -> None:
    proven = verified(OURS.answer(NONCE))
    assert proven.boot_id == OURS.evidence_key.public.boot_id
    assert proven.evidence_key == OURS.evidence_key.public
    assert proven.host_key_blob == OURS.host_key.public.ssh_blob
    assert proven.hello_nonce == "0b" * 16
    assert proven.boottime_ms == 123_456


def test_the_proof_is_the_one_that_openssl_computes() -> None:
    assert OURS.answer(NONCE).proof == VECTOR


def test_a_boot_named_by_another_hash_is_refused() -> None:
    assert code_of(OURS.answer(NONCE, boot_id="00" * 32)) is Code.BOOT_ID_MISMATCH


def test_an_evidence_key_that_was_exchanged_is_refused() -> None:
    other = PrivateKey.generate().public
    assert code_of(OURS.answer(NONCE, evidence_key=other.raw.hex())) is Code.BOOT_ID_MISMATCH
    exchanged = OURS.answer(NONCE, evidence_key=other.raw.hex(), boot_id=other.boot_id)
    assert code_of(exchanged) is Code.BOOT_PROOF_INVALID


def test_somebody_who_relays_the_real_agents_answer_is_refused() -> None:
    """The connection ends at the relay, so its host key is another than the one the agent names."""
    relay = PrivateKey.generate().public
    with pytest.raises(Refused) as refused:
        verify_hello(
            OURS.answer(NONCE),
            secret=OURS.secret,
            configuration=BootConfiguration(data=OURS.config),
            host_key_blob=relay.ssh_blob,
            controller_nonce=NONCE,
        )
    assert refused.value.code is Code.BOOT_HOST_KEY_MISMATCH


def test_a_relay_that_puts_its_own_key_into_the_answer_cannot_prove_it() -> None:
    relay = Boot(host_key=PrivateKey.generate())
    answer = OURS.answer(NONCE, ssh_host_key_blob=relay.host_key.public.ssh_blob.hex())
    assert code_of(answer, boot=relay) is Code.BOOT_PROOF_INVALID


def test_an_agent_started_with_another_configuration_is_refused() -> None:
    assert code_of(Boot(config=b"another").answer(NONCE)) is Code.BOOT_CONFIGURATION_MISMATCH


def test_an_agent_that_only_claims_our_configuration_is_refused() -> None:
    claimed = Boot(config=b"another").answer(NONCE, config_digest=hashlib.sha256(OURS.config).hexdigest())
    assert code_of(claimed) is Code.BOOT_PROOF_INVALID


def test_the_tenants_own_system_does_not_know_the_secret() -> None:
    assert code_of(Boot(secret=b"g" * 32).answer(NONCE)) is Code.BOOT_PROOF_INVALID


def test_a_recorded_answer_does_not_answer_another_nonce() -> None:
    assert code_of(OURS.answer(NONCE), nonce=b"m" * 32) is Code.BOOT_PROOF_INVALID


def test_the_answer_of_an_earlier_start_does_not_prove_this_one() -> None:
    assert code_of(OURS.answer(NONCE), boot=Boot(secret=b"t" * 32)) is Code.BOOT_PROOF_INVALID


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boot_id", ""),
        ("boot_id", OURS.evidence_key.public.boot_id.upper()),
        ("boot_id", OURS.evidence_key.public.boot_id + "\n"),
        ("evidence_key", "zz" * 32),
        ("evidence_key", OURS.evidence_key.public.raw.hex()[:-2]),
        ("evidence_key", "01" + "00" * 31),
        ("evidence_key", "ff" * 32),
        ("ssh_host_key_blob", "00" * 50),
        ("ssh_host_key_blob", ""),
        ("config_digest", "0x" + "00" * 31),
        ("hello_nonce", "0b" * 15),
        ("hello_nonce", "0b" * 32),
        ("hello_nonce", "0B" * 16),
        ("proof", "00" * 31),
        ("proof", " " + "00" * 32),
        ("boottime_ms", -1),
    ],
)
def test_a_field_that_is_not_what_its_format_says_is_malformed(field: str, value: Any) -> None:
    assert code_of(OURS.answer(NONCE, **{field: value})) is Code.BOOT_ANSWER_MALFORMED


def test_a_key_of_small_order_is_no_key() -> None:
    """The neutral element as evidence key "verifies" signatures that nobody made."""
    neutral = (1).to_bytes(32, "little")
    answer = OURS.answer(NONCE, evidence_key=neutral.hex(), boot_id=hashlib.sha256(neutral).hexdigest())
    assert code_of(answer) is Code.BOOT_ANSWER_MALFORMED


def test_a_secret_or_nonce_of_another_length_is_our_own_mistake() -> None:
    answer = OURS.answer(NONCE)
    with pytest.raises(ValueError, match="32 bytes"):
        verified(answer, nonce=b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        verified(answer, boot=Boot(secret=b""))


@given(
    field=st.sampled_from(["boot_id", "evidence_key", "ssh_host_key_blob", "config_digest", "proof"]),
    data=st.data(),
)
def test_no_single_digit_of_an_answer_may_change(field: str, data: st.DataObject) -> None:
    answer = OURS.answer(NONCE)
    text = getattr(answer, field)
    place = data.draw(st.integers(0, len(text) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdef").filter(lambda each: each != text[place]))
    changed = answer.but(**{field: text[:place] + digit + text[place + 1 :]})
    assert code_of(changed) in set(Code)
