"""How fast is it really, here: the speed experiments of the ShuffleNet V2 paper.

Paper: arXiv 1807.11164, Tables 1-4 (guidelines), 7 (detection), 8 (classification), Figure 2
(runtime shares) and the appendix. ``lighthead speed`` runs them on the user's own machine, next
to the paper's figures. One path: ``experiments/`` measure with ``harness/`` and lay out a
page, :mod:`lighthead.report` shows it.
"""
