"""Every code block of the READMEs, of docs/ and of examples/ is run, and what pages list is held against the code.

python blocks are executed; html blocks may only use attributes that the page's script reads; yaml blocks are validated
(OpenSLO, channels, routes or a gateway's keys), toml blocks as mappings of a fleet; sh blocks are run line by line against
the session's broker. Pages in ELSEWHERE speak to a gateway: the test that is named there runs their blocks against one.
`make` lines are dry runs, since CI runs those very targets. Lines that run for ever, start brokers or name a record of
somebody's own (`tocsin demo`, `explain`, `--follow` ...) are asked for their help, which has to know their options.
`docker compose` lines are held against docker-compose.yml. A block in another language fails: it would be a block that
nothing checks. Pictures and output are fenced as `text` or with no language.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from gateway import keys
from tests.pages import FENCE, HOWTO, ROOT, Block, fenced

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "client" / "README.md",
]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[\w-]*)?\)")
NOT_CODE = {"", "text", "json"}
#: Pages whose blocks need more than a broker -> the test that runs each of them.
ELSEWHERE = dict.fromkeys(
    [f"{HOWTO}/{name}.md" for name in ("send-over-http", "use-opentelemetry", "use-prometheus")],
    "tests/gateway/howto_test.py",
)
DOCUMENTED_BOOTSTRAP = "127.0.0.1:9092"
#: Commands that do not end, start processes, or need what only a user has.
ASKED_FOR_HELP = {"up", "worker", "fleet", "gateway", "demo", "explain", "ack", "resolve", "doctor"}
ROOMS = (
    "access", "schemas", "rollups", "alerts", "sinks", "gateway", "fleet", "streams", "local", "demo", "cli", "bench", "proof",
)  # fmt: skip


def blocks() -> list[Block]:
    """All fenced blocks that are code, of the pages that are not run elsewhere."""
    names = [str(page.relative_to(ROOT)) for page in PAGES if page.exists()]
    found = [block for name in names if name not in ELSEWHERE for block in fenced(name)]
    return [block for block in found if block.language not in NOT_CODE]


def run(command: list[str], bootstrap: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """One command with the session's broker in its environment."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "TOCSIN_BOOTSTRAP": bootstrap, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def run_line(line: str, bootstrap: str) -> None:
    """One line of a sh block."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # NAME=value in front
        words = words[1:]
    if not words:
        return
    if words[:2] == ["docker", "compose"]:
        check_compose(words[2:])
        return
    if words[0] == "make":
        words = ["make", "--dry-run", *words[1:]]
    elif words[0] == "tocsin":
        words = [sys.executable, "-m", "cli", *words[1:]]
        if (words[3] in ASKED_FOR_HELP and "--check" not in words) or {"-f", "--follow"} & set(words):
            check_options(words, bootstrap)
            return
    done = run(words, bootstrap, ROOT)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def check_options(words: list[str], bootstrap: str) -> None:
    """The command's help knows each option."""
    done = run([*words[:4], "--help"], bootstrap, ROOT)
    assert done.returncode == 0, done.stderr
    unknown = [word for word in words[4:] if word.startswith("-") and word.partition("=")[0] not in done.stdout]
    assert not unknown, f"{words[3]} has no {unknown}\n{done.stdout}"


def check_compose(words: list[str]) -> None:
    """Profiles and services that are named exist."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    profiles = {profile for service in services.values() for profile in service["profiles"]}
    named = dict(itertools.pairwise(words))
    assert "--profile" not in named or named["--profile"] in profiles
    assert "--scale" not in named or named["--scale"].partition("=")[0] in services


@pytest.fixture(scope="module")
def prepared(bootstrap: str) -> str:
    """The session's broker with our topics: it makes none by itself."""
    topics = pytest.importorskip("streams.topics")
    topics.ensure(bootstrap, 4)
    return bootstrap


def test_the_readme_has_blocks() -> None:
    assert any(block.page == "README.md" for block in blocks())


@pytest.mark.parametrize(
    "wrong", ["tocsin up --no-such-option", "docker compose --profile none up", "make no-such-target"]
)
def test_a_wrong_line_is_seen(wrong: str) -> None:
    with pytest.raises(AssertionError):
        run_line(wrong, DOCUMENTED_BOOTSTRAP)


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block_runs(block: Block, prepared: str, tmp_path: pathlib.Path) -> None:
    if block.language == "sh":
        for line in block.text.replace("\\\n", " ").splitlines():
            run_line(line.replace(DOCUMENTED_BOOTSTRAP, prepared), prepared)
    elif block.language == "python":
        script = tmp_path / "block.py"
        script.write_text(block.text.replace(DOCUMENTED_BOOTSTRAP, prepared), encoding="utf-8")
        done = run([sys.executable, str(script)], prepared, tmp_path)
        assert done.returncode == 0, done.stderr
    elif block.language == "yaml":
        file = tmp_path / "block.yaml"
        file.write_text(block.text, encoding="utf-8")
        if block.text.startswith("keys:"):
            assert keys.read(file)
            return
        done = run([sys.executable, "-m", "cli", "validate", str(file)], prepared, ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    elif block.language == "toml":
        file = tmp_path / "block.toml"
        file.write_text(block.text, encoding="utf-8")
        done = run([sys.executable, "-m", "cli", "fleet", "--check", str(file)], prepared, ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    elif block.language == "html":
        script = (ROOT / "gateway" / "browser" / "tocsin.js").read_text(encoding="utf-8")
        used = re.findall(r"\bdata-(\w+)=", block.text)
        assert used
        assert [name for name in used if f"o.{name}" not in script] == []
    else:
        pytest.fail(f"{block}: no way to run a {block.language!r} block; fence it as text if it is not code")


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_what_is_run_elsewhere_is_there(page: str, test: str) -> None:
    assert pathlib.PurePath(page).stem in (ROOT / test).read_text(encoding="utf-8")
    assert fenced(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    missing = [to for to in targets if "://" not in to and not (page.parent / to).exists()]
    assert not missing, f"{page.relative_to(ROOT)} links to what is not there: {missing}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_page_lists_its_files(room: str) -> None:
    """Each module once, and none that is gone: the page is the way into the room."""
    text = (ROOT / "docs" / "rooms" / f"{room}.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE)
    there = {path.relative_to(ROOT / room).as_posix() for path in (ROOT / room).rglob("*.py")}
    there -= {name for name in there if name.endswith(("__init__.py", "__main__.py"))}
    assert sorted(set(listed)) == sorted(listed), "a file is listed twice"
    assert not set(listed) - there, f"docs/rooms/{room}.md lists files that are gone: {sorted(set(listed) - there)}"
    assert not there - set(listed), f"docs/rooms/{room}.md does not list: {sorted(there - set(listed))}"


def as_written(default: object) -> str:
    """A default as an operator writes it into the environment."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(default).lower() if isinstance(default, bool) else "(none)" if default in (None, "") else str(default)


def test_the_operators_page_lists_every_setting_and_metric() -> None:
    settings = pytest.importorskip("streams.settings")
    text = (ROOT / "docs" / "howto" / "operate.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(TOCSIN_[A-Z_]+)` \| ([^|]*) \|", text, re.MULTILINE))
    elsewhere = pytest.importorskip("access.security").KafkaSecurity.model_fields  # secure-kafka.md
    fields = {name: field for name, field in settings.Settings.model_fields.items() if name not in elsewhere}
    assert listed == {f"{settings.PREFIX}{name.upper()}": as_written(field.default) for name, field in fields.items()}
    source = (ROOT / "streams" / "selfmetrics.py").read_text(encoding="utf-8")
    metrics = set(re.findall(r'"(tocsin_[a-z_]+)"', source))
    assert metrics == set(re.findall(r"^\| `(tocsin_[a-z_]+)` \|", text, re.MULTILINE))
