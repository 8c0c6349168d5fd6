"""The detector against mmdet's own inference, and what users may do with it."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from lighthead import Detector
from lighthead.checkpoint.checkpoint_files import save_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.errors import UserError
from lighthead.inference import Detections, ImageError
from lighthead.inference.runtimes.torch_backend import EagerBackend

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning', 'ignore::DeprecationWarning')


@pytest.fixture(scope='module')
def detector(checkpoint) -> Detector:
    """Everything above the config's own threshold of 0."""
    return Detector(checkpoint, device='cpu', score_thr=0.0)


def _assert_same(found: Detections, expected: Detections, pixels: float = 1e-3) -> None:
    assert len(found) == len(expected) > 0
    assert found.image_size == expected.image_size
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=pixels)


def test_equals_mmdets_inference(checkpoint, detector, pictures):
    loaded = torch.load(checkpoint, weights_only=True)
    specification = read_specification(loaded['meta'], checkpoint)
    loader = dict(dataset=dict(pipeline=specification.preprocess.to_pipeline()))
    cfg = Config(dict(model=specification.model_cfg(), test_dataloader=loader))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = init_detector(cfg, str(checkpoint), palette='random', device='cpu')
        for path in pictures[:4]:
            expected = inference_detector(model, str(path)).pred_instances
            found = detector(path)
            assert len(found) == len(expected) == 100
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
            np.testing.assert_array_equal(found.labels, expected.labels)
            np.testing.assert_allclose(found.boxes, expected.bboxes, atol=1e-3)


def test_results_are_sorted_named_and_inside_the_image(detector, pictures):
    found = detector(pictures[1])
    assert (np.diff(found.scores) <= 0).all()
    assert found.names == [detector.classes[label] for label in found.labels]
    assert len(set(found.names)) > 1, 'the test needs several classes'
    assert found.image_size == (200, 150)
    assert found.boxes.min() >= 0
    assert (found.boxes[:, 0::2] <= 150).all()
    assert (found.boxes[:, 1::2] <= 200).all()
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()


@pytest.mark.parametrize('batch_size', [1, 2, 4])
def test_batches_equal_single_images(checkpoint, detector, pictures, batch_size):
    batched = Detector(checkpoint, device='cpu', score_thr=0.0, batch_size=batch_size)
    results = batched([*pictures, str(pictures[0])])
    assert len(results) == len(pictures) + 1
    for path, found in zip([*pictures, pictures[0]], results, strict=True):
        _assert_same(found, detector(path))


def test_a_batch_shares_padding(checkpoint, monkeypatch, pictures):
    batched = Detector(checkpoint, device='cpu', batch_size=2)
    shapes = []
    call = EagerBackend.__call__
    monkeypatch.setattr(
        EagerBackend,
        '__call__',
        lambda self, batch, *args: shapes.append(batch.shape) or call(self, batch, *args),
    )
    batched(pictures)
    assert sorted(shape[0] for shape in shapes) == [1, 1, 1, 2]


def test_every_source_of_an_image_gives_the_same(detector, pictures):
    bgr = cv2.imread(str(pictures[0]))
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    expected = detector(pictures[0])
    sources = [str(pictures[0]), bgr, Image.fromarray(rgb), torch.from_numpy(rgb).permute(2, 0, 1)]
    for found in detector(sources):
        _assert_same(found, expected, 0)
    _assert_same(detector(tuple(sources[:1]))[0], expected, 0)
    assert detector([]) == []


def test_boxes_belong_to_the_upright_picture(detector, pictures, tmp_path):
    upright = Image.open(pictures[1])
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / 'turned.png', exif=exif)
    _assert_same(detector(tmp_path / 'turned.png'), detector(pictures[1]), 0)


def test_boxes_grow_with_the_picture(detector):
    """A picture enlarged without loss gives the same boxes, in its own pixels."""
    small = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    found, expected = detector(large), detector(small)
    assert found.image_size == (256, 320)
    np.testing.assert_allclose(found.boxes, expected.boxes * 2, atol=1e-2)


@pytest.mark.parametrize('size', [(1, 1), (1, 500), (500, 1), (3, 7), (128, 160), (700, 900)])
def test_any_size(detector, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = detector(image)
    assert found.image_size == size
    assert np.isfinite(found.boxes).all()


def test_threshold_only_leaves_out(checkpoint, detector, pictures):
    everything = detector(pictures[0])
    threshold = float(everything.scores[20])
    found = Detector(checkpoint, device='cpu', score_thr=threshold - 1e-6)(pictures[0])
    assert 20 < len(found) < 100
    _assert_same(found, everything.filter(threshold - 1e-6))


def test_the_constructors_threshold_is_only_the_default(checkpoint, detector, pictures):
    strict = Detector(checkpoint, device='cpu', score_thr=0.9)
    everything = detector(pictures[0])
    assert len(strict(pictures[0])) < len(everything)
    _assert_same(strict(pictures[0], score_thr=0.0), everything, 0)
    strict.score_thr = 0.0
    _assert_same(strict(pictures[0]), everything, 0)
    strict.score_thr = 2
    with pytest.raises(UserError, match='score_thr=2 is not in'):
        strict(pictures[0])


def test_the_network_knows_the_threshold(checkpoint, detector, monkeypatch, pictures):
    """Only what is wanted is suppressed; without any, the best one comes."""
    raw, call = [], EagerBackend.__call__
    monkeypatch.setattr(EagerBackend, '__call__', lambda *args: raw.append(call(*args)) or raw[-1])
    everything = detector(pictures[0])
    threshold = float(everything.scores[20])
    _assert_same(detector(pictures[0], score_thr=threshold), everything.filter(threshold), 0)
    assert len(detector(pictures[0], score_thr=1.0)) == 0
    detector(pictures[0], score_thr=1.0, classes=detector.classes[:1])
    assert [len(scores) for ((_, scores, _),) in raw] == [100, 21, 1, 100]


def test_no_detections_say_what_the_best_score_was(detector, pictures):
    best = detector(pictures[0]).scores[0]
    nothing = detector(pictures[0], score_thr=1.0)
    assert len(nothing) == 0
    assert nothing.best_score == best
    assert str(nothing) == f'0 detections (the best score was {best:.3g})'


def test_classes_and_suppression_per_call(detector, pictures):
    everything = detector(pictures[1])
    name = everything.names[-1]
    chosen = detector(pictures[1], classes=name)
    assert set(chosen.names) == {name} != set(everything.names)
    _assert_same(chosen, everything.filter(names=[name]), 0)
    assert detector(pictures[1], classes=[name], score_thr=1.0).best_score == chosen.scores[0]
    apart = detector(pictures[1], class_agnostic=True)
    assert len(apart) < len(everything)
    _assert_same(apart, everything.suppress(detector.iou_thr), 0)
    with pytest.raises(UserError, match="no class 'gog'; there are, for example, dog"):
        detector(pictures[1], classes=['gog'])


def test_streams_are_lazy_and_report_what_cannot_be_read(detector, pictures, tmp_path):
    (tmp_path / 'broken.jpg').write_text('no image')
    sources = [pictures[0], tmp_path / 'broken.jpg', pictures[1]]
    results = list(detector.stream(iter(sources)))
    assert [result.source for result in results] == sources
    assert isinstance(results[1].error, ImageError)
    assert results[1].detections is results[1].image is None
    _assert_same(results[2].detections, detector(pictures[1]), 0)
    assert results[2].image.shape[:2] == results[2].detections.image_size


def test_detections_draw_and_crop_their_image(detector, pictures, tmp_path):
    detections = detector(pictures[0], score_thr=0.2)
    drawn = detections.plot()
    assert (drawn != cv2.imread(str(pictures[0]))).any()
    detections.save(tmp_path / 'drawn.png')
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'drawn.png')), drawn)
    assert len(detections.crop()) == len(detections) > 0


def test_bf16_rounds_no_coordinate(checkpoint, detector, pictures):
    """Only the convolutions are in bf16, which has steps of a quarter to half a pixel here."""
    low = Detector(checkpoint, device='cpu', precision='bf16', score_thr=0.0)
    detections, expected = low(pictures[0]), detector(pictures[0])
    near = [np.abs(expected.boxes - box).max(axis=1).min() for box in detections.boxes[:20]]
    assert np.median(near) < 0.5
    assert np.abs(detections.scores[:20] - expected.scores[:20]).max() < 0.05
    for scale in (1, 4 / 3):  # in the image (96 x 120), and at the network's size
        values = torch.from_numpy(detections.boxes.astype(np.float32) * np.float32(scale)).flatten()
        values = values[(values > 32) & ((values - values.round()).abs() > 1e-3)]
        off = (values - values.bfloat16().float()).abs()
        assert len(values) > 50
        assert (off > 1e-3).float().mean() > 0.9


def test_training_checkpoints_have_more_in_them(checkpoint, detector, pictures, tmp_path):
    loaded = torch.load(checkpoint, weights_only=True)
    extra = dict(optimizer={'state': {}}, train_state={'seed': 1}, param_schedulers=[])
    save_checkpoint_file({**loaded, **extra}, tmp_path / 'epoch_1.pth')
    found = Detector(tmp_path / 'epoch_1.pth', device='cpu', score_thr=0.0)(pictures[0])
    _assert_same(found, detector(pictures[0]), 0)


def test_an_unreadable_image_is_named(detector, tmp_path):
    (tmp_path / 'text.jpg').write_text('no picture')
    with pytest.raises(ImageError, match=r'text\.jpg'):
        detector(tmp_path / 'text.jpg')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(backend='tensorflow'), "no backend 'tensorflow': choose from torch"),
        (dict(precision='int4'), "no precision 'int4'"),
        (dict(precision='fp16'), 'choose from fp32, bf16'),
        (dict(device='cuda:77'), 'not available'),
        (dict(device='toaster'), "no device 'toaster'"),
        (dict(score_thr=1.5), r'score_thr=1\.5'),
        (dict(score_thr=float('nan')), 'score_thr=nan'),
        (dict(batch_size=0), 'batch_size=0'),
    ],
)
def test_arguments_that_are_refused(checkpoint, arguments, message):
    with pytest.raises(UserError, match=message):
        Detector(checkpoint, **{'device': 'cpu', **arguments})


def _edited(loaded, path, value):
    specification = json.loads(loaded['meta']['specification'])
    *parents, last = path.split('.')
    node = specification
    for key in parents:
        node = node[key]
    node[last] = value
    loaded['meta']['specification'] = json.dumps(specification)


def _missing_weight(loaded):
    del loaded['state_dict']['neck.tall_wide.0.weight']


def _without_specification(loaded):
    del loaded['meta']['specification']


def _earlier(loaded):
    loaded['meta']['config_json'] = loaded['meta'].pop('specification')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_without_specification, r'changed\.pth holds no specification'),
        (_earlier, 'written by an earlier version'),
        (
            lambda loaded: _edited(loaded, 'detector.neck.mid_channels', 32),
            r'changed\.pth do not fit its specification: \d+ of another shape or kind \(neck',
        ),
        (_missing_weight, r'1 missing \(neck\.tall_wide\.0\.weight\)'),
        (lambda loaded: _edited(loaded, 'classes', ['cat']), r'has 3 classes, and there are 1'),
        (
            lambda loaded: _edited(loaded, 'detector.neck.type', 'subprocess.Popen'),
            r"detector\.neck\.type='subprocess\.Popen'",
        ),
    ],
)
def test_checkpoints_that_are_refused(checkpoint, tmp_path, change, message):
    loaded = torch.load(checkpoint, weights_only=True)
    change(loaded)
    save_checkpoint_file(loaded, tmp_path / 'changed.pth')
    with pytest.raises(UserError, match=message):
        Detector(tmp_path / 'changed.pth', device='cpu')


def test_missing_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r'nowhere\.pth'):
        Detector(tmp_path / 'nowhere.pth')
