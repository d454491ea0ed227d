"""Asking the running `serve` over its Unix socket; no command opens the database.

Rules: only the socket's file permissions let anyone in (0600 in a 0700 folder); a refusal of `serve` comes
out here as the same refusal; no listener, a time-out and an answer that is no answer are SERVE_UNREACHABLE or
SERVE_DISAGREES, never an empty result. Where `serve` itself broke, the command failed: nobody knows what was
done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from certificate.errors import Code as CertificateCode
from certificate.errors import RefusalCode, Refused
from controller.cli.command import Failed
from controller.errors import Code, NeedsApproval
from controller.home import Home, socket_address

#: `serve` answers from its database; a longer silence is a fault, not work.
PATIENCE_SECONDS = 30.0

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Client:
    """One command's conversation with `serve`."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    @contextmanager
    def of(cls, home: Home) -> Iterator[Client]:
        """A client of this home's `serve`; connects at the first question. Raises Refused(HOME_MISSING)."""
        home.require_initialised()
        with socket_address(home.socket) as address:
            transport = httpx.HTTPTransport(uds=address)
            with httpx.Client(
                transport=transport, base_url="http://expunge", timeout=PATIENCE_SECONDS
            ) as http:
                yield cls(http)

    def get(self, path: str, kind: type[AnswerT], **parameters: str | int) -> AnswerT:
        """The answer as `kind`. Raises Refused: what serve refuses, SERVE_UNREACHABLE, SERVE_DISAGREES."""
        return self._ask("GET", path, kind, params=parameters)

    def post(self, path: str, kind: type[AnswerT], question: BaseModel) -> AnswerT:
        """As `get`, sending `question`."""
        return self._ask("POST", path, kind, json=question.model_dump(mode="json"))

    def _ask(self, method: str, path: str, kind: type[AnswerT], **arguments: Any) -> AnswerT:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise Refused(
                Code.SERVE_UNREACHABLE, f"nobody answers: {str(error) or type(error).__name__}"
            ) from None
        if response.is_success:
            try:
                return kind.model_validate_json(response.content)
            except ValidationError as error:
                raise Refused(
                    Code.SERVE_DISAGREES, f"the answer to {path} is not a {kind.__name__}: {error.title}"
                ) from None
        if response.is_server_error:
            raise Failed(f"serve failed at {path} with status {response.status_code}; see its log")
        raise _refusal(response, path)


def _refusal(response: httpx.Response, path: str) -> Refused:
    """The refusal that `serve` sent, as the same exception."""
    try:
        told = response.json()
        code = _code(told["code"])
        kind = NeedsApproval if told["needs_approval"] else Refused
        return kind(code, told["reason"], remedy=told["remedy"])
    except (ValueError, KeyError, TypeError):
        return Refused(Code.SERVE_DISAGREES, f"serve answered {path} with status {response.status_code}")


def _code(text: str) -> RefusalCode:
    """Raises KeyError for a code that this release does not know."""
    codes: dict[str, RefusalCode] = {**Code.__members__, **CertificateCode.__members__}
    return codes[text]
