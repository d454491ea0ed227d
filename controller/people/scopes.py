"""What a hold covers, in the words of the command: host=TAG, site=S, rack=R, customer=NAME, everything.

Rules: a scope that covers no host on record is refused, because a misspelt hold would protect nobody; a
customer's name is turned into its pseudonym here and goes no further.
"""

from __future__ import annotations

from sqlalchemy import Connection

from certificate.errors import Refused
from controller.errors import Code
from controller.people import asking
from controller.program import Program
from controller.store import hosts, stops
from controller.store.stops import Scope, ScopeKind


def read(tx: Connection, program: Program, text: str) -> Scope:
    """Raises Refused(SCOPE_COVERS_NOTHING), NOT_IN_STORE for an unknown asset tag."""
    if text == ScopeKind.EVERYTHING.value:
        return stops.EVERYTHING
    word, _, name = text.partition("=")
    match word:
        case ScopeKind.HOST.value:
            scope = Scope(kind=ScopeKind.HOST, host=asking.host(tx, name).id)
        case ScopeKind.SITE.value:
            scope = Scope(kind=ScopeKind.SITE, place=name)
        case ScopeKind.RACK.value:
            scope = Scope(kind=ScopeKind.RACK, place=name)
        case ScopeKind.CUSTOMER.value:
            scope = Scope(kind=ScopeKind.CUSTOMER, customer_ref=program.pseudonyms.customer(name))
        case _:
            raise Refused(Code.SCOPE_COVERS_NOTHING, f"{text[:80]!r} is no scope")
    if not stops.named(tx, scope):
        raise Refused(Code.SCOPE_COVERS_NOTHING, f"no host on record is covered by {text[:120]}")
    return scope


def words(tx: Connection, scope: Scope) -> str:
    """The scope for people; a customer by pseudonym only."""
    match scope.kind:
        case ScopeKind.EVERYTHING:
            return ScopeKind.EVERYTHING.value
        case ScopeKind.HOST:
            return f"host={'?' if scope.host is None else hosts.load(tx, scope.host).asset_tag}"
        case ScopeKind.SITE | ScopeKind.RACK:
            return f"{scope.kind.value}={scope.place}"
        case ScopeKind.CUSTOMER:
            return f"customer={scope.customer_ref}"
