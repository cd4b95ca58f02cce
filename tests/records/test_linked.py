from hypothesis import given
from hypothesis import strategies as st

from affinage.records.finding import Pair
from affinage.records.linked import groups_of


def pairs_of(*ids):
    return [Pair(first=a, second=b, first_id=a, second_id=b) for a, b in ids]


def test_images_tied_through_others_are_one_group_named_by_the_smallest():
    assert groups_of(pairs_of(("c", "b"), ("x", "y"), ("b", "a"))) == {
        "a": "a", "b": "a", "c": "a", "x": "x", "y": "x",
    }  # fmt: skip


def test_no_pairs_no_groups():
    assert groups_of([]) == {}


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh"))), st.randoms())
def test_the_order_does_not_matter_and_each_pair_shares_a_group(ids, random):
    groups = groups_of(pairs_of(*ids))
    assert all(groups[a] == groups[b] for a, b in ids)
    assert all(name == min(i for i in groups if groups[i] == name) for name in groups.values())
    shuffled = random.sample(ids, len(ids))
    assert groups_of(pairs_of(*shuffled)) == groups
