"""What a typed reason may not say where strangers read it: a certificate names nobody.

Rules this module holds:
- The reason of a decision that travels in a bundle or with an order is read by whoever is handed the
  certificate. So is every reason of a request or an approval.
- It says nothing that the controller knows as private of the hosts in question, and no mail address. Case,
  spaces and punctuation do not count: `HOST 1` says `host-1`. A private text of fewer than four letters and
  digits hinders nobody; a short one counts as a word of its own only, a long one inside other words too.
- A refusal names the kind of what was found, never its text: refusals are logged and shown.

KNOWN GAP: names that stand nowhere on record, and names told otherwise (half of a customer's name, a
nickname), are not found. The command therefore says before every signature who will read it.
Pure; `people.private_texts` brings the facts.
Source: FORMATS.md, "Statements"; docs/threat-model.md, "What operators type".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.errors import Code

#: Kinds whose decisions travel (`bundles`, `people.travelling`). The reason for beginning a wipe by hand does
#: not, but the same words are signed again in the request of its plan, which does.
READ_BY_STRANGERS = frozenset(
    {
        DecisionKind.ENROL,
        DecisionKind.DISPOSITION,
        DecisionKind.VALIDATE,
        DecisionKind.REMOVE,
        DecisionKind.DESTROY,
        DecisionKind.WIPE,
    }
)
#: What a person is told before signing.
WARNING = (
    "This reason is signed, and strangers can read it in the certificate: "
    "name no customer, person or serial number."
)
#: Fewer letters and digits stand in every other sentence by chance. In UTF-8: two of a script without an
#: alphabet may be a whole name.
LEAST_BYTES = 4
#: So many together are no accident, whatever stands around them.
LONG_BYTES = 8

_MAIL_ADDRESS = re.compile(r"[^\s@]@[^\s@]|[^\s@]\s*@\s*[^\s@]+\.[^\s@]")


@dataclass(frozen=True, kw_only=True)
class PrivateText:
    """One text that no stranger may read."""

    #: What it is, for the refusal: `the serial number of a drive`.
    what: str
    text: str = field(repr=False)


def require_names_nobody(reason: str, private: Iterable[PrivateText]) -> None:
    """Raises Refused(REASON_NAMES_SOMEBODY) where `reason` says one of these texts, or a mail address."""
    plain = unicodedata.normalize("NFKC", reason)
    found = {each.what for each in private if _says(plain, each.text)}
    if _MAIL_ADDRESS.search(plain):
        found.add("a mail address")
    if found:
        raise Refused(Code.REASON_NAMES_SOMEBODY, f"the reason says {', '.join(sorted(found))}")


def names_nobody(reason: str, private: Iterable[PrivateText]) -> bool:
    """The same as an answer, for what is stored already."""
    try:
        require_names_nobody(reason, private)
    except Refused:
        return False
    return True


def _says(sentence: str, text: str) -> bool:
    words, sought = _words(sentence), "".join(_words(unicodedata.normalize("NFKC", text)))
    size_bytes = len(sought.encode())
    if size_bytes < LEAST_BYTES:
        return False
    # Many scripts put no space between words, so only ASCII has edges that can be asked for.
    is_word = sought.isascii() and size_bytes < LONG_BYTES
    whole, edges = "".join(words), {0, *accumulate(map(len, words))}
    place = whole.find(sought)
    while place >= 0:
        if not is_word or {place, place + len(sought)} <= edges:
            return True
        place = whole.find(sought, place + 1)
    return False


def _words(text: str) -> list[str]:
    """Runs of letters and digits, folded."""
    return re.findall(r"[^\W_]+", text.casefold())
