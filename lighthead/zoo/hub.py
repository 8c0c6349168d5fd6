"""Models in repositories of the Hugging Face Hub: ``hf://owner/repository[@revision]``.

Needs ``huggingface_hub`` (``pip install lighthead[hub]``), which also reads ``HF_ENDPOINT``,
``HF_TOKEN``, ``HF_HOME`` and ``HF_HUB_OFFLINE``.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.safetensors_files import save_safetensors
from lighthead.errors import UserError

HUB = 'hf://'
FILE = 'model.safetensors'
"""Name of the detector's file in a repository."""
CARD = """---
library_name: lighthead
pipeline_tag: object-detection
---
Detector for [lighthead](https://pypi.org/project/lighthead/): `Detector('hf://{repository}')`.
"""


def from_hub(name: str) -> Path:
    """The local file of ``hf://owner/repository[@revision]``, downloaded once.

    Raises:
        UserError: huggingface_hub is missing, or the file cannot be had.
    """
    hub = _library()
    repository, _, revision = name.removeprefix(HUB).partition('@')
    try:
        return Path(hub.hf_hub_download(repository, FILE, revision=revision or None))
    except Exception as error:  # of many kinds: names, network, rights, offline mode
        raise UserError(
            f'{name}: {FILE} could not be taken from there ({_first_line(error)}).'
        ) from error


def push_to_hub(
    checkpoint: str | Path, repository: str, private: bool = False, token: str | None = None
) -> str:
    """Upload a detector's weights in half precision, with its meta data and a short card.

    Args:
        checkpoint: A checkpoint of lighthead.
        repository: ``owner/name``; made if it does not exist.
        private: Whether a new repository is private.
        token: Of an account that may write there; None takes the one that is logged in.

    Returns:
        The name that :class:`lighthead.Detector` takes.

    Raises:
        UserError: the checkpoint cannot be read, or the upload failed.
    """
    hub = _library()
    content = load_checkpoint_file(checkpoint)
    api = hub.HfApi(token=token)
    with TemporaryDirectory() as folder:
        save_safetensors(content, Path(folder) / FILE)
        (Path(folder) / 'README.md').write_text(CARD.format(repository=repository))
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder)
        except Exception as error:
            raise UserError(f'{repository}: the upload failed ({_first_line(error)}).') from error
    return HUB + repository


def _library() -> ModuleType:
    try:
        import huggingface_hub  # an optional extra
    except ImportError:
        raise UserError(
            'Models of the Hugging Face Hub need huggingface_hub: pip install "lighthead[hub]".'
        ) from None
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
