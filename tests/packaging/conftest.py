"""A clean clone, the wheel that it makes, and an environment with that wheel in it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    # Not pytest's own: the embedded PostgreSQL's user must be able to enter.
    with TemporaryDirectory(prefix="bulkql-packaging-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def clone(directory: Path) -> Path:
    """HEAD, without anything that was ever built."""
    target = directory / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


@pytest.fixture(scope="session")
def wheel(directory: Path, clone: Path) -> Path:
    subprocess.run([sys.executable, *BUILD, str(directory / "wheels"), str(clone)], check=True)
    (wheel,) = (directory / "wheels").iterdir()
    return wheel


@pytest.fixture(scope="session")
def installed(directory: Path, wheel: Path) -> Path:
    """The bin/ of an environment that has the wheel and PyPI's `schema`; the dependencies are those of the tests."""
    target = directory / "venv"
    venv.create(target, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(target / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(Path(__file__).with_name("requirements.txt"))], check=True)
    subprocess.run([*pip, str(wheel)], check=True)
    # Last, so that pip does not take the editable install for one of its own. Of that install nothing is seen here:
    # it works through a .pth file, and those of a folder named in a .pth file are not read.
    (packages,) = (target / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return target / "bin"
