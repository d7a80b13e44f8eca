"""How `benchmarks/store.py` measures, one concern each module."""
