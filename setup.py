"""What pyproject.toml cannot say: ``configs/`` of the checkout is installed in the package."""

from setuptools import find_namespace_packages, find_packages, setup

CONFIGS = ['configs', *(f'configs.{name}' for name in find_namespace_packages('configs'))]

setup(
    packages=[*find_packages(include=['lighthead*']), *(f'lighthead.{name}' for name in CONFIGS)],
    package_dir={'lighthead.configs': 'configs'},
)
