"""What a detector does well and badly, from its detections: figures, then sections of a page.

``evaluated.py`` reads ground truth and detections; ``matches.py``, ``confusion.py``,
``tide.py``, ``outcomes.py`` compute; ``sections.py``, ``pictures.py``, ``page.py`` and
``compare.py`` show. Figures of AP are pycocotools', those of ``tide.py`` equal tidecv's.
"""
