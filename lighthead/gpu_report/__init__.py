"""``lighthead speed gpu``: all that a GPU should be measured for, with one command.

An experiment like those of :mod:`lighthead.speed.experiments`; its module is ``run``.
"""
