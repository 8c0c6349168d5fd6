"""Measuring: timer, memory, complexity, machine, record. ``benchmarks/`` uses it too."""
