"""Where outer columns stand: components, padding, and who meets whom."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from alliance_stats.engine.mixed import layout as layouts
from alliance_stats.engine.mixed.layout import _SIZES


def lay_out(inner, n_inner, outer, n_levels, n_effects):
    """Plain groupings: every cell is one item of every factor."""
    return layouts.lay_out([inner] * len(outer), n_inner, outer, n_levels, n_effects)


def _codes(text: str) -> np.ndarray:
    return np.array([int(c) for c in text.replace(" ", "")], dtype=np.int64)


def _members(layout) -> list[list[int]]:
    """Outer columns of each component."""
    blocks = [row[row < layout.n_columns].tolist() for group in layout.groups for row in group.columns]
    return sorted(blocks)


def test_nested_levels_are_components_of_their_own():
    # patients 0-3, therapist 0 sees 0 and 1, therapist 1 sees 2 and 3: nobody meets both
    layout = lay_out(_codes("0123"), 4, [_codes("0011")], [2], [1])
    assert _members(layout) == [[0], [1]]
    assert layout.size == 2


def test_a_change_of_therapist_joins_two_components():
    # patient 1 meets therapists 0 and 1; therapist 2 has patients of its own
    layout = lay_out(_codes("01123"), 4, [_codes("00122")], [3], [1])
    assert _members(layout) == [[0, 1], [2]]


def test_levels_join_through_a_chain_of_patients():
    # 0-1 by patient 0, 1-2 by patient 1, 2-3 by patient 2: one component of four
    layout = lay_out(_codes("001122"), 3, [_codes("011223")], [4], [1])
    assert _members(layout) == [[0, 1, 2, 3]]


def test_two_outer_factors_are_joined_where_a_patient_meets_both():
    # therapists (columns 0, 1) within sites (columns 2, 3)
    layout = lay_out(_codes("0123"), 4, [_codes("0011"), _codes("0011")], [2, 2], [1, 1])
    assert _members(layout) == [[0, 2], [1, 3]]
    assert layout.first_column == (0, 2)


def test_effects_of_one_level_stand_side_by_side():
    layout = lay_out(_codes("0123"), 4, [_codes("0011")], [2], [3])
    assert _members(layout) == [[0, 1, 2], [3, 4, 5]]
    assert [c.tolist() for c in layout.column_of_item[0]] == [[0, 0, 3, 3], [1, 1, 4, 4], [2, 2, 5, 5]]
    assert layout.local.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("size", [1, 2, 5, 7, 9, 23, 31, 32, 33, 40])
def test_small_components_are_padded_and_large_ones_are_not(size):
    # one patient meets all levels
    layout = lay_out(np.zeros(size, np.int64), 1, [np.arange(size)], [size], [1])
    (group,) = layout.groups
    expected = next((s for s in _SIZES if s >= size), size)  # the next listed size, or its own
    assert group.columns.shape == (1, expected)
    assert group.columns[0, :size].tolist() == list(range(size))
    assert (group.columns[0, size:] == layout.n_columns).all()


def test_components_of_one_padded_size_share_a_group():
    # components of 5, 6 and 2 columns: 5 is padded to 6
    inner = np.repeat([0, 1, 2], [5, 6, 2])
    layout = lay_out(inner, 3, [np.arange(13)], [13], [1])
    assert sorted(group.columns.shape for group in layout.groups) == [(1, 2), (2, 6)]
    assert layout.size == 1 * 2 * 2 + 2 * 6 * 6


def test_positions_are_unique_and_inside_storage():
    rng = np.random.default_rng(3)
    inner, outer = rng.integers(12, size=60), rng.integers(9, size=60)
    layout = lay_out(inner, 12, [outer], [9], [2])
    pairs = [
        (a, b)
        for a, b in itertools.combinations_with_replacement(range(layout.n_columns), 2)
        if layout.block_start[a] == layout.block_start[b]
    ]
    a, b = np.array(pairs).T
    places = layout.position(a, b)
    assert np.unique(places).size == len(pairs)
    assert places.min() >= 0
    assert places.max() < layout.size
    assert (places == layout.position(b, a)).all()  # a place belongs to an unordered pair


def test_pairs_are_those_that_one_patient_meets():
    # patient 0 meets therapists 0 and 2, patient 1 meets 2, patient 2 meets 0, 1 and 2
    inner, outer = _codes("00 1 222"), _codes("02 2 012")
    layout = lay_out(inner, 3, [outer], [3], [1])
    found = sorted(
        (int(layout.entry_level[a]), int(layout.entry_column[b]), int(layout.entry_column[a]))
        for a, b in zip(layout.pair_a, layout.pair_b, strict=True)
    )
    assert found == [
        (0, 0, 0),
        (0, 0, 2),
        (0, 2, 2),
        (1, 2, 2),
        (2, 0, 0),
        (2, 0, 1),
        (2, 0, 2),
        (2, 1, 1),
        (2, 1, 2),
        (2, 2, 2),
    ]


def test_repeated_cells_are_one_entry():
    # the pair (patient 0, therapist 1) occurs in three runs of rows
    layout = lay_out(_codes("00000"), 1, [_codes("10101")], [2], [1])
    assert layout.n_entries == 2
    assert layout.entry_of_item[0][0].tolist() == [1, 0, 1, 0, 1]


def test_no_outer_factor_leaves_everything_empty():
    layout = lay_out(_codes("012"), 3, [], [], [])
    assert (layout.n_columns, layout.n_entries, layout.size, layout.groups) == (0, 0, 0, ())
