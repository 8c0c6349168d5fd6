"""The models that can be named: what each is, where its weights are, how well it does.

``models.json`` holds one entry per model; a model trained by others fits in by one more.
"""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lighthead.errors import UserError
from lighthead.schema import Closed

PACKAGE = 'lighthead.zoo'
Sha256 = Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]


class Metrics(Closed):
    """COCO figures on a named data set.

    Attributes:
        data: Which images and classes.
        AP, AP50, AP75, AP_small, AP_medium, AP_large: In 0..1.
    """

    data: str
    AP: float
    AP50: float
    AP75: float
    AP_small: float
    AP_medium: float
    AP_large: float


class ModelEntry(Closed):
    """A model of the zoo.

    Attributes:
        name: What ``Detector(name)`` takes.
        summary: What it finds, in a line.
        file: Its file in the package, or None where it has a ``url``.
        url: Where its file is downloaded from.
        sha256: Of the file.
        config: The config that it was trained with.
        input: Size of the images in the network.
        classes: How many.
        metrics: How well it does.
        train: The command that trains it.
        data: What it was trained on, with its terms.
        weights: Where it started from, with its terms.
        licence: Of the weights.
        card: Its documentation.
    """

    name: Annotated[str, Field(pattern=r'^[a-z0-9][a-z0-9._-]*$')]
    summary: str
    file: Annotated[str, Field(pattern=r'^[a-z0-9][a-z0-9._-]*\.safetensors$')] | None = None
    url: Annotated[str, Field(pattern=r'^https?://')] | None = None
    sha256: Sha256
    config: str
    input: str
    classes: int
    metrics: Metrics
    train: str
    data: str
    weights: str
    licence: str
    card: str

    @property
    def path(self) -> Path | None:
        """Its file in the package."""
        return Path(str(files(PACKAGE) / self.file)) if self.file else None


class Zoo(Closed):
    """The file ``models.json``."""

    models: list[ModelEntry]


@cache
def entries() -> dict[str, ModelEntry]:
    """All models by name."""
    text = (files(PACKAGE) / 'models.json').read_text('utf-8')
    zoo = Zoo.parse(json.loads(text), 'models.json')
    return {entry.name: entry for entry in zoo.models}


def find(name: str) -> ModelEntry:
    """The entry of a name.

    Raises:
        UserError: there is none; the message lists those that there are.
    """
    entry = entries().get(name)
    if entry is None:
        raise UserError(
            f'{name}: no such file, and no model of that name; the models are '
            f'{", ".join(entries()) or "none"} (`lighthead models` lists them).'
        )
    return entry
