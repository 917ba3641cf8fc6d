"""What comes again is known, within bounds."""

from fleet import limits
from fleet.memory import Known, Seen, Vehicles


def test_an_item_of_a_mark_is_new_once():
    seen = Seen()
    assert [seen.first(5, 1), seen.first(5, 2), seen.first(5, 1), seen.first(6, 1)] == [True, True, False, True]


def test_of_what_is_older_than_the_memory_a_resend_is_not_new():
    seen = Seen()
    for mark in range(100, 100 + 2 * limits.SEEN):
        assert seen.first(mark, 1)
    assert len(seen.marks) == limits.SEEN
    oldest = min(seen.marks)
    assert not seen.first(oldest - 1, 1, again=True)
    assert seen.first(oldest - 1, 1)  # never said to be sent before: late, and new


def test_the_vehicles_that_were_silent_for_longest_are_forgotten():
    vehicles = Vehicles(most=16)
    for number in range(16):
        vehicles.met(f"v{number}", number).last = number
    vehicles.by_source["v0"].last = 99
    vehicles.met("new", 100)
    assert vehicles.forgotten == 3
    assert {"v1", "v2", "v3"}.isdisjoint(vehicles.by_source)
    assert {"v0", "v4", "new"} <= vehicles.by_source.keys()
    assert vehicles.met("v1", 101).born == 101


def test_so_many_names_are_known_and_the_rest_is_other():
    known = Known(most=2)
    assert [known.admitted("alerts", text) for text in ("a", "b", "c", "a", "")] == ["a", "b", "other", "a", "other"]
    assert known.admitted("errors", "x" * 200) == "x" * limits.TEXT_CHARS


def test_what_a_record_lists_again_outlives_what_it_does_not():
    seen = Seen()
    for mark in range(4):
        assert seen.first(mark, 0, most=4)
    assert seen.together([9, 0, 8, 7], 4) == {0, 7, 8, 9}
    for mark in (9, 0, 8, 7):
        assert seen.first(mark, 0, most=4) is (mark != 0)
    assert seen.together([1, 2, 9, 9, 0, 8, 7], 4) == {9, 0, 8, 7}, "known ones come first"
    assert seen.together([], 4) == frozenset()
