"""What `import dragoman` gives."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import dragoman


@pytest.mark.parametrize("name", dragoman.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """And documented, by its own docstring or its module's."""
    assert getattr(dragoman, name).__doc__
    assert name in dir(dragoman)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'dragoman' has no attribute 'conect'"):
        dragoman.conect  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_next_to_nothing() -> None:
    """What is not used costs no time."""
    code = "import sys, dragoman; print([name for name in sys.modules if name.startswith('dragoman')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) == {"dragoman", "dragoman.version"}
