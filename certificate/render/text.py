"""One calm screen for a terminal: the five parts of a story (`render.story`), under the verdict.

Rules: a refusal is shown with its code, reason and next step before anything else, and a refusal whose
documents are genuine (a failure, or a certificate weaker than the policy asks) with its story below; a
demonstration says so in capitals on top. What a terminal would act on is escaped, so that no document can
draw on the screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from certificate.errors import Refused
from certificate.render.story import Part
from certificate.statements import Purpose

WIDTH = 100
_LABEL = 15

DEMONSTRATION = (
    "DEMONSTRATION: signed under a demonstration trust root. It proves nothing about a real machine."
)


def render(parts: Iterable[Part], *, file: str, purpose: Purpose) -> str:
    """The screen for a bundle that verified."""
    return "\n".join([*_banner(purpose), f"VALID  {printable(file)}", "", *_parts(parts)])


def render_refusal(
    refusal: Refused, *, file: str, verdict: str, parts: Iterable[Part] = (), purpose: Purpose | None = None
) -> str:
    """The screen for a bundle that is not accepted; `parts`: its story, where the documents are genuine."""
    told = list(_parts(parts))
    lines = [
        *_banner(purpose if told else None),
        f"{verdict.upper()}  {printable(file)}",
        *_entry("code", refusal.code.value),
        *_entry("because", refusal.reason),
        *_entry("next", refusal.remedy),
    ]
    return "\n".join([*lines, "", *told] if told else lines)


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal would act on."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _banner(purpose: Purpose | None) -> list[str]:
    return [DEMONSTRATION, ""] if purpose is Purpose.DEMONSTRATION else []


def _parts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        yield part.title
        for label, text in part.lines:
            yield from _entry(label, text)
        yield ""


def _entry(label: str, text: str) -> list[str]:
    head = f"  {printable(label):<{_LABEL}}" if label else "  - "
    return textwrap.wrap(
        printable(text),
        width=WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head]
