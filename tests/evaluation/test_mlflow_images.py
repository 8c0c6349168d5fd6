"""MLflow takes a picture's format from its name's suffix."""

import sys
from types import SimpleNamespace

import numpy as np
from mmdet.registry import VISBACKENDS

import lighthead.evaluation  # noqa: F401  (registers the backend)


def test_a_picture_has_a_suffix_and_its_step(tmp_path, monkeypatch):
    logged = []
    stub = SimpleNamespace(
        set_tracking_uri=lambda uri: None,
        get_experiment_by_name=lambda name: name,
        set_experiment=lambda name: None,
        log_image=lambda image, name: logged.append((image.shape, name)),
    )
    monkeypatch.setitem(sys.modules, 'mlflow', stub)
    backend = VISBACKENDS.build(dict(type='MLflowImagesVisBackend', save_dir=str(tmp_path)))
    backend.add_image('val_images', np.zeros((4, 6, 3), np.uint8), step=5)
    assert logged == [((4, 6, 3), 'val_images_5.png')]
