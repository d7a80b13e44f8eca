"""Formats that `benchmarks/store.py` compares, one module each."""
