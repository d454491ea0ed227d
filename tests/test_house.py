"""The rules of the house as a whole: arrows between packages, quick starts, codes, drawn pages, sizes."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("certificate", "agent", "controller")
MAY_IMPORT = {
    "certificate": {"certificate"},
    "agent": {"agent", "certificate"},
    "controller": {"controller", "certificate"},
}


def modules_of(package: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_between_packages_point_to_certificate_only(package: str) -> None:
    siblings = {*PACKAGES, "demo", "tests"}
    for path in modules_of(package):
        used = {name.split(".")[0] for name in imports_of(path)} & siblings
        assert used <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {used - MAY_IMPORT[package]}"


def test_a_simulator_never_imports_what_it_tests() -> None:
    paths = list((ROOT / "agent" / "devices" / "simulated").rglob("*.py"))
    assert paths
    for path in paths:
        forbidden = {
            name
            for name in imports_of(path)
            if name.startswith(("agent.", "controller"))
            and not name.startswith("agent.devices.simulated")
            and name != "agent.errors"
        }
        assert not forbidden, f"{path.name} imports {forbidden}"


def test_the_pure_core_imports_no_clock_disk_or_network() -> None:
    pure = [
        *(ROOT / "certificate" / name for name in ("delivery.py", "selection.py", "verify.py")),
        *(ROOT / "certificate" / "assurance").glob("*.py"),
        *(
            ROOT / "controller" / f"{name}.py"
            for name in ("states", "facts", "lifecycle", "deadlines", "pace", "exits", "way_back")
        ),
        *(ROOT / "controller" / "guards").glob("*.py"),
        ROOT / "agent" / "admission.py",
        ROOT / "agent" / "teardown.py",
    ]
    doing = {
        "os",
        "time",
        "socket",
        "subprocess",
        "pathlib",
        "random",
        "secrets",
        "sqlalchemy",
        "paramiko",
        "httpx",
    }
    for path in pure:
        assert not {name.split(".")[0] for name in imports_of(path)} & doing, path.name


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    # The last line only: what the command itself printed may name a package in prose.
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_the_agent_starts_without_the_controllers_libraries() -> None:
    assert not loaded_by("import agent.cli") & {"typer", "rich", "paramiko", "sqlalchemy", "fastapi"}


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "--help"]])
def test_expunge_help_and_verify_start_without_the_controllers_libraries(arguments: list[str]) -> None:
    code = (
        f"import certificate.cli\ntry:\n    certificate.cli.main({arguments!r})\nexcept SystemExit:\n    pass"
    )
    assert not loaded_by(code) & {"typer", "paramiko", "sqlalchemy", "fastapi", "controller", "agent"}


def test_codes_are_unique_across_packages_and_equal_their_names() -> None:
    import agent.errors
    import certificate.errors
    import controller.errors

    seen: dict[str, str] = {}
    for module in (certificate.errors, agent.errors, controller.errors):
        for code in module.Code:
            assert code.value == code.name
            assert code.value not in seen, f"{code.value} in {seen[code.value]} and {module.__name__}"
            assert code.remedy.strip()
            seen[code.value] = module.__name__


@pytest.mark.parametrize("page", ["errors.md", "states.md"])
def test_pages_drawn_from_the_code_are_current(page: str) -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "render.py"))["PAGES"]
    assert (ROOT / "docs" / page).read_text() == pages[page](), "run: python docs/render.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_the_wall(package: str) -> None:
    for path in modules_of(package):
        lines = len(path.read_text().splitlines())
        assert lines <= 500, f"{path.relative_to(ROOT)} has {lines} lines"


def test_every_module_says_its_rules_first() -> None:
    for package in PACKAGES:
        for path in modules_of(package):
            assert ast.get_docstring(ast.parse(path.read_text())), path.relative_to(ROOT)


def test_nothing_asks_whether_this_is_the_demonstration() -> None:
    for package in PACKAGES:
        for path in modules_of(package):
            assert "if demo" not in path.read_text(), path.relative_to(ROOT)


@pytest.mark.parametrize("page", ["threat-model.md", "traceability.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    named = re.findall(r"`((?:tests/)?[a-z_]+(?:/[a-z_]+)*/?(?:[a-z_]+\.py)?)`", text)
    below = [ROOT / "tests", *(ROOT / "tests").rglob("*/"), ROOT]
    for name in named:
        if "/" in name or name.startswith("test_"):
            found = [folder / name for folder in below if (folder / name).exists()]
            assert found, f"{page} names {name}"
