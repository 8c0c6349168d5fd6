"""Name the library that is missing or does not fit, before one fails with an error of its own.

When mmdet is imported, :mod:`lighthead.compat.import_hook` has the libraries
checked; the command line checks them where an import has failed. They are
imported in the order in which they need each other, so the first one that does
not fit is the one named.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType, TracebackType

from lighthead.errors import EXIT_USER, InstallError

TORCH = (2, 6)
MMCV = ((2, 0), (2, 2))
"""mmdet 3.3 takes mmcv from 2.0.0rc4 on, below 2.2."""
MMDET = ((3, 3), (3, 4))
SETUPTOOLS = 'setuptools 82 dropped pkg_resources, which mmengine needs'
OPENCV_LIBRARIES = 'apt-get install -y libgl1 libglib2.0-0 libxcb1'


def check_install() -> None:
    """Check everything.

    Raises:
        InstallError: names the library at fault and the way out.
    """
    check_libraries()
    check_mmdet()


def check_libraries() -> None:
    """Check what mmdet needs, before it is imported; see :func:`check_install`."""
    check_torch()
    check_opencv()
    check_mmcv()


def check_torch() -> None:
    """torch is new enough, and torchvision's operators load with it."""
    torch = load('torch', "pip install 'torch>=2.6' 'torchvision>=0.21'")
    if release(torch) < TORCH:
        raise InstallError(
            f'lighthead needs torch >= 2.6, found {torch.__version__}: '
            "pip install --upgrade 'torch>=2.6' torchvision, both in one command."
        )
    partner = f'{torch.__version__.split("+")[0]} goes with torchvision {torchvision_for(torch)}'
    way_out = (
        f'torch {partner} of the same build (CPU or CUDA); install both in one command, '
        'from one index.'
    )
    if is_missing('torchvision'):
        raise InstallError(f'torchvision is not installed: torch {partner}.')
    try:
        torchvision = importlib.import_module('torchvision')
        torch.ops.torchvision.nms  # noqa: B018  (absent where its library did not load)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise InstallError(
            f'torchvision does not match torch ({first_line(error)}): {way_out}'
        ) from error
    if not hasattr(torchvision, 'ops'):
        raise InstallError(f'torchvision is incomplete: {way_out}')


def check_opencv() -> None:
    """OpenCV loads; a bare container lacks system libraries of it."""
    if is_missing('cv2'):
        raise InstallError('OpenCV is not installed: pip install opencv-python.')
    try:
        importlib.import_module('cv2')
    except (ImportError, OSError) as error:
        raise InstallError(
            f'OpenCV cannot be loaded ({first_line(error)}): install the system libraries that '
            f'it needs, on Debian and Ubuntu with `{OPENCV_LIBRARIES}`.'
        ) from error


def check_mmcv() -> None:
    """mmengine and mmcv are there, fit mmdet, and a compiled mmcv fits torch."""
    if is_missing('pkg_resources'):
        raise InstallError(f"{SETUPTOOLS}: pip install 'setuptools<82'.")
    load('mmengine', "pip install 'mmengine>=0.10.7,<0.11'")
    mmcv = load('mmcv', "pip install 'mmcv-lite>=2.0,<2.2', or a compiled mmcv of that range")
    if not MMCV[0] <= release(mmcv) < MMCV[1]:
        raise InstallError(
            f'mmdet 3.3 needs mmcv >= 2.0 and < 2.2, found {mmcv.__version__}: '
            'install mmcv-lite 2.1.0 or a compiled mmcv 2.1.0 in its place.'
        )
    if is_missing('mmcv._ext'):
        return
    try:
        importlib.import_module('mmcv._ext')
    except (ImportError, OSError) as error:
        raise InstallError(
            f'the compiled mmcv does not load with this torch ({first_line(error)}): rebuild it, '
            'or replace it by mmcv-lite (pip uninstall mmcv, pip install mmcv-lite==2.1.0).'
        ) from error


def check_mmdet() -> None:
    """mmdet is there, in the one series that lighthead is written for."""
    mmdet = load('mmdet', "pip install 'mmdet>=3.3,<3.4'")
    if not MMDET[0] <= release(mmdet) < MMDET[1]:
        raise InstallError(
            f"lighthead needs mmdet 3.3, found {mmdet.__version__}: pip install 'mmdet>=3.3,<3.4'."
        )


def is_missing(name: str) -> bool:
    """Whether a module is neither imported nor to be found."""
    return sys.modules.get(name) is None and importlib.util.find_spec(name) is None


def load(name: str, way_out: str) -> ModuleType:
    """Import a module; the error of one that is missing or broken ends with ``way_out``."""
    if is_missing(name):
        raise InstallError(f'{name} is not installed: {way_out}.')
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise InstallError(
            f'{name} cannot be imported ({first_line(error)}): {way_out}.'
        ) from error


def release(module: ModuleType) -> tuple[int, int]:
    """Major and minor version of a module."""
    major, minor = module.__version__.split('.')[:2]
    return int(major), int(minor)


def torchvision_for(torch: ModuleType) -> str:
    """The series of torchvision that belongs to a torch 2.x: 2.6 has 0.21, 2.11 has 0.26."""
    major, minor = release(torch)
    return f'0.{minor + 15}' if major == 2 else 'of the same release'


def first_line(error: BaseException) -> str:
    """The first line of an error message."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip('.') if lines else type(error).__name__


@contextlib.contextmanager
def report_without_traceback() -> Iterator[None]:
    """An InstallError that leaves the block prints its message alone, if nothing catches it.

    Python then exits with 2. Notebooks and test runners show errors in their
    own way and are unaffected; at an interactive prompt the prompt stays.
    """
    try:
        yield
    except InstallError:
        hide_traceback()
        raise


def hide_traceback() -> None:
    """Make Python's excepthook print the message of an InstallError without its traceback."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, InstallError):
            earlier(kind, error, trace)
            return
        print(f'error: {error}', file=sys.stderr)
        if not (sys.flags.interactive or hasattr(sys, 'ps1')):
            sys.exit(EXIT_USER)

    sys.excepthook = hook
