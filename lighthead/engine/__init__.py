"""Training: runner, loop, checkpoints, hooks. Importing this package registers them."""

from lighthead.engine import (  # noqa: F401  (they register)
    amp,
    checkpoint_hook,
    early_stopping,
    ema,
    loop,
    non_finite,
    norm_statistics,
    optimizer_steps,
    report_hook,
    runner,
    teacher,
)
