"""The rules of the house as a whole: arrows between packages, quick starts, codes, drawn pages, sizes."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("certificate", "agent", "controller")
MAY_IMPORT = {
    "certificate": {"certificate"},
    "agent": {"agent", "certificate"},
    "controller": {"controller", "certificate"},
}

#: Longer than STYLE, 5 asks, and known: each must leave the list when it is split, and none is added.
BEYOND_THE_WALL = frozenset(
    {
        "tests/certificate/conftest.py",
        "tests/certificate/test_delivery.py",
        "tests/certificate/verification/test_destroyed.py",
        "tests/certificate/verification/test_verify.py",
        "tests/controller/test_guards.py",
        "tests/mutants/test_assurance_mutants.py",
        "tests/world.py",
    }
)
BEYOND_A_SCREEN = frozenset(
    {
        "certificate/verify.py examine",
        "agent/devices/simulated/nvme.py create",
        "agent/devices/simulated/plain.py create",
        "controller/api/server.py application",
        "controller/boot/proof.py verify_hello",
        "controller/bundles.py assemble",
        "controller/certify.py make_outcome",
        "controller/certify.py make_unseen",
        "controller/certify.py make_destroyed",
        "controller/certify.py make_summary",
        "controller/cli/host_records.py import_file",
        "controller/cli/verbs/hosts.py add",
        "controller/cli/verbs/media.py destroy",
        "controller/cli/verbs/wipe.py wipe",
        "controller/destroying.py draft",
        "controller/knowledge.py facts_of",
        "controller/order.py make_order",
        "controller/plan.py make_plan",
        "controller/store/departures.py register",
        "controller/store/destructions.py record",
        "controller/store/stops.py begin",
    }
)
#: What others made, loaded once: what a fork imports of it is not what a circle of ours is about.
NOT_OURS = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "fastapi",
    "httpx",
    "paramiko",
    "pydantic",
    "rich",
    "sqlalchemy.dialects.sqlite",
    "structlog",
    "typer",
)


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


def test_no_circle_of_imports_depends_on_who_comes_first() -> None:
    """Whichever module a program imports first, nothing it needs is half made. Looked up in the text of all
    of them: an import inside a function runs later, and closes no circle.
    """
    modules = {dotted(path): path for package in PACKAGES for path in modules_of(package)}
    needs = {name: needed_at_once(name, path, modules.keys()) for name, path in modules.items()}
    reached: dict[str, set[str]] = {name: set(first) for name, first in needs.items()}
    for through in modules:
        for found in reached.values():
            if through in found:
                found |= reached[through]
    assert not {name for name, found in reached.items() if name in found}


def needed_at_once(name: str, path: Path, modules: Iterable[str]) -> set[str]:
    """The modules of ours that must be whole before `name` is. A package that `name` itself is in is begun
    already, and only what is taken from it by name must be there.
    """
    found: set[str] = set()
    for node in run_at_import(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [each if each in modules else node.module for each in within]
        else:
            continue
        for target in named:
            found |= {target, *(packages_of(target) - packages_of(name) - {name})}
    return found & set(modules)


def run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    todo: list[ast.AST] = [*tree.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            todo += ast.iter_child_nodes(node)


def packages_of(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_verb_imports_by_itself_in_a_fresh_interpreter() -> None:
    """One process loads what is not ours and forks for each: a circle once broke one verb unnoticed."""
    script = f"""
import importlib, os, sys, traceback
for name in {NOT_OURS!r}:
    importlib.import_module(name)
for name in sys.argv[1:]:
    if (pid := os.fork()) == 0:
        try:
            importlib.import_module(name)
            os._exit(0)
        except BaseException:
            print(name, traceback.format_exc(limit=-3), flush=True)
            os._exit(1)
    os.waitpid(pid, 0)
"""
    verbs = (ROOT / "controller" / "cli" / "verbs").glob("*.py")
    doors = ["agent.cli", "certificate.cli", *sorted(dotted(path) for path in verbs)]
    assert "controller.cli.verbs.serve" in doors
    done = subprocess.run(
        [sys.executable, "-c", script, *doors], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not done.stdout


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


def test_no_module_but_the_known_ones_is_longer_than_the_wall() -> None:
    lines_of = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in (*PACKAGES, "tests", "demo", "docs")
        for path in modules_of(folder)
    }
    assert {name for name, lines in lines_of.items() if lines > 500} == BEYOND_THE_WALL


def test_no_function_but_the_known_ones_is_longer_than_a_screen() -> None:
    beyond = {
        f"{path.relative_to(ROOT)} {node.name}"
        for package in PACKAGES
        for path in modules_of(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 40
    }
    assert beyond == BEYOND_A_SCREEN


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
