"""Writes the pages that are drawn from the code: docs/errors.md and docs/states.md. A test compares them.

python docs/render.py
"""

from __future__ import annotations

from pathlib import Path

import agent.errors
import certificate.errors
import controller.errors
from controller import states

HERE = Path(__file__).parent

ERRORS_HEAD = """\
# Refusals

Every refusal has a code, a reason and a remedy. The reason speaks of the case at hand; code and remedy are
below. This page is drawn from the code (`python docs/render.py`) and compared by a test.
"""


def errors_page() -> str:
    parts = [ERRORS_HEAD]
    for name, module in (
        ("certificate", certificate.errors),
        ("agent", agent.errors),
        ("controller", controller.errors),
    ):
        parts.append(f"## {name}\n\n| code | remedy |\n|---|---|")
        parts[-1] += "".join(f"\n| `{code.value}` | {code.remedy} |" for code in module.Code)
        parts[-1] += "\n"
    return "\n".join(parts)


PAGES = {"errors.md": errors_page, "states.md": states.render_markdown}

if __name__ == "__main__":
    for page, render in PAGES.items():
        (HERE / page).write_text(render())
