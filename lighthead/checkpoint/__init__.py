"""Checkpoints: files that are safe to load, and the detector that they describe."""
