"""The parts of tests/benchmarks/run. See there, and docs/performance.md."""
