"""Figures of the ShuffleNet V2 paper (arXiv 1807.11164), as data."""
