"""What switch and agent are asked: is the host cut off, who answers there, and how far is a token?

Rules: an agent counts only if it proved the present boot's secret (then its host key is pinned) and, later,
only over a connection to that pinned key; a hello for an order is asked only here, and its nonce stands in
the observation until a later one replaces it; a final `absent` counts only as a signed absence of the very
boot the order names.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Malformed, Refused
from certificate.identifiers import DeprovisionId
from certificate.messages import AskStatus, Hello, HelloAnswer, HelloPurpose, StatusAnswer, TokenState
from controller.boot.configuration import BootConfiguration
from controller.boot.proof import NONCE_BYTES as CONTROLLER_NONCE_BYTES
from controller.boot.proof import ProvenBoot, verify_hello
from controller.channels import Channel
from controller.errors import Code
from controller.facts import Question
from controller.observe.answering import Answered, put
from controller.program import Program
from controller.store import boots, deprovisions, orders, private
from controller.store.boots import StoredBoot
from controller.store.hosts import Host
from controller.store.orders import StoredOrder
from controller.target import Target


def target_of(host: Host) -> Target:
    """The host as the provider's switches and management controllers know it."""
    parameters = {**host.boot_parameters, **host.quarantine_parameters}
    return Target(
        host=host.asset_tag,
        site=host.site,
        rack=host.rack,
        parameters={name: str(value) for name, value in parameters.items()},
    )


def isolation(program: Program, host: Host, *, deprovision: DeprovisionId) -> None:
    """Is the tenant's side cut, and do we still reach the host?"""

    def ask() -> Answered:
        seen = program.quarantine.read_back(target_of(host))
        return Answered(
            answer=seen.tenant_side_cut.value,
            raw=seen.raw,
            detail={"our_side_reachable": seen.our_side_reachable.value, "reason": seen.doubt},
        )

    put(program, Question.ISOLATION, host.id, ask=ask, deprovision=deprovision)


def greet(program: Program, host: Host, boot: StoredBoot, purpose: HelloPurpose) -> ProvenBoot:
    """A hello to whoever answers as this host, proven to be the present boot.

    Raises Refused (`boot.proof`, HOST_KEY_CHANGED, Unreachable) or Unanswered.
    """
    nonce = program.random_bytes(CONTROLLER_NONCE_BYTES)
    line = Hello(controller_nonce=nonce.hex(), purpose=purpose.value)
    route = program.route(host)
    if boot.host_key_blob is None:
        with route.meet() as introduction:
            answer, blob = introduction.hello(line), introduction.host_key_blob
    else:
        with route.open(host_key_blob=bytes.fromhex(boot.host_key_blob)) as channel:
            answer, blob = _hello(channel, line), channel.host_key_blob
    return verify_hello(
        answer,
        secret=_secret(program, boot),
        configuration=BootConfiguration(data=boot.config_envelope),
        host_key_blob=blob,
        controller_nonce=nonce,
    )


def order_hello(program: Program, host: Host, *, deprovision: DeprovisionId) -> None:
    """Who answers, with a nonce that the next order names?"""

    def ask() -> Answered:
        with program.store.snapshot() as tx:
            attempt = deprovisions.load(tx, deprovision).attempt
            boot = boots.latest(tx, deprovision, attempt=attempt)
        if boot is None or boot.boot_id is None:
            raise Refused(Code.BOOT_UNPROVEN, "no boot of this deprovision is proven")
        proven = greet(program, host, boot, HelloPurpose.ORDER)
        if proven.boot_id != boot.boot_id:
            raise Refused(Code.BOOT_ID_MISMATCH, "another boot answered than the one on record")
        return Answered(
            answer="proven",
            raw=b"",
            detail={"boot_id": proven.boot_id, "hello_nonce": proven.hello_nonce},
        )

    put(program, Question.ORDER_HELLO, deprovision, ask=ask, deprovision=deprovision)


def agent_status(program: Program, host: Host, order: StoredOrder, *, finalise: bool) -> None:
    """How far is this order's token? With `finalise` an order that was not begun is refused for ever."""

    def ask() -> Answered:
        with program.store.snapshot() as tx:
            boot = boots.by_boot_id(tx, order.boot_id)
        if boot is None or boot.host_key_blob is None:
            raise Refused(Code.BOOT_UNPROVEN, "the order's boot is not on record")
        with program.route(host).open(host_key_blob=bytes.fromhex(boot.host_key_blob)) as channel:
            said = channel.ask(AskStatus(token=order.token, finalise=finalise))
        if not isinstance(said, StatusAnswer) or (said.token, said.boot_id) != (order.token, order.boot_id):
            raise Refused(Code.ANSWER_INVALID, "the agent spoke of another token or boot")
        if said.state not in set(TokenState):
            raise Refused(Code.ANSWER_INVALID, f"no token is in a state {said.state[:20]!r}")
        state = TokenState(said.state)
        if finalise and said.absence is not None:
            return _final_absence(program, order, said.absence.encode(), state)
        return Answered(answer=state.value, raw=b"", detail={"journal_lines": said.journal_lines})

    question = Question.FINAL_ABSENCE if finalise else Question.AGENT_STATUS
    put(program, question, order.id, ask=ask, deprovision=order.deprovision)


def _final_absence(program: Program, order: StoredOrder, envelope: bytes, state: TokenState) -> Answered:
    statement, _ = program.documents.trust.open_absence(envelope, boot_id=order.boot_id)
    signed = dsse.read(envelope)
    if state is not TokenState.ABSENT or statement.predicate.token != order.token:
        raise Refused(Code.ANSWER_INVALID, "the signed absence is of another token")
    return Answered(
        answer=TokenState.ABSENT.value,
        raw=envelope,
        detail={"is_final": True},
        record=lambda tx: _record_absence(tx, program, order, signed),
    )


def _record_absence(
    tx: Connection, program: Program, order: StoredOrder, signed: dsse.Envelope
) -> dict[str, Any]:
    """The same absence again is no news."""
    if orders.absence_of(tx, order.id) is None:
        orders.answer_absent(tx, order.id, envelope=signed, now=program.clock())
    return {}


def _hello(channel: Channel, line: Hello) -> HelloAnswer:
    answer = channel.ask(line)
    if not isinstance(answer, HelloAnswer):
        raise Refused(Code.ANSWER_INVALID, f"hello was answered by {answer.name}")
    return answer


def _secret(program: Program, boot: StoredBoot) -> bytes:
    if boot.sealed_secret is None:
        raise Malformed(Code.BOOT_UNPROVEN, "the secret of this boot was forgotten")
    return private.unseal(
        program.keyring.private_text_key, boot.sealed_secret, about=secret_name(boot.deprovision)
    )


def secret_name(deprovision: DeprovisionId) -> bytes:
    """What a boot secret's seal is bound to."""
    return f"expunge-boot-secret/v1\n{deprovision}".encode()
