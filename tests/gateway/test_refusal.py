"""A refusal is the same, wherever it was raised."""

from __future__ import annotations

import pickle

import pytest

from gateway.refusal import bad, busy, too_large


@pytest.mark.parametrize("refusal", [bad("json", "no"), too_large("much"), busy("memory", "full", 7)])
def test_it_comes_out_of_another_process_as_it_was(refusal):
    found = pickle.loads(pickle.dumps(refusal))
    assert vars(found) == vars(refusal)
    assert str(found) == str(refusal)
