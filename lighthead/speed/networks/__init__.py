"""The networks of Table 8 of the ShuffleNet V2 paper (arXiv 1807.11164), and the user's own."""

from lighthead.speed.networks.catalogue import (
    FAMILIES,
    NETWORKS,
    Network,
    build_network,
    find_network,
    stand_ins,
)

__all__ = ['FAMILIES', 'NETWORKS', 'Network', 'build_network', 'find_network', 'stand_ins']
