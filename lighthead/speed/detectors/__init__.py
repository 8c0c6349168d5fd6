"""Detectors to be timed: lighthead's, mmdet's and torchvision's."""
