"""Identities of objects over a video's frames: ByteTrack (arXiv 2110.06864), of trackers."""

from dataclasses import replace

import numpy as np

from lighthead.inference.conversions import import_extra, to_supervision
from lighthead.inference.results import Detections


class Tracker:
    """Gives detections of successive frames ``track_ids``; -1 while an object is too new.

    Args:
        fps: Frames per second; an object that is lost for a second keeps its number.
        score_thr: The detector's threshold; an object begins with a score above it.

    Raises:
        UserError: the package trackers is not installed.
    """

    def __init__(self, fps: float, score_thr: float) -> None:
        trackers = import_extra('trackers', 'track')
        self._tracker = trackers.ByteTrackTracker(
            frame_rate=fps,
            lost_track_buffer=max(1, round(fps)),
            track_activation_threshold=score_thr,
            high_conf_det_threshold=min(1.0, score_thr + 0.1),
        )

    def update(self, detections: Detections) -> Detections:
        """The next frame's detections with their ``track_ids``."""
        numbered = to_supervision(detections)
        numbered.data['index'] = np.arange(len(detections))
        tracked = self._tracker.update(numbered)
        track_ids = np.full(len(detections), -1, np.int64)
        if len(tracked):
            track_ids[tracked.data['index'].astype(int)] = tracked.tracker_id
        return replace(detections, track_ids=track_ids)
