"""Models by name: ``Detector('lighthead-people')``, an address, or a Hugging Face repository."""

from lighthead.zoo.entries import ModelEntry, entries
from lighthead.zoo.hub import push_to_hub
from lighthead.zoo.locate import locate_model

__all__ = ['ModelEntry', 'entries', 'locate_model', 'push_to_hub']
