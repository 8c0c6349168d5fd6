"""The command line in this process, where a process of its own would cost seconds."""

from argparse import Namespace

from lighthead.cli import build_parser


def parse(command: str, *positional: object, **flags: object) -> Namespace:
    """The arguments that the real parser makes of a command line.

    Args:
        flags: ``pred_score_thr=0.1`` for ``--pred-score-thr 0.1``; True for a
            flag without a value; None leaves it out.
    """
    words = [command, *map(str, positional)]
    for name, value in flags.items():
        flag = f'--{name.replace("_", "-")}'
        if value is True:
            words.append(flag)
        elif value is not None:
            words += [flag, str(value)]
    return build_parser().parse_args(words)
