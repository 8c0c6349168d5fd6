"""Imports point one way: the layers of the package, and no cycle between its files.

Imports inside functions count too, so that none can hide a cycle. Imports under
``if TYPE_CHECKING`` do not run and do not count.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'lighthead'
LAYERS = (
    ('errors', 'files'),
    ('schema', 'report', 'ncnn_format'),
    ('download',),
    ('compat', 'ops'),
    ('weights',),
    ('models',),
    ('data',),
    ('checkpoint',),
    ('deploy', 'zoo'),
    ('inference',),
    ('serving',),
    ('evaluation',),
    ('engine',),
    ('config',),
    ('speed',),
    ('gpu_report',),
    ('commands',),
    ('cli',),
    ('__main__',),
)
"""Lowest first. A file may import from its own folder, and from folders of lower layers."""
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def module_name(path: Path) -> str:
    """``lighthead/ops/nms.py`` as ``lighthead.ops.nms``; a package as its folder."""
    parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob('*.py'))}


def running_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements below ``node`` that can run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.unparse(child.test):
            continue
        else:
            yield from running_imports(child)


def imported_modules(path: Path) -> set[str]:
    """Modules of the package that a file imports, from packages the submodules by name."""
    imported = set()
    for statement in running_imports(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            assert statement.level == 0, f'{path}: relative import'
            module = statement.module
            names = [f'{module}.{alias.name}' for alias in statement.names]
            names = [name if name in MODULES else module for name in names]
        imported |= {name for name in names if name in MODULES}
    return imported


IMPORTS = {name: imported_modules(path) - {name} for name, path in MODULES.items()}


def folder(module: str) -> str:
    """The layer's name: the part after ``lighthead``."""
    return module.split('.')[1] if '.' in module else ''


def test_the_package_has_files_and_imports():
    assert len(MODULES) > 100
    assert 'lighthead.errors' in IMPORTS['lighthead.checkpoint.checkpoint_files']


@pytest.mark.parametrize('module', sorted(name for name in MODULES if folder(name)))
def test_imports_point_to_lower_layers(module):
    rank = RANK[folder(module)]
    upward = {
        name
        for name in IMPORTS[module]
        if folder(name) and folder(name) != folder(module) and RANK[folder(name)] >= rank
    }
    assert not upward


def test_no_cycle_between_files():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(' -> '.join(reversed(error.args[1])))
