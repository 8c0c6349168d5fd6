"""The paper's tables as data (arXiv 1807.11164): numbers only, no behaviour."""
