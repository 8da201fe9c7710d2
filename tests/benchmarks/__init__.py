"""How fast the circuit engine is, beside the usual ways of evaluating the same circuit.

`pytest tests/benchmarks --benchmark-only` times our own backends; `python -m tests.benchmarks.table` writes the whole
comparison to reports/benchmarks/.
"""
