"""Figures of a report: pycocotools', and thresholds, matrix and outcomes against naive counts."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lighthead.errors import UserError
from lighthead.evaluation.analysis.evaluated import Evaluated, read_evaluated
from lighthead.evaluation.analysis.matches import ClassMatches, calibration, class_matches, together
from lighthead.evaluation.analysis.outcomes import (
    confusion_matrix,
    image_outcomes,
    worst_and_best,
)
from lighthead.evaluation.analysis.sections import coco_figures

from .scenes import IDS, scene


@pytest.fixture
def evaluated(tmp_path) -> Evaluated:
    ann_file, found = scene(tmp_path)
    return read_evaluated(found, ann_file)


def pycocotools_evaluation(ann_file, found) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(ann_file)
        evaluation = COCOeval(truth, truth.loadRes(str(found)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_figures_are_pycocotools(tmp_path):
    ann_file, found = scene(tmp_path)
    expected = pycocotools_evaluation(ann_file, found)
    run = read_evaluated(found, ann_file)
    assert list(coco_figures(run).values()) == pytest.approx(expected.stats, abs=1e-12)
    own = run.evaluation.eval['precision'][..., :4, :]
    np.testing.assert_array_equal(own, expected.eval['precision'])


def test_the_best_threshold_is_the_best_of_all(evaluated):
    for matches in class_matches(evaluated.evaluation):
        best, values = matches.best(), []
        for threshold in sorted(set(matches.scores), reverse=True):
            kept = matches.scores >= threshold
            right = matches.correct[kept].sum()
            values.append(2 * right / (kept.sum() + matches.objects))
        if matches.objects:
            assert best.f1 == pytest.approx(max(values))
            kept = matches.scores >= best.threshold
            assert best.precision == pytest.approx(matches.correct[kept].mean())
            assert best.recall == pytest.approx(matches.correct[kept].sum() / matches.objects)
        else:
            assert best.threshold is None


def test_matches_give_pycocotools_recall(evaluated):
    recall = evaluated.evaluation.eval['recall'][0, :, 0, -1]
    for matches, expected in zip(class_matches(evaluated.evaluation), recall, strict=True):
        if matches.objects:
            assert matches.correct.sum() / matches.objects == pytest.approx(expected)


def test_calibration_of_known_scores():
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.12, 0.12])
    matches = ClassMatches(scores, np.array([1, 1, 1, 0, 0, 1], bool), 9)
    rows, error = calibration(matches)
    assert rows == [(pytest.approx(0.12), 0.5, 2), (pytest.approx(0.95), 0.75, 4)]
    assert error == pytest.approx((0.38 * 2 + 0.2 * 4) / 6)


@pytest.mark.parametrize('threshold', [0.0, 0.5, 1.1])
def test_the_matrix_counts_every_object_and_detection_once(evaluated, threshold):
    outcomes = image_outcomes(evaluated, threshold)
    matrix = confusion_matrix(evaluated, outcomes)
    annotations = evaluated.coco.anns.values()
    for place, category_id in enumerate(IDS):
        objects = [a for a in annotations if a['category_id'] == category_id and not a['iscrowd']]
        found = [
            d
            for d in evaluated.detections
            if d['category_id'] == category_id and d['score'] >= threshold
        ]
        assert matrix[place].sum() == len(objects)
        assert matrix[:, place].sum() <= len(found), 'those inside a crowd are left out'
    assert matrix[-1, -1] == 0
    assert matrix.sum() > matrix[:-1, -1].sum() or threshold > 1


def test_a_pair_of_one_class_goes_before_a_closer_one_of_two(tmp_path):
    ann_file, found = scene(tmp_path, images=1)
    content = json.loads(ann_file.read_text())
    target = dict(id=1, image_id=0, category_id=4, bbox=[0, 0, 10, 10], area=100, iscrowd=0)
    ann_file.write_text(json.dumps(content | dict(annotations=[target])))
    exact = dict(image_id=0, category_id=9, bbox=[0, 0, 10, 10], score=0.9)
    near = dict(image_id=0, category_id=4, bbox=[0, 0, 10, 8], score=0.5)
    found.write_text(json.dumps([exact, near]))
    run = read_evaluated(found, ann_file)
    matrix = confusion_matrix(run, image_outcomes(run, 0.3))
    assert matrix[0, 0] == 1
    assert matrix[-1, 1] == 1
    assert confusion_matrix(run, image_outcomes(run, 0.6))[0, 1] == 1


def test_worst_images_have_errors_and_best_have_none_worse(evaluated):
    outcomes = image_outcomes(
        evaluated, together(class_matches(evaluated.evaluation)).best().threshold
    )
    worst, best = worst_and_best(outcomes, 3)
    rest = [o for o in outcomes if o.errors and o not in worst]
    assert max(o.f1 for o in worst) <= min(o.f1 for o in rest)
    assert min(o.f1 for o in best) >= max(o.f1 for o in worst)
    assert not any(o in best for o in worst)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'not valid JSON'),
        ('{}', 'no list of COCO results'),
        ('[' * 100_000, 'not valid JSON'),
        ('[{"image_id": 0, "category_id": 4, "bbox": [1, 2, 3], "score": 1}]', 'entry 0'),
        ('[{"image_id": 0, "category_id": 4, "bbox": [1, 2, 3, NaN], "score": 1}]', 'entry 0'),
        ('[{"image_id": 0, "category_id": 4, "bbox": [1, 2, -3, 4], "score": 1}]', 'entry 0'),
        ('[{"image_id": [], "category_id": 4, "bbox": [1, 2, 3, 4], "score": 1}]', 'entry 0'),
        ('[{"image_id": 999, "category_id": 4, "bbox": [1, 2, 3, 4], "score": 1}]', 'image_ids'),
        ('[{"image_id": 0, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 1}]', 'category_ids'),
        (None, 'cannot be read'),
    ],
)
def test_what_is_no_predictions_file_is_refused(tmp_path, content, message):
    ann_file, found = scene(tmp_path)
    if content is None:
        found.unlink()
    else:
        found.write_text(content)
    with pytest.raises(UserError, match=message):
        read_evaluated(found, ann_file)


def test_classes_that_the_detector_lacks_do_not_count(tmp_path):
    ann_file, found = scene(tmp_path)
    run = read_evaluated(found, ann_file, classes=['bird', 'unknown'])
    assert run.classes == ['bird']
    assert run.evaluation.eval['precision'].shape[2] == 1
    with pytest.raises(UserError, match='no class'):
        read_evaluated(found, ann_file, classes=['unknown'])
