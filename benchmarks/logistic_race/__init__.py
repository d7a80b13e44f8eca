"""Parts of `benchmarks/probes.py`: problems, contestants, and how far each came in what time."""
