"""How kernels are compiled: Numba, cached, and the cache keyed on the source of all kernels together.

Numba looks only at the file of the compiled function, so a changed constant or inlined function in another file would
go unseen; here any change of a kernel file or of the op-codes opens a fresh cache folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt

Array = npt.NDArray[Any]
"""An array inside a kernel: its dtype is what the caller passes."""
Integer = Any
"""A number inside a kernel: int and np.int64 alike, once compiled."""
Number = Any
"""The same for float and np.float64."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_HERE = Path(__file__).resolve().parent
_KERNELS = ("*kernel*.py", "opcodes.py", "reasons.py", "compiled.py")


def source_digest() -> str:
    """Sixteen hex digits that change when any kernel source changes."""
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in (_HERE, _HERE.parent / "stream_app"):
        for path in sorted({path for pattern in _KERNELS for path in folder.glob(pattern)}):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    """A folder that only this user can write: cached code is loaded and run."""
    name = f"kernels-{source_digest()}"
    for root in (_HERE / "__pycache__", Path.home() / ".cache" / "driftline"):
        folder = root / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    return Path(tempfile.mkdtemp(prefix="driftline-kernels-"))


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]


def compiled(function: _Function) -> _Function:
    """Compile ``function`` on first call, without the interpreter lock, and keep the result on disk.

    It borrows its arrays and can create none: nothing is counted. With Numba's reference counts, an atomic operation
    for each array at each call inside, a feature row took six times as long.
    """
    return _jit(function, _nrt=False)


def inlined(function: _Function) -> _Function:
    """Like `compiled`, and put into its callers: passing arrays to it would cost more than its few lines of work."""
    return _jit(function, _nrt=False, forceinline=True)


def allocating(function: _Function) -> _Function:
    """Like `compiled` for a function that creates arrays: its own loops gain from knowing that those overlap nothing;
    as part of another's inner loop it would cost.
    """
    return _jit(function)


def _jit(function: _Function, **options: Any) -> _Function:
    return cast(_Function, numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function))
