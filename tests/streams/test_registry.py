"""The registry's answers: a schema, "there is none", and everything that is neither and must not be taken for one."""

import http.server
import json
import threading

import pytest

from streams import registry

ANSWERS = {
    "/base/schemas/ids/1": (200, json.dumps({"schema": '"long"'})),
    "/base/schemas/ids/3": (500, "away"),
    "/base/schemas/ids/4": (200, "<html>a proxy</html>"),
    "/base/schemas/ids/5": (200, json.dumps({"other": 1})),
    "/base/schemas/ids/6": (200, json.dumps({"schema": "x" * registry.MAX_BYTES})),
    "/base/schemas/ids/7": (401, "who are you?"),
}


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = ANSWERS.get(self.path, (404, json.dumps({"error_code": 40403})))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/base"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_schema_of_an_id(url, slash):
    assert registry.lookup(url + slash)(1) == '"long"'


def test_an_id_that_the_registry_does_not_have(url):
    assert registry.lookup(url)(2) is None


@pytest.mark.parametrize("schema_id", [3, 4, 5, 6, 7])
def test_an_answer_that_says_nothing_about_the_record(url, schema_id):
    with pytest.raises(registry.RegistryUnavailable, match="127"):
        registry.lookup(url)(schema_id)


def test_a_registry_that_is_away():
    with pytest.raises(registry.RegistryUnavailable):
        registry.lookup("http://127.0.0.1:1")(1)


def test_no_registry_and_a_wrong_address():
    assert registry.lookup("") is None
    with pytest.raises(ValueError, match="TOCSIN_REGISTRY_URL"):
        registry.lookup("file:///etc/passwd")


def test_what_an_id_means_is_known_while_the_registry_is_away():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        ask = registry.lookup(f"http://127.0.0.1:{server.server_address[1]}/base")
        assert ask(1) == '"long"'
        assert ask(2) is None
        server.shutdown()
        thread.join()
    assert ask(1) == '"long"'
    with pytest.raises(registry.RegistryUnavailable):
        ask(2)  # it may exist by now


def test_as_many_schemas_are_known_as_are_bounded(url, monkeypatch):
    monkeypatch.setattr(registry, "KNOWN_SCHEMAS", 1)
    ask = registry.lookup(url)
    monkeypatch.setitem(ANSWERS, "/base/schemas/ids/9", (200, json.dumps({"schema": '"int"'})))
    assert (ask(1), ask(9)) == ('"long"', '"int"')
    monkeypatch.setitem(ANSWERS, "/base/schemas/ids/1", (200, json.dumps({"schema": '"bytes"'})))
    assert ask(1) == '"bytes"'  # forgotten, and asked again
