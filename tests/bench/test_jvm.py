"""Java of the tree: one version of a library on a classpath, and a compiler that refuses what is wrong."""

from __future__ import annotations

import pytest

from bench import jvm
from local import java


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kafka-streams-4.4.0.jar", "kafka-streams"),
        ("kafka-streams-4.1.0-test.jar", "kafka-streams-test"),
        ("zstd-jni-1.5.7-17.jar", "zstd-jni"),
        ("plain.jar", "plain"),
    ],
)
def test_a_jar_is_known_by_its_name_without_the_version(name, expected):
    assert jvm.artifact(name) == expected


def test_of_one_library_the_first_version_wins(monkeypatch, tmp_path):
    found = {"one": ["a-1.0.jar", "b-1.0.jar"], "two": ["a-2.0.jar", "c-1.0.jar"]}
    monkeypatch.setattr(java, "fetch", lambda label, _mode, _coordinate: [tmp_path / name for name in found[label]])
    path = jvm.classpath([("one", "tree", ""), ("two", "tree", "")], tmp_path)
    assert [word.rpartition("/")[2] for word in path.split(":")[1:]] == ["a-1.0.jar", "b-1.0.jar", "c-1.0.jar"]


@pytest.mark.slow
def test_what_is_no_java_is_refused(tmp_path):
    (tmp_path / "Wrong.java").write_text("class Wrong { int x = true; }", encoding="utf-8")
    with pytest.raises(jvm.NotCompiled, match="cannot convert"):
        jvm.compiled([tmp_path], [], tmp_path / "classes")
