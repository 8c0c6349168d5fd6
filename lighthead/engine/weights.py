"""Weights of a checkpoint into the runner's model, with an error message where they do not fit."""

from collections.abc import Sequence
from typing import Any

from mmengine.runner import Runner
from torch import Tensor

from lighthead.engine.training_state import dataset_meta
from lighthead.errors import UserError
from lighthead.weights.compare import compare_weights, shapes_of

CLASS_SCORES = ('roi_head.bbox_head.fc_cls.weight', 'roi_head.bbox_head.fc_cls.bias')
"""Weights with a row for each class."""


def load_weights(runner: Runner, checkpoint: dict, path: Any, exact: bool) -> None:
    """Load ``checkpoint['state_dict']`` into ``runner.bare_model``; hooks take their part.

    Args:
        path: Where the checkpoint came from, for messages.
        exact: Whether every weight must fit, or what does not fit keeps its
            initialisation, with a warning.

    Raises:
        UserError: if a weight is missing or of another shape and ``exact``
            holds, or if less than half of the weights fit.
    """
    model = runner.bare_model
    if not exact:
        _match_class_scores(runner, checkpoint)
    weights, shapes = checkpoint['state_dict'], shapes_of(model)
    compared = compare_weights(shapes, weights)
    problems = [
        f'{name} is {tuple(weights[name].shape)} there and {shapes[name]} in the model'
        for name in compared.differing
    ]
    if exact and (problems or compared.missing):
        raise UserError(_does_not_fit(checkpoint, path, problems, compared.missing))
    if len(problems) + len(compared.missing) > 0.5 * len(shapes):
        raise UserError(f'{path} fits less than half of the model: wrong config or file.')
    for problem in problems:
        runner.logger.warning(f'Not loaded from {path}: {problem}')
    if compared.missing:
        runner.logger.warning(f'Not in {path}: {", ".join(compared.missing)}')
    checkpoint['state_dict'] = {k: v for k, v in weights.items() if k not in compared.differing}
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)  # EMA swaps weights here
    model.load_state_dict(checkpoint['state_dict'], strict=False)


def _match_class_scores(runner: Runner, checkpoint: dict) -> None:
    """Put the rows of the class scores in the order of the data's classes, in place."""
    own, weights = runner.bare_model.state_dict(), checkpoint['state_dict']
    names = [name for name in CLASS_SCORES if name in own and name in weights]
    trained = (checkpoint['meta'].get('dataset_meta') or {}).get('classes') or ()
    now = dataset_meta(runner.train_dataloader.dataset)['classes'] if names else ()
    if not names or not trained or list(trained) == list(now):
        return
    for name in names:
        weights[name] = rows_by_class(weights[name], own[name], trained, now)
    known = [name for name in now if name in trained]
    runner.logger.info(
        f'Class scores taken from the checkpoint: {", ".join(known) or "none"}; '
        f'{len(now) - len(known)} classes start anew.'
    )


def rows_by_class(given: Tensor, own: Tensor, trained: Sequence[str], now: Sequence[str]) -> Tensor:
    """The rows of a layer of class scores for other classes: known ones given, new ones own.

    Args:
        given: Of the classes ``trained``; one more row is that of the background.
        own: Likewise of the classes ``now``.

    Returns:
        Rows for ``now``; ``given`` as it is where its rows are not one per class.
    """
    background = len(own) - len(now)
    if background not in (0, 1) or len(given) - len(trained) != background:
        return given
    if given.shape[1:] != own.shape[1:]:
        return given
    rows = own.clone()
    for index, name in enumerate(now):
        if name in trained:
            rows[index] = given[list(trained).index(name)]
    if background:
        rows[-1] = given[-1]
    return rows


def check_resumed_classes(checkpoint: dict, path: Any, dataset: Any) -> None:
    """Refuse to resume with classes other than the checkpoint's."""
    trained_on = checkpoint['meta'].get('dataset_meta') or {}
    check_same_classes(path, trained_on.get('classes') or (), dataset_meta(dataset)['classes'])


def check_same_classes(path: Any, trained: Sequence[str], now: Sequence[str]) -> None:
    """Refuse to resume with other classes than a checkpoint's.

    Raises:
        UserError: naming both, if number, names or order differ.
    """
    trained, now = list(trained), list(now)
    if trained == now or not trained or not now:
        return
    if len(trained) != len(now):
        difference = f'{len(trained)} classes ({_few(trained)}) and the data has {len(now)}'
    else:
        first = next(i for i, pair in enumerate(zip(trained, now)) if pair[0] != pair[1])
        difference = f'class {first} is {trained[first]!r} and in the data it is {now[first]!r}'
        difference = f'other classes: its {difference}'
    raise UserError(
        f'{path} was trained on {difference} ({_few(now)}): resume with the same data, or start '
        'a new training that begins with its weights (load_from).'
    )


def _does_not_fit(
    checkpoint: dict, path: Any, differing: Sequence[str], missing: Sequence[str]
) -> str:
    first = next(iter(differing), None) or f'{missing[0]} is missing there'
    classes = (checkpoint['meta'].get('dataset_meta') or {}).get('classes') or ()
    return (
        f'{path} does not fit the model of the config: {first} ({len(differing)} differ in shape, '
        f'{len(missing)} are missing; the checkpoint has {len(classes)} classes): use the config '
        'that it was trained with.'
    )


def _few(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
