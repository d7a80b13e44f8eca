"""Levels by depth, against the procedure in the paper carried out step by step."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.taxonomies import from_parents, parent_table


@st.composite
def hierarchies(draw, max_parents=1):
    """Random hierarchies of up to 20 nodes; every node's parents come before it."""
    parents = {"0": []}
    for node in range(1, draw(st.integers(3, 20))):
        possible = st.lists(st.integers(0, node - 1), min_size=1, max_size=max_parents, unique=True)
        parents[str(node)] = [str(parent) for parent in draw(possible)]
    return parents


def merged_step_by_step(parents):
    """The paper's rule for a tree: cut the deepest leaves off, and again; leaves of each depth."""
    depth = {}
    for node, above in parents.items():
        depth[node] = depth[above[0]] + 1 if above else 0
    left = dict(parents)
    found = {}
    while len(left) > 1:
        inner = {above[0] for above in left.values() if above}
        leaves = set(left) - inner
        deepest = max(depth[leaf] for leaf in leaves)
        found[f"Depth {deepest}"] = leaves
        left = {node: above for node, above in left.items() if depth[node] < deepest}
    return found


@given(parents=hierarchies())
def test_a_tree_is_cut_as_the_paper_does(parents):
    expected = {
        level: leaves for level, leaves in merged_step_by_step(parents).items() if len(leaves) > 1
    }
    if len(expected) < 2:
        with pytest.raises(InvalidInputError, match="no coarser level"):
            from_parents(parents)
        return
    taxonomy = from_parents(parents)
    assert taxonomy.is_tree
    assert list(taxonomy.levels) == list(expected)
    for level, names in zip(taxonomy.levels, taxonomy.names, strict=True):
        assert set(names) == expected[level]


@settings(deadline=None)
@given(parents=hierarchies(max_parents=3))
def test_with_several_parents_a_class_belongs_to_all_of_them(parents):
    depth = {}
    for node, above in parents.items():
        depth[node] = max((depth[parent] + 1 for parent in above), default=0)

    edges = [(node, parent) for node, above in parents.items() for parent in above]
    nearest = nx.transitive_reduction(nx.DiGraph(edges))

    def cut(node, k):
        return {node} if depth[node] <= k else set().union(*(cut(up, k) for up in nearest[node]))

    try:
        taxonomy = from_parents(parents)
    except InvalidInputError:
        return
    classes = taxonomy.names[0]
    for level in taxonomy.levels:
        names, belongs = taxonomy.ancestors(classes, level)
        for row, name in zip(belongs.toarray(), classes, strict=True):
            found = {names[column] for column in np.flatnonzero(row)}
            assert found == cut(name, int(level.removeprefix("Depth ")))


def test_classes_may_be_chosen_and_one_may_be_above_another():
    parents = {"wren": ["bird"], "owl": ["bird"], "bird": ["animal"], "bat": ["animal"]}
    taxonomy = from_parents(parents, ["bird", "wren", "bat"])
    assert taxonomy.levels == ("Depth 2", "Depth 1")
    assert taxonomy.names == (("bird", "wren", "bat"), ("bird", "bat"))


def test_a_table_of_parents(tmp_path):
    path = tmp_path / "parents.csv"
    path.write_text("node,parent\nbarn,farm\nbarn, field\nlake,water\nfarm,\nfield,\n")
    taxonomy = parent_table(path)
    assert taxonomy.names == (("barn", "lake"), ("farm", "field", "water"))
    assert taxonomy.parents == (((0, 1), (2,)),)
    assert parent_table(path, ["lake", "barn"]).names[0] == ("lake", "barn")


def test_what_is_no_hierarchy_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"circles: .* -> "):
        from_parents({"a": ["b"], "b": ["c"], "c": ["b"]}, ["a"])
    with pytest.raises(InvalidInputError, match=r"1 of 2 classes are not .*'zebra'"):
        from_parents({"a": ["b"]}, ["a", "zebra"])
    path = tmp_path / "parents.csv"
    path.write_text("node,parent,rank\na,b,c\n")
    with pytest.raises(InvalidInputError, match="has two: node, parent"):
        parent_table(path)
