"""The rules of the house, as tests: shape of files and functions, words, clocks, what may lie in the tree.

What: one function a rule, run over every file; beside it a sample that it must refuse, so that a rule which has gone
blind fails too. Why: a rule that no machine keeps is a wish. The list of exceptions may only shrink: one that is no
longer needed fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {".git", ".venv", ".venv-peers", ".tocsin", "__pycache__", "build", "dist", "node_modules"}
PURE = ("schemas", "rollups", "alerts", "fleet")
ROOMS = (*PURE, "access", "sinks", "gateway", "streams", "local", "demo", "cli", "bench", "proof")
CLIENT = "client/src/tocsin"

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 1_000_000
PLAIN_NUMBER_MAX = 10_000
#: Folders and files of tests that follow a theme, not a room's files.
THEMES = {"laws", "simulation", "golden", "broker", "scenarios", "foreign"}
BANNED_WORDS = {"manager", "util", "utils", "helper", "helpers", "handler", "handlers"}
#: Put together here, so that this file passes its own rule.
UNFINISHED = re.compile("|".join(rf"\b{a}{b}\b" for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK"))))
HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("repo1", "maven"),
            ("repo", "maven"),
            ("proxy", "golang"),
            ("deb", "debian"),
            ("crates", "io"),
        )
    )
)
MACHINE_PATHS = re.compile("|".join(a + b for a, b in ((r"(?<![\w.])/wo", "rk/"), ("/ro", "ot/"), (r"/home/\w", "+/"))))

#: Rule -> places (`path` or `path:name`) that may break it, each with its reason. It may only shrink.
EXCEPTIONS: dict[str, dict[str, str]] = {}
EXCEPTIONS_MAX = 0

Finding = tuple[str, str]  # (place, what is wrong there)


def tree() -> list[Path]:
    """Every file of the project."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(
            part in LEFT_OUT or part.endswith(("_cache", ".egg-info")) or part == ".hypothesis" for part in parts
        )
        if not hidden and path.is_file() and not path.is_symlink():
            found.append(path)
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(name: str) -> str:
    return "client" if name.startswith(f"{CLIENT}/") else name.partition("/")[0]


def in_rooms(name: str) -> bool:
    return name.startswith(f"{CLIENT}/") or room_of(name) in ROOMS


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


# -- rules over Python modules: (name of the file, its text, its tree) -> findings


def short_files(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield name, f"{lines} lines, {FILE_LINES_MAX} at most"


def short_functions(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    for node in functions(module):
        lines = (node.end_lineno or 0) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{name}:{node.name}", f"{lines} lines, {FUNCTION_LINES_MAX} at most"


def docstrings(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    if not ast.get_docstring(module) and module.body:
        yield name, "the module has no docstring"


def refusals(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    """A room's module says what, why, and what it refuses to do."""
    stated = "refuse" in (ast.get_docstring(module) or "").lower()
    if in_rooms(name) and module.body and not name.endswith("/__init__.py") and not stated:
        yield name, "the docstring does not say what the module refuses to do"


def annotations(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    if not in_rooms(name):
        return
    for node in functions(module):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        if bare or (node.returns is None and node.name != "__init__"):
            yield f"{name}:{node.name}", f"not annotated: {', '.join(bare) or 'what it returns'}"


def no_any(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    if room_of(name) in PURE:
        for node in ast.walk(module):
            called = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if called == "Any":
                yield f"{name}:{getattr(node, 'lineno', 0)}", "Any in a pure room"


def no_clocks(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    """import-linter bans the modules; this bans the calls that need none of them."""
    if room_of(name) not in PURE:
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "perf_counter", "monotonic"):
            whose = ast.unparse(node.value)
            if whose.rpartition(".")[2] in ("datetime", "date", "time"):
                yield f"{name}:{node.lineno}", f"a clock: {ast.unparse(node)}"


def words(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    """Words that say nothing, in any name that is ours: of a file, a class, a function, an argument, a variable.

    A test's name is a sentence, and may speak of others' handlers.
    """
    if name.startswith("tests/"):
        return
    named: list[tuple[str, int]] = [(Path(name).stem, 0)]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named.append((node.name, node.lineno))
        elif isinstance(node, ast.arg):
            named.append((node.arg, node.lineno))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.append((node.id, node.lineno))
    for identifier, line in named:
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier):
            if word.lower() in BANNED_WORDS:
                yield f"{name}:{identifier}", f"line {line}: the word {word.lower()} says nothing"


def named_limits(name: str, text: str, module: ast.Module) -> Iterator[Finding]:
    """A large number in a pure room stands in a constant, where it has a name."""
    if room_of(name) not in PURE or Path(name).name == "limits.py":
        return
    constants = [node for node in module.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    inside = {id(part) for node in constants for part in ast.walk(node)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and id(node) not in inside:
            written = ast.get_source_segment(text, node) or ""
            if abs(node.value) >= PLAIN_NUMBER_MAX and not written.lower().startswith("0x"):
                yield f"{name}:{node.lineno}", f"{written} has no name"


# -- rules over any text file


def finished(name: str, text: str) -> Iterator[Finding]:
    for match in UNFINISHED.finditer(text):
        yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}", f"unfinished: {match[0]}"


def no_hosts(name: str, text: str) -> Iterator[Finding]:
    for match in HOSTS.finditer(text):
        yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}", f"names a package registry's host: {match[0]}"


def no_machine_paths(name: str, text: str) -> Iterator[Finding]:
    for match in MACHINE_PATHS.finditer(text):
        yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}", f"a path of one machine: {match[0]}"


MODULE_RULES: dict[Callable[[str, str, ast.Module], Iterator[Finding]], tuple[str, str]] = {
    short_files: ("alerts/long.py", "x = 1\n" * (FILE_LINES_MAX + 1)),
    short_functions: ("alerts/long.py", "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX),
    docstrings: ("tests/bare.py", "x = 1\n"),
    refusals: ("sinks/bare.py", '"""What: this. Why: that."""\nx = 1\n'),
    annotations: ("client/src/tocsin/bare.py", "def f(x: int): ...\n"),
    no_any: ("rollups/loose.py", "def f(x: typing.Any) -> None: ...\n"),
    no_clocks: ("alerts/late.py", "x = datetime.datetime.now()\n"),
    words: ("demo/words.py", "class WindowManager: ...\n"),
    named_limits: ("schemas/size.py", "def f(x: int) -> bool:\n    return x > 65_536\n"),
}
TEXT_RULES: dict[Callable[[str, str], Iterator[Finding]], tuple[str, str]] = {
    finished: ("README.md", "TO" + "DO: more"),
    no_hosts: ("requirements/x.txt", "--index-url https://" + "pypi." + "org/simple"),
    no_machine_paths: ("Makefile", "run: cd /wo" + "rk/x"),
}


def judged(rule: str, findings: list[Finding]) -> None:
    """Fails on what is not excepted, and on an exception that nothing needs."""
    excepted = EXCEPTIONS.get(rule, {})
    wrong = [f"{place}: {what}" for place, what in findings if place not in excepted]
    assert not wrong, f"{rule}:\n  " + "\n  ".join(wrong)
    unneeded = set(excepted) - {place for place, _ in findings}
    assert not unneeded, f"{rule}: no longer an exception, so take it off the list: {sorted(unneeded)}"


@pytest.mark.parametrize("rule", MODULE_RULES, ids=lambda rule: rule.__name__)
def test_modules_keep(rule: Callable[[str, str, ast.Module], Iterator[Finding]]) -> None:
    findings: list[Finding] = []
    for path in tree():
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            findings.extend(rule(name_of(path), text, ast.parse(text)))
    judged(rule.__name__, findings)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_files_keep(rule: Callable[[str, str], Iterator[Finding]]) -> None:
    findings: list[Finding] = []
    for path in tree():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        findings.extend(rule(name_of(path), text))
    judged(rule.__name__, findings)


@pytest.mark.parametrize("rule", MODULE_RULES, ids=lambda rule: rule.__name__)
def test_each_module_rule_refuses_its_sample(rule: Callable[[str, str, ast.Module], Iterator[Finding]]) -> None:
    name, text = MODULE_RULES[rule]
    assert list(rule(name, text, ast.parse(text)))


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_each_text_rule_refuses_its_sample(rule: Callable[[str, str], Iterator[Finding]]) -> None:
    assert list(rule(*TEXT_RULES[rule]))


def test_files_are_small() -> None:
    big = [(name_of(p), str(p.stat().st_size)) for p in tree() if p.stat().st_size > FILE_BYTES_MAX]
    judged("small", [finding for finding in big if not finding[0].startswith("demo/data/")])


def mirrored(name: str) -> str | None:
    """The source file that a test file stands for; None for tests of the whole and of themes."""
    parts = Path(name).parts
    if parts[0] != "tests" or len(parts) < 3 or parts[1] in THEMES or not parts[-1].startswith("test_"):
        return None
    if parts[-1].removeprefix("test_").removesuffix(".py") in THEMES:
        return None
    room = CLIENT if parts[1] == "client" else parts[1]
    return "/".join([room, *parts[2:-1], parts[-1].removeprefix("test_")])


def test_tests_mirror_the_rooms_file_by_file() -> None:
    findings = []
    for path in tree():
        source = mirrored(name_of(path))
        if source and not (ROOT / source).is_file() and not (ROOT / source.removesuffix(".py")).is_dir():
            findings.append((name_of(path), f"there is no {source}"))
    judged("mirror", findings)


def test_the_mirror_knows_where_to_look() -> None:
    assert mirrored("tests/alerts/test_slo.py") == "alerts/slo.py"
    assert mirrored("tests/client/test_pump.py") == "client/src/tocsin/pump.py"
    assert mirrored("tests/sinks/channels/test_slack.py") == "sinks/channels/slack.py"
    assert mirrored("tests/laws/test_merge.py") is None
    assert mirrored("tests/alerts/test_golden.py") is None
    assert mirrored("tests/test_tidy.py") is None


def test_the_rooms_with_bounds_name_them_in_one_file() -> None:
    homes = [
        CLIENT if room == "client" else room for room in (*PURE, "access", "gateway", "streams", "local", "client")
    ]
    missing = [f"{home}/limits.py" for home in homes if not (ROOT / home / "limits.py").is_file()]
    assert not missing


def test_a_judgement_fails_on_findings_and_on_exceptions_that_nothing_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="too long"):
        judged("short_files", [("a.py", "too long")])
    monkeypatch.setitem(EXCEPTIONS, "short_files", {"a.py": "an example"})
    judged("short_files", [("a.py", "too long")])
    with pytest.raises(AssertionError, match="take it off"):
        judged("short_files", [])


def test_the_list_of_exceptions_only_shrinks() -> None:
    assert sum(map(len, EXCEPTIONS.values())) <= EXCEPTIONS_MAX
    assert all(reason.strip() for places in EXCEPTIONS.values() for reason in places.values())
