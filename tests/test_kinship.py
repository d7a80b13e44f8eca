"""Kinship: nodes that stand in several levels, and their heights."""

import numpy as np

from featstore.kinship import concepts, descent, heights, occurring

NAMES = [["wren", "owl", "bat", "oak"], ["bird", "bat", "oak"], ["animal", "oak"]]
PARENTS = [[(0,), (0,), (1,), (2,)], [(0,), (0,), (1,)]]


def test_a_class_in_several_levels_is_one_node():
    nodes = concepts(NAMES, PARENTS)
    assert [level.tolist() for level in nodes] == [[0, 1, 2, 3], [4, 2, 3], [5, 3]]
    np.testing.assert_array_equal(heights(nodes, PARENTS), [0, 0, 0, 0, 1, 2])


def test_equal_names_without_kinship_are_two_nodes():
    nodes = concepts([["bat", "club"], ["club", "bat"]], [[(0,), (1,)]])
    assert [level.tolist() for level in nodes] == [[0, 1], [2, 3]]


def test_steps_multiply_to_descent():
    up = descent(PARENTS[0], 3) @ descent(PARENTS[1], 2)
    assert up.toarray().tolist() == [[True, False]] * 3 + [[False, True]]
    used, left = occurring(up[2:])
    assert used.tolist() == [0, 1]
    assert left.shape == (2, 2)
