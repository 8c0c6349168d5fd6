"""The engine room: runner, training loop, checkpoints, hooks. Importing it registers them."""

from lighthead.engine import amp, hooks, loop, optimizer_steps, runner  # noqa: F401  (they register)
