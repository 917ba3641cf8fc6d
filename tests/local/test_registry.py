"""The embedded registry: a real one, with Confluent's API."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from local import registry as registry_room
from local.errors import StartTimeout
from local.registry import EmbeddedRegistry
from local.served import answers


def post(url: str, body: object) -> dict[str, object]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.slow
def test_a_schema_is_registered_and_found_by_its_id(registry: str) -> None:
    schema = json.dumps({"type": "record", "name": "R", "fields": [{"name": "f", "type": "long"}]})
    identity = post(f"{registry}/subjects/r-value/versions", {"schema": schema})["id"]
    with urllib.request.urlopen(f"{registry}/schemas/ids/{identity}", timeout=30) as response:
        assert json.loads(json.load(response)["schema"]) == json.loads(schema)


@pytest.mark.slow
def test_one_that_never_answers_is_ended_and_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_room, "REGISTRY_START_MAX_S", 0.5)
    own = EmbeddedRegistry(tmp_path)
    with pytest.raises(StartTimeout, match="schema registry"):
        own.start()
    assert own._child is None


def test_silence_is_no_answer() -> None:
    assert not answers("http://127.0.0.1:1/subjects")
