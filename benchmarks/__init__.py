"""Compare systems: suites of storyboards in, tables out. `python -m benchmarks.speed` measures time and memory."""
