"""What is wrong with a data set, and what is in it: ``lighthead data check``."""

from lighthead.data.health.check import HealthReport, check_dataset

__all__ = ['HealthReport', 'check_dataset']
