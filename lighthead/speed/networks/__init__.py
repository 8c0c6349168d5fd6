"""The networks of Table 8 of the ShuffleNet V2 paper (arXiv 1807.11164)."""

from lighthead.speed.networks.catalogue import NETWORKS, Network, find_network

__all__ = ['NETWORKS', 'Network', 'find_network']
