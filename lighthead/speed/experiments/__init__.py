"""The experiments: each says what to measure and how its report is laid out.

An experiment is a module with ``measure(bench, args) -> Record`` and ``layout(record) -> Page``,
charts, tables and notes of a record, just measured or read from its file.
"""

from argparse import Namespace
from types import ModuleType

from lighthead.speed.experiments import (
    blocks,
    classification,
    compare,
    detection,
    guidelines,
    resolutions,
    runtime_shares,
)
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import Conditions, checked
from lighthead.speed.harness.record import Record

EXPERIMENTS: dict[str, ModuleType] = {
    'detector': detection,
    'breakdown': runtime_shares,
    'guidelines': guidelines,
    'table8': classification,
    'resolutions': resolutions,
    'blocks': blocks,
    'compare': compare,
}
"""By their names on the command line and in results.json."""


def conditions_of(args: Namespace) -> Conditions:
    """The conditions that the command line asks for; UserError where they cannot be met."""
    names = [name for name in Conditions.__dataclass_fields__ if hasattr(args, name)]
    return checked(Conditions(**{name: getattr(args, name) for name in names}))


def run_experiment(args: Namespace, experiment: ModuleType) -> Record:
    """Measure, or compare two records."""
    if experiment is compare:
        return compare.compare(*args.results)
    bench = Bench(conditions_of(args))
    return bench.finish(experiment.measure(bench, args))
