"""List the models that can be named: AP, size, input, licence."""

import argparse
import json

EXAMPLES = """
  lighthead models
  lighthead models --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead models``."""
    parser.add_argument('--json', action='store_true', help='all that is known of each, as JSON')


def main(args: argparse.Namespace) -> None:
    """Print a table, or JSON."""
    from rich.console import Console
    from rich.table import Column, Table

    from lighthead.zoo.entries import entries

    models = list(entries().values())
    if args.json:
        print(json.dumps([model.model_dump() for model in models], indent=1))
        return
    name = Column('name', no_wrap=True)
    table = Table(name, 'finds', 'AP', 'AP50', 'on', 'input', 'MB', 'licence')
    for model in models:
        size = f'{model.path.stat().st_size / 1e6:.1f}' if model.path else 'download'
        figures = (f'{model.metrics.AP:.3f}', f'{model.metrics.AP50:.3f}', model.metrics.data)
        table.add_row(model.name, model.summary, *figures, model.input, size, model.licence)
    Console().print(table)
