"""What every Route promises, over SSH and simulated."""

import pytest

from agent.errors import Code as AgentCode
from certificate import messages
from certificate.errors import Refused
from certificate.messages import AskStatus, Follow, Hello, JournalEnd, JournalLine
from controller.channels import Route
from controller.channels.dialogue import AGENT_FAULT
from controller.errors import AgentRefused, Code, Unanswered, Unreachable

HELLO = Hello(controller_nonce="ab" * 32, purpose="pin")


def blob_of(route: Route) -> bytes:
    with route.meet() as introduction:
        return introduction.host_key_blob


def status(token: str) -> AskStatus:
    return AskStatus(token=token, finalise=False)


def test_an_unknown_host_is_asked_who_it_is_and_its_key_is_shown(route: Route) -> None:
    with route.meet() as introduction:
        answer = introduction.hello(HELLO)
        assert answer.proof == HELLO.controller_nonce
        assert len(introduction.host_key_blob) == 51


def test_an_introduction_can_send_nothing_but_a_hello(route: Route) -> None:
    with route.meet() as introduction:
        assert {name for name in dir(introduction) if not name.startswith("_")} == {
            "close",
            "hello",
            "host_key_blob",
        }
        with pytest.raises(TypeError):
            introduction.hello(status("t"))  # type: ignore[arg-type]


def test_an_introduction_says_hello_once(route: Route) -> None:
    with route.meet() as introduction:
        introduction.hello(HELLO)
        with pytest.raises(TypeError):
            introduction.hello(HELLO)


def test_a_host_with_another_key_than_the_pinned_one_is_refused(route: Route) -> None:
    other = bytearray(blob_of(route))
    other[-1] ^= 1
    with pytest.raises(Refused) as refused:
        route.open(host_key_blob=bytes(other))
    assert refused.value.code is Code.HOST_KEY_CHANGED


def test_each_question_gets_its_answer_over_one_connection(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel:
        assert channel.host_key_blob == blob_of(route)
        assert isinstance(channel.ask(HELLO), messages.HelloAnswer)
        assert isinstance(channel.ask(messages.AskInventory()), messages.InventoryAnswer)
        answer = channel.ask(status("t"))
        assert isinstance(answer, messages.StatusAnswer)
        assert answer.token == "t"


def test_a_refusal_of_the_agent_arrives_with_its_code_reason_and_remedy(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(AgentRefused) as refused:
        channel.ask(status("refuse"))
    assert refused.value.agent_code == "ORDER_EXPIRED"
    assert "expired 3 s ago" in refused.value.reason
    assert refused.value.remedy == "Ask for a new order."
    assert refused.value.code is Code.AGENT_REFUSED


def test_an_agent_that_fell_over_did_not_refuse_because_it_may_have_done_something(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(Unanswered) as silence:
        channel.ask(status("fault"))
    assert silence.value.code is Code.ANSWER_MISSING


def test_the_agent_has_the_fault_by_the_name_that_we_know() -> None:
    assert AGENT_FAULT in {code.value for code in AgentCode}


def test_an_answer_to_another_question_is_no_answer(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(Unanswered) as silence:
        channel.ask(status("wrong"))
    assert silence.value.code is Code.ANSWER_INVALID


def test_an_agent_that_ends_without_an_answer_leaves_it_unknown_what_happened(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(Unanswered) as silence:
        channel.ask(status("silent"))
    assert silence.value.code is Code.ANSWER_MISSING
    assert not isinstance(silence.value, Refused), "a refusal would promise that nothing was done"


def test_a_second_answer_spoils_the_first(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(Unanswered) as silence:
        channel.ask(status("twice"))
    assert silence.value.code is Code.ANSWER_INVALID


def test_a_journal_is_followed_from_the_line_asked_for_to_its_end(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel:
        lines = list(channel.follow(Follow(token="t", from_seq=5)))
    assert [line.seq for line in lines if isinstance(line, JournalLine)] == [5, 6]
    assert lines[-1] == JournalEnd(token="t", lines=7, is_complete=True)


def test_a_journal_that_is_cut_off_gives_its_lines_and_then_says_so(route: Route) -> None:
    seen: list[messages.Line] = []
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(Unanswered) as silence:
        seen.extend(channel.follow(Follow(token="cut", from_seq=0)))
    assert silence.value.code is Code.ANSWER_MISSING
    assert len(seen) == 1


def test_an_acknowledgement_travels_while_the_journal_is_followed(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel:
        journal = channel.follow(Follow(token="waits for ack", from_seq=0))
        first = next(journal)
        assert isinstance(first, JournalLine)
        ack = messages.Ack(token=first.token, boot_id="b", seq=first.seq, step=first.step)
        assert channel.ask(ack) == messages.AckAnswer(token=first.token, seq=first.seq)
        assert isinstance(list(journal)[-1], JournalEnd)


def test_a_journal_may_be_left_and_the_connection_goes_on(route: Route) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel:
        journal = channel.follow(Follow(token="t", from_seq=0))
        next(journal)
        journal.close()  # type: ignore[attr-defined]
        assert isinstance(channel.ask(status("t")), messages.StatusAnswer)


@pytest.mark.parametrize(
    "line", [Follow(token="t", from_seq=0), messages.Accepted(token="t")], ids=lambda line: line.name
)
def test_what_is_no_question_is_not_sent(route: Route, line: messages.Line) -> None:
    with route.open(host_key_blob=blob_of(route)) as channel, pytest.raises(TypeError):
        channel.ask(line)


def test_nothing_is_sent_over_a_closed_connection(route: Route) -> None:
    channel = route.open(host_key_blob=blob_of(route))
    channel.close()
    channel.close()
    with pytest.raises(Unreachable):
        channel.ask(status("t"))
    with pytest.raises(Unreachable):
        next(channel.follow(Follow(token="t", from_seq=0)))
