"""Which answer belongs to which verb, and how an answer line is read.

Rules: a request has exactly one kind of answer (`follow` has journal lines and one end); a refusal may take
the place of any answer and promises that nothing was done, except the one by which an agent reports a fault
of its own; every other line, however well-formed, is no answer at all, and what became of the request is
unknown.
"""

from __future__ import annotations

from certificate import messages
from certificate.errors import Malformed
from certificate.messages import Line
from controller.errors import AgentRefused, Code, Unanswered

ANSWERS: dict[type[Line], tuple[type[Line], ...]] = {
    messages.Hello: (messages.HelloAnswer,),
    messages.AskInventory: (messages.InventoryAnswer,),
    messages.Execute: (messages.Accepted,),
    messages.AskStatus: (messages.StatusAnswer,),
    messages.Ack: (messages.AckAnswer,),
    messages.Follow: (messages.JournalLine, messages.JournalEnd),
}
#: How an agent answers when it fell over: how far it had come, it does not say.
AGENT_FAULT = "AGENT_FAILED"
#: The verbs with exactly one answer.
QUESTIONS = frozenset(ANSWERS) - {messages.Follow}


def read_answer(request: Line, data: bytes) -> Line:
    """The line in `data` as an answer to `request`.

    Raises AgentRefused where it is a refusal; Unanswered(ANSWER_INVALID) where it is anything else.
    """
    try:
        line = messages.read_answer(data)
    except Malformed as error:
        raise Unanswered(Code.ANSWER_INVALID, f"to {request.name}: {error.code}: {error.reason}") from None
    if isinstance(line, messages.Refusal) and line.code == AGENT_FAULT:
        raise Unanswered(Code.ANSWER_MISSING, f"the agent failed at {request.name}: {line.reason}")
    if isinstance(line, messages.Refusal):
        raise AgentRefused(agent_code=line.code, reason=line.reason, remedy=line.remedy)
    if not isinstance(line, ANSWERS[type(request)]):
        raise Unanswered(Code.ANSWER_INVALID, f"{line.name} is no answer to {request.name}")
    return line
