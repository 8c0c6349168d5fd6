"""The costs of errors equal tidecv's, on boxes with every kind of error and equal scores."""

import json
from pathlib import Path

import pytest

from lighthead.evaluation.analysis.evaluated import read_evaluated
from lighthead.evaluation.analysis.tide import KINDS, error_costs

from .scenes import SEEDS, scene

TIDECV = json.loads(Path(__file__).with_name('tidecv_figures.json').read_text())
"""Written by tidecv_figures.py with tidecv 1.0.1."""


@pytest.mark.parametrize('seed', SEEDS)
def test_costs_and_counts_are_tidecvs(tmp_path, seed):
    ann_file, found = scene(tmp_path, seed)
    costs, expected = error_costs(read_evaluated(found, ann_file)), TIDECV[str(seed)]
    assert costs.ap == pytest.approx(expected['ap'], abs=1e-9)
    assert costs.costs == pytest.approx(expected['costs'], abs=1e-9)
    assert costs.counts == expected['counts']


def test_the_scenes_have_errors_of_every_kind_that_cost_something():
    for kind in KINDS:
        assert max(figures['costs'][kind] for figures in TIDECV.values()) > 0
        assert all(figures['counts'][kind] for figures in TIDECV.values())


def test_nothing_found_and_nothing_there(tmp_path):
    ann_file, found = scene(tmp_path)
    found.write_text('[]')
    costs = error_costs(read_evaluated(found, ann_file))
    assert costs.ap == 0
    assert costs.costs['miss'] == 0, 'without objects and detections no class is left'
    assert costs.counts['miss'] > 0
    content = json.loads(ann_file.read_text())
    ann_file.write_text(json.dumps(content | dict(annotations=[])))
    assert error_costs(read_evaluated(found, ann_file)).counts['miss'] == 0
