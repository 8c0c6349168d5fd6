"""What ``lighthead train`` does: read, check and build a config, then train."""

import os
from argparse import Namespace
from pathlib import Path

from lighthead.config.build import build, naming_mistakes
from lighthead.config.check import check_training
from lighthead.config.flags import changes_of
from lighthead.config.read import parse_cfg_options, read
from lighthead.data.parsed_once import parsed_once
from lighthead.engine.distributed import leaving_together


@parsed_once()
def train(args: Namespace) -> Path:
    """Train a detector and return its work dir."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    config = read(args.config, changes_of(args), parse_cfg_options(args.cfg_options))
    run = check_training(config, args.work_dir, args.resume, args.launcher)
    run.print_data()
    with naming_mistakes(run.cfg), leaving_together():
        build(run).train()
    return run.work_dir
