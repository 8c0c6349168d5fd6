"""The metric's figures are pycocotools' on the JSON it writes; odd input does not crash it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets.api_wrappers import COCO, COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS

from lighthead.errors import UserError
from lighthead.evaluation import CocoDetMetric

CLASSES = ('bird', 'ship', 'sun')
CATEGORY_IDS = (4, 9, 30)
FIGURES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    """Twelve images with boxes of all sizes, a crowd among them; the sun never shows."""
    rng = np.random.default_rng(0)
    content = dict(
        images=[dict(id=n, file_name=f'{n}.jpg', width=400, height=300) for n in range(12)],
        categories=[dict(id=i, name=n) for i, n in zip(CATEGORY_IDS, CLASSES, strict=True)],
        annotations=[],
    )
    for number in range(60):
        w, h = rng.uniform(10, 150, 2)
        content['annotations'].append(
            dict(
                id=number + 1,
                image_id=int(rng.integers(12)),
                category_id=CATEGORY_IDS[number % 2],
                bbox=[rng.uniform(0, 400 - w), rng.uniform(0, 300 - h), w, h],
                area=w * h,
                iscrowd=int(number == 7),
            )
        )
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(content))
    return path


def metric_of(ann_file: Path, **kwargs: object) -> CocoDetMetric:
    metric = METRICS.build(dict(type='CocoDetMetric', ann_file=str(ann_file), **kwargs))
    metric.dataset_meta = dict(classes=CLASSES)
    return metric


def samples_of(ann_file: Path, noise: float = 6, extra: int = 3) -> list[dict]:
    """Predictions as a detector gives them: shaken ground truth and false alarms."""
    rng = np.random.default_rng(1)
    content = json.loads(ann_file.read_text())
    samples = []
    for image in content['images']:
        own = [a for a in content['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in own] + [[9, 9, 50, 50]] * extra, float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes += rng.normal(0, noise, boxes.shape)
        labels = [CATEGORY_IDS.index(a['category_id']) for a in own] + [2, 0, 1, 2][:extra]
        instances = dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor(rng.random(len(boxes)), dtype=torch.float32),
            labels=torch.tensor(labels, dtype=torch.int64),
        )
        samples.append(dict(img_id=image['id'], ori_shape=(300, 400), pred_instances=instances))
    return samples


def evaluate(metric: CocoMetric, samples: list[dict]) -> dict[str, float]:
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def keep_none(samples: list[dict]) -> list[dict]:
    for sample in samples:
        sample['pred_instances'] = {k: v[:0] for k, v in sample['pred_instances'].items()}
    return samples


def official(ann_file: Path, results: Path) -> np.ndarray:
    truth = COCO(str(ann_file))
    evaluation = COCOeval(truth, truth.loadRes(str(results)), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:12]


@pytest.mark.parametrize('option', ['out', 'outfile_prefix'])
def test_figures_are_pycocotools_on_the_written_json(
    option: str, ann_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / 'new/results'
    names = (*FIGURES, 'AR@1', 'AR@10', 'AR@100', 'AR_s@100', 'AR_m@100', 'AR_l@100')
    metric = metric_of(ann_file, metric_items=names, **{option: str(path)})
    found = evaluate(metric, samples_of(ann_file))
    written = path if option == 'out' else Path(f'{path}.bbox.json')
    expected = official(ann_file, written)
    assert 0.1 < expected[0] < 0.9
    assert [found[f'coco/bbox_{name}'] for name in names] == pytest.approx(expected, abs=1e-12)
    assert set(json.loads(written.read_text())[0]) == {'image_id', 'category_id', 'bbox', 'score'}


def test_figures_are_mmdets_up_to_its_rounding(ann_file: Path) -> None:
    stock = CocoMetric(ann_file=str(ann_file), classwise=True)
    stock.dataset_meta = dict(classes=CLASSES)
    expected = evaluate(stock, samples_of(ann_file))
    found = evaluate(metric_of(ann_file, classwise=True), samples_of(ann_file))
    assert set(found) == set(expected)
    for name, value in expected.items():
        if np.isnan(value):
            assert found[name] == -1  # a class that does not occur
        else:
            assert found[name] == pytest.approx(value, abs=6e-4), name


def test_perfect_detections(ann_file: Path) -> None:
    found = evaluate(metric_of(ann_file), samples_of(ann_file, noise=0, extra=0))
    assert found['coco/bbox_mAP'] == pytest.approx(1)


@pytest.mark.parametrize('classwise', [False, True])
def test_no_detections_give_ap_0_under_the_usual_names(classwise: bool, ann_file: Path) -> None:
    usual = evaluate(metric_of(ann_file, classwise=classwise), samples_of(ann_file))
    none = evaluate(metric_of(ann_file, classwise=classwise), keep_none(samples_of(ann_file)))
    assert list(none) == list(usual)
    assert {none[f'coco/bbox_{name}'] for name in FIGURES} == {0.0}
    if classwise:
        assert none['coco/bird_precision'] == 0
        assert none['coco/sun_precision'] == -1


def test_nothing_evaluated_gives_ap_0(ann_file: Path) -> None:
    assert metric_of(ann_file).compute_metrics([])['bbox_mAP'] == 0


def test_ground_truth_without_boxes_gives_minus_1(ann_file: Path, tmp_path: Path) -> None:
    content = json.loads(ann_file.read_text())
    content['annotations'] = []
    empty = tmp_path / 'empty.json'
    empty.write_text(json.dumps(content))
    for samples in (samples_of(ann_file), keep_none(samples_of(ann_file))):
        found = evaluate(metric_of(empty, classwise=True), samples)
        assert set(found.values()) == {-1.0}


def test_dirty_boxes_do_not_count_as_missed(ann_file: Path, tmp_path: Path) -> None:
    content = json.loads(ann_file.read_text())
    samples = samples_of(ann_file, noise=0, extra=0)
    for number, box in enumerate([[5, 5, 0, 9], [500, 5, 9, 9], [float('nan'), 5, 9, 9]]):
        content['annotations'].append(
            dict(id=100 + number, image_id=1, category_id=4, bbox=box, area=9, iscrowd=0)
        )
    dirty = tmp_path / 'dirty.json'
    dirty.write_text(json.dumps(content))
    assert evaluate(metric_of(dirty), samples)['coco/bbox_mAP'] == pytest.approx(1)


def test_annotation_id_0_counts(ann_file: Path) -> None:
    content = json.loads(ann_file.read_text())
    for annotation in content['annotations']:
        annotation['id'] -= 1
    ann_file.write_text(json.dumps(content))
    samples = samples_of(ann_file, noise=0, extra=0)
    assert evaluate(metric_of(ann_file), samples)['coco/bbox_mAP'] == pytest.approx(1)


def test_labels_follow_the_models_classes(ann_file: Path, tmp_path: Path) -> None:
    """A model with other classes and another order, some unknown to the data set."""
    classes = ('cloud', 'ship', 'bird')
    metric = metric_of(ann_file, classwise=True, out=str(tmp_path / 'out.json'))
    metric.dataset_meta = dict(classes=classes)
    samples = samples_of(ann_file, noise=0, extra=1)
    for sample in samples:
        labels = sample['pred_instances']['labels']
        sample['pred_instances']['labels'] = torch.tensor([2, 1, 0])[labels]
    found = evaluate(metric, samples)
    assert found['coco/bird_precision'] > 0.9
    assert {d['category_id'] for d in json.loads((tmp_path / 'out.json').read_text())} == {4, 9}
    assert 'coco/cloud_precision' not in found


def test_an_image_seen_twice_counts_once(ann_file: Path) -> None:
    samples = samples_of(ann_file)
    assert evaluate(metric_of(ann_file), samples + samples[:3]) == evaluate(
        metric_of(ann_file), samples
    )


def test_detections_that_are_not_finite_are_left_out(ann_file: Path, tmp_path: Path) -> None:
    samples = samples_of(ann_file)
    expected = sum(len(sample['pred_instances']['scores']) for sample in samples) - 2
    samples[0]['pred_instances']['bboxes'][0, 2] = torch.nan
    samples[1]['pred_instances']['scores'][0] = torch.inf
    found = evaluate(metric_of(ann_file, out=str(tmp_path / 'o.json')), samples)
    assert np.isfinite(list(found.values())).all()
    assert len(json.loads((tmp_path / 'o.json').read_text())) == expected


def test_format_only_writes_and_computes_nothing(ann_file: Path, tmp_path: Path) -> None:
    metric = metric_of(ann_file, format_only=True, outfile_prefix=str(tmp_path / 'o'))
    assert evaluate(metric, samples_of(ann_file)) == {}
    assert (tmp_path / 'o.bbox.json').is_file()


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(metric='segm'), 'computes metric "bbox", not segm'),
        (dict(ann_file=None), 'needs ann_file'),
        (dict(ann_file='nowhere.json'), 'annotation file nowhere.json does not exist'),
        (dict(format_only=True), 'format_only needs out or outfile_prefix'),
    ],
)
def test_bad_arguments(arguments: dict, sentence: str, ann_file: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        CocoDetMetric(**{'ann_file': str(ann_file), **arguments})


def test_images_of_another_data_set_are_refused(ann_file: Path) -> None:
    samples = samples_of(ann_file)
    samples[0]['img_id'] = 77
    with pytest.raises(UserError, match=r'1 evaluated images are not in .* first has id 77'):
        evaluate(metric_of(ann_file), samples)


def test_unknown_metric_item_is_refused(ann_file: Path) -> None:
    with pytest.raises(UserError, match=r"metric_items \['mAP_90'\] are none of"):
        evaluate(metric_of(ann_file, metric_items=['mAP_90']), samples_of(ann_file))


def test_tables_show_iou_size_and_class(ann_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    metric = metric_of(ann_file, classwise=True)
    monkeypatch.setattr(
        'lighthead.evaluation.coco_metric.MMLogger.get_current_instance',
        lambda: type('Log', (), dict(info=lines.append, warning=lines.append)),
    )
    found = metric.compute_metrics(processed(metric, samples_of(ann_file)))
    text = '\n'.join(lines)
    for shown in ('AP_s', 'medium', 'AR@100', 'AP per IoU  0.50: ', '0.95: ', '| ship '):
        assert shown in text
    assert f'bbox_mAP_copypaste: {found["bbox_mAP"]:.3f}' in text


def processed(metric: CocoDetMetric, samples: list[dict]) -> list:
    metric.process({}, samples)
    return metric.results
