"""The signed formats: one predicate a kind of document, each frozen, strict and closed.

They are changed only by adding a new version: whoever checks a certificate in ten years reads these same
fields.
"""

from certificate.statements.evidence import Evidence
from certificate.statements.host_records import Absence, Allocation, Boot, Withdrawal
from certificate.statements.order import Order
from certificate.statements.outcome import Outcome
from certificate.statements.people import Approval, Decision
from certificate.statements.plan import Plan
from certificate.statements.statement import Predicate, Purpose, Seen, Statement, make, read, subject
from certificate.statements.summary import Summary
from certificate.statements.validation import ValidationTable

__all__ = [
    "Absence",
    "Allocation",
    "Approval",
    "Boot",
    "Decision",
    "Evidence",
    "Order",
    "Outcome",
    "Plan",
    "Predicate",
    "Purpose",
    "Seen",
    "Statement",
    "Summary",
    "ValidationTable",
    "Withdrawal",
    "make",
    "read",
    "subject",
]
