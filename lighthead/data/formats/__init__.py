"""Data sets in the formats that labelling tools export, recognised from what lies in a folder."""

from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.formats.recognise import FORMATS, read_dataset

__all__ = ['FORMATS', 'LabelledData', 'LabelledSplit', 'read_dataset']
