"""A study to begin with, for `featstore study init`."""

TEMPLATE = """\
# A study: every store x feature x probe x scaling x subset x seed x target.
# Paths are relative to this file.  What is commented out shows what else there is.

stores = ["birds.zarr"]
# stores = ["birds.zarr", { path = "plants.zarr", targets = ["genus"], features = ["resnet50"] }]

features = "all"                     # or ["resnet50", "dinov2"]
# fusions = [["resnet50", "dinov2"]]

probes = ["logistic", "knn"]
# probes = ["logistic", { probe = "logistic", value = 0.1 }, { preset = "kornblith", folds = 3 }]
# presets = ["dinov2-logreg", "simpleshot"]

# targets = ["species", "habitat"]   # the first by default
# subsets = ["all", "50k"]           # stored ones, see `featstore subset`
# scalings = ["none", "l2"]
seeds = [0]

# threads = 1                        # of a cell: the last bits of its result depend on it

# [settings]                         # arguments of `featstore probe` for all cells
# select = "kfold"
# test = "test"

# [[cell]]                           # one more
# features = ["resnet50", "dinov2"]
# preset = "clip-paper"
# scaling = "l2"

# [[exclude]]                        # cells that have all of these
# features = "resnet50"
# probe = "knn"
"""
