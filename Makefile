# Two commands do everything from a bare checkout: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export MPLBACKEND := Agg

.PHONY: demo test check docs suite gpu notebooks package clean

demo: .venv/demo
	$(BIN)/python examples/demo.py demo

# The first three side by side, as none of them keeps two cores busy.
test: .venv/dev
	$(MAKE) --jobs=2 --output-sync=target package check docs
	$(MAKE) suite

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports

# The pages of docs/ with a reference, to be read in build/site; a broken link or docstring fails.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Three workers for two cores: many tests wait, for processes that start or are killed.
suite: .venv/dev
	$(BIN)/pytest -n $$($(BIN)/python -c "import os; print(max(1, os.cpu_count() * 3 // 2))") --dist loadfile --no-loadscope-reorder

# Where there is a GPU: what only runs there, and how fast it is.  IMAGES is a folder of JPEG files.
gpu: .venv/dev
	$(BIN)/pytest -m gpu
	$(BIN)/python benchmarks/imagenet_size.py --device cuda --json benchmarks/results/imagenet-size-gpu.json
	$(BIN)/python benchmarks/extract_gpu.py $(IMAGES) --json benchmarks/results/extract-gpu.json

# Run the notebooks and keep what they print; the suite runs them on fewer images.
notebooks: .venv/dev
	$(BIN)/python examples/execute.py

# Build the sdist, the wheel from the sdist, and import everything from the wheel alone.
package: .venv/dev
	rm -rf build/wheel dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/pip install --quiet --no-deps --target build/wheel dist/*.whl
	cd build && PYTHONPATH=wheel ../$(BIN)/python ../tests/support/import_everything.py wheel

clean:
	rm -rf .venv build dist demo examples/stores .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable ".[demo]"
	touch $@

# Bytecode is made of what is imported, when it is, and not of all that this installs.
.venv/dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --no-compile --editable ".[dev]"
	touch $@ .venv/demo
