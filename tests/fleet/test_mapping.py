"""A mapping is taken whole, or every mistake in it is told."""

import pytest

from fleet import limits, mapping
from fleet.mapping import BadMapping


def test_the_one_that_is_shipped_is_good():
    found = mapping.read(mapping.default())
    assert found.rules[4].metric == "vehicle.speed"
    assert found.follow == {68: "version", 113: "model"}
    assert len({rule.metric for rule in found.rules.values()}) == len(found.rules)
    assert found.service == "fleet"


def test_signals_that_came_later_are_mapped_by_number():
    assert mapping.read('[signals]\nfield_300 = {metric = "vehicle.new"}').rules[300].unit == "1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("service = ", "not TOML"),
        ("servce = 'x'", "servce"),
        ("[signals]\nSpeed = {metric = 'x'}", "signals.Speed: no such signal"),
        ("[follow]\nversion = 'Vrsion'", "follow.Vrsion: no such signal"),
        ("[signals]\nSoc = {unit = '%'}", "signals.Soc.metric"),
        ("[signals]\nGear = {metric = 'x', form = 'states'}", "family"),
        ("[signals]\nGear = {metric = 'x', form = 'states', family = 'Shift'}", "ShiftState"),
        ("[signals]\nGear = {metric = 'x', form = 'text'}", "signals.Gear.form"),
        ("[events]\ntag = ['x']", "events.tag"),
        (f"[events]\ntags = {['x'] * (limits.TAGS + 1)}", "events.tags"),
        ("[labels]\nphase = 'x'", "phase: a label that the adapter itself makes"),
        ("[labels]\nvehicle = 'x'", "vehicle: a label that the adapter itself makes"),
        ("[labels]\nmodel = 'x'\n[follow]\nmodel = 'CarType'", "labels.model: also under follow"),
        ("[labels]\n" + "".join(f"l{n} = 'x'\n" for n in range(limits.OWN_LABELS + 1)), "labels"),
        (
            "[signals]\n" + "".join(f"field_{n} = {{metric = 'x', form = 'flags'}}\n" for n in range(11)),
            "of form flags",
        ),
    ],
)
def test_every_mistake_has_its_place(text, said):
    with pytest.raises(BadMapping) as refused:
        mapping.read(text)
    assert said in str(refused.value)


def test_what_events_may_say():
    assert (mapping.read("").tags, mapping.read("").body) == (None, False)
    found = mapping.read("[events]\ntags = ['side']\nbody = true")
    assert (found.tags, found.body) == ({"side"}, True)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(BadMapping) as refused:
        mapping.read("[signals]\nSpeed = {metric = 'x'}\nSox = {metric = 'y'}")
    assert len(refused.value.problems) == 2
