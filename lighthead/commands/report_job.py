"""What ``lighthead report`` does: a page of the detections of a checkpoint or from a file."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lighthead.commands.model_card import model_card
from lighthead.commands.test_job import evaluate, prepare
from lighthead.data.find_splits import Split
from lighthead.data.parsed_once import parsed_once
from lighthead.engine.curves import read_curves
from lighthead.errors import UserError
from lighthead.evaluation.accuracy import validation_split
from lighthead.evaluation.analysis.compare import comparison_page
from lighthead.evaluation.analysis.evaluated import Evaluated, read_evaluated
from lighthead.evaluation.analysis.page import report_page
from lighthead.report.write import prepare_page, write_html

PREDICTIONS = 'predictions.json'
PAGE = 'report.html'


@dataclass
class Tested:
    """Detections, with the checkpoint that they are of where one was run."""

    evaluated: Evaluated
    work_dir: Path = Path()
    checkpoint: Path | None = None


@parsed_once()
def report(args: Namespace) -> Path:
    """Write the page, and return its path."""
    _check(args)
    if args.compare:
        first, second = (_tested(args, [name]) for name in args.compare)
        if first.evaluated.name == second.evaluated.name:  # best.pth of two work dirs
            for tested, name in zip((first, second), args.compare):
                tested.evaluated.name = name
        page = comparison_page(first.evaluated, second.evaluated, args.score_thr)
    else:
        first = _tested(args, args.detector or [args.predictions])
        card = model_card(args, first.evaluated, first.checkpoint) if first.checkpoint else {}
        curves = read_curves(first.checkpoint.parent) if first.checkpoint else ({}, {})
        page = report_page(first.evaluated, card, curves, args.score_thr)
    path = args.out or (Path() if args.compare else first.work_dir) / PAGE
    write_html(page, path)
    print(f'written: {path}')
    return path


def _check(args: Namespace) -> None:
    """Refuse what does not go together, before anything is read."""
    ways = [bool(args.detector), args.predictions is not None, args.compare is not None]
    if sum(ways) != 1 or len(args.detector) > 2:
        raise UserError(
            'Give one of: [CONFIG] CHECKPOINT, --predictions FILE, --compare A B; see '
            'lighthead report --help.'
        )
    if args.annotations and args.data_root:
        raise UserError('--annotations and --data-root both name the data: give one of them.')
    if args.out is not None:
        prepare_page(args.out)


def _tested(args: Namespace, detector: Sequence[str | Path]) -> Tested:
    """The detections of ``[CONFIG] CHECKPOINT``, or of a file of COCO results."""
    path = Path(detector[-1])
    if len(detector) == 1 and (path == args.predictions or path.suffix == '.json'):
        ann_file, img_dir = _data(args)
        return Tested(read_evaluated(path, ann_file, img_dir))
    if args.annotations:
        raise UserError('A checkpoint is tested on the data of --data-root or of its config.')
    config = str(detector[0]) if len(detector) == 2 else None
    flags = dict(config=config, checkpoint=str(path), out=None, show_dir=None, tta=False)
    own = Namespace(**vars(args) | flags, launcher='none', local_rank=None)
    run = prepare(own)
    run.print_data()
    evaluator, dataset = run.cfg.test_evaluator, run.cfg.test_dataloader.dataset
    evaluator.out = str(run.work_dir / PREDICTIONS)
    evaluate(run, args.trust_checkpoint)
    img_dir = args.images or Path(dataset.get('data_root') or '') / dataset.data_prefix.img
    classes = dataset.metainfo.classes
    evaluated = read_evaluated(
        Path(evaluator.out), Path(evaluator.ann_file), img_dir, classes, path.stem
    )
    return Tested(evaluated, run.work_dir, Path(own.checkpoint))


def _data(args: Namespace) -> tuple[Path, Path | None]:
    """Annotations and images that a file of COCO results belongs to."""
    if args.annotations:
        return args.annotations, args.images
    if not args.data_root:
        raise UserError('--predictions needs --annotations FILE, or --data-root DIR.')
    split: Split = validation_split(args.data_root)
    return split.ann_file, args.images or split.img_dir
