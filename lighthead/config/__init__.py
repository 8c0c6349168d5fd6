"""From the name of a config to a runner: read -> check -> build.

:func:`lighthead.config.read.read` merges the config file, the flags and
``--cfg-options``. ``lighthead.config.check`` reports what the user may have got
wrong before any long work, and fills in what follows from the weights, the
checkpoint and the data. :func:`lighthead.config.build.build` makes the runner. Each
step takes the value of the one before and leaves it as it is.
"""
