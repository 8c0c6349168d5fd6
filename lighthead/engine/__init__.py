"""Training: runner, loop, checkpoints, hooks. Importing this package registers them."""

from lighthead.engine import (  # noqa: F401  (they register)
    amp,
    ema,
    hooks,
    loop,
    optimizer_steps,
    runner,
    teacher,
)
