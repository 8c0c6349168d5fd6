"""The sub-commands of ``lighthead``, a module each; see :mod:`lighthead.cli`."""
