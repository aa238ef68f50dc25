"""The shared library: where it is, its functions, its failures as exceptions. ``krylens.h`` documents the functions."""

from __future__ import annotations

import ctypes
import functools
import json
import os
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Type

import numpy as np

from ._errors import BusyError, ClosedError, Error, FailedError, ForkedError, InvalidArgument, LibraryError, StoppedError

#: ``int (*)(void *context, const char *phase, int64_t done, int64_t total, double seconds_left)``
PROGRESS = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_int64, c_int64, c_double)

_ERRORS: Dict[int, Type[Error]] = {
    1: InvalidArgument, 2: ClosedError, 3: BusyError, 4: ForkedError, 5: StoppedError, 6: FailedError}

_JSON, _HANDLE = POINTER(c_void_p), c_void_p
# Arrays are passed by their address, numpy's `array.ctypes.data`.
_ARRAY = [c_void_p, c_size_t]
_PRODUCT = [_HANDLE, c_int64, *_ARRAY, *_ARRAY]

#: Every function that returns a status, with the types of its arguments.
_FUNCTIONS: Dict[str, List[Any]] = {
    "open": [c_char_p, c_char_p, POINTER(_HANDLE)],
    "model_close": [_HANDLE],
    "model_info": [_HANDLE, _JSON],
    "tokenize": [_HANDLE, c_char_p, POINTER(POINTER(c_int64)), POINTER(c_size_t)],
    "token_text": [_HANDLE, c_int64, _JSON],
    "jacobian_open": [_HANDLE, c_char_p, POINTER(_HANDLE)],
    "jacobian_close": [_HANDLE],
    "jacobian_info": [_HANDLE, _JSON],
    "jacobian_shape": [_HANDLE, POINTER(c_int64), POINTER(c_int64)],
    "jvp_f32": _PRODUCT, "vjp_f32": _PRODUCT, "jvp_f64": _PRODUCT, "vjp_f64": _PRODUCT,
    "solve": [_HANDLE, c_char_p, PROGRESS, c_void_p, POINTER(_HANDLE)],
    "triplets_close": [_HANDLE],
    "triplets_info": [_HANDLE, _JSON],
    "triplets_shape": [_HANDLE, POINTER(c_int64), POINTER(c_int64), POINTER(c_int64)],
    "triplets_copy": [_HANDLE, *_ARRAY, *_ARRAY, *_ARRAY, *_ARRAY],
    "align": [c_char_p, PROGRESS, c_void_p, _JSON],
}


class Library:
    """The functions of ``libkrylens.so.1``. :meth:`call` turns a failure into an exception.

    ctypes releases the interpreter's lock while a function runs, so other threads go on meanwhile.
    """

    def __init__(self, path: Path) -> None:
        try:
            # RTLD_LOCAL, the default: its symbols, OpenBLAS's among them, stay apart from those of numpy or torch.
            self._library = ctypes.CDLL(str(path))
            for name, arguments in _FUNCTIONS.items():
                function = getattr(self._library, f"krylens_{name}")
                function.argtypes, function.restype = arguments, c_int
            for name, arguments, result in (
                ("version", [], c_char_p), ("last_error", [], c_char_p), ("free", [c_void_p], None)):
                function = getattr(self._library, f"krylens_{name}")
                function.argtypes, function.restype = arguments, result
        except (OSError, AttributeError) as error:
            raise LibraryError(f"{path}: not a library of Krylens that can be used here: {error}") from error

    @property
    def version(self) -> str:
        version: bytes = self._library.krylens_version()
        return version.decode()

    def status(self, name: str, *arguments: Any) -> int:
        """Calls a function and returns its status."""
        status: int = getattr(self._library, f"krylens_{name}")(*arguments)
        return status

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function. Raises the exception of its status, with the library's message."""
        status = self.status(name, *arguments)
        if status:
            message: bytes = self._library.krylens_last_error()
            raise _ERRORS.get(status, FailedError)(message.decode("utf-8", "replace"))

    def text(self, name: str, *arguments: Any) -> str:
        """The text that a function puts in its last argument."""
        pointer = c_void_p()
        self.call(name, *arguments, byref(pointer))
        try:
            return ctypes.string_at(pointer.value or 0).decode("utf-8") if pointer.value else ""
        finally:
            self.free(pointer)

    def json(self, name: str, *arguments: Any) -> Dict[str, Any]:
        """The JSON object that a function puts in its last argument."""
        value: Dict[str, Any] = json.loads(self.text(name, *arguments))
        return value

    def free(self, pointer: Any) -> None:
        self._library.krylens_free(ctypes.cast(pointer, c_void_p))


@functools.lru_cache(maxsize=None)
def library() -> Library:
    """The library: the one that ``KRYLENS_LIBRARY`` names, else the one in this package. Raises :class:`LibraryError`."""
    named = os.environ.get("KRYLENS_LIBRARY")
    path = Path(named) if named else Path(__file__).with_name("libkrylens.so.1")
    if not path.exists():
        raise LibraryError(
            f"{path}: there is no such file: "
            + ("KRYLENS_LIBRARY must be the path of libkrylens.so.1" if named else
               "install the wheel, or set KRYLENS_LIBRARY to the path of libkrylens.so.1"))
    return Library(path)


def settings(values: Mapping[str, Any]) -> bytes:
    """Settings as JSON; those that are None are left to their defaults. Raises :class:`InvalidArgument`."""
    given = {key: value for key, value in values.items() if value is not None}
    try:
        return json.dumps(given, default=_plain, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError, of a lone surrogate, is a ValueError
        raise InvalidArgument(f"settings: {error}") from error


def _plain(value: Any) -> Any:
    """What JSON makes of numpy's numbers and arrays, of paths, and of tuples, ranges and sets."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, range):
        return list(value)
    if hasattr(value, "tolist"):  # a tensor of torch, an array of jax
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}; give a number, a text, or a list of these")


def c_text(text: str, name: str) -> bytes:
    """A text for C, which ends at its first NUL. Raises :class:`InvalidArgument`."""
    if not isinstance(text, str):
        raise InvalidArgument(f"{name}: {type(text).__name__}, expected a text")
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{name}: {error}") from error
    if b"\0" in encoded:
        raise InvalidArgument(f"{name}: holds a NUL character")
    return encoded


class Handle:
    """What the library has open: closed when it is no longer used, once, and by the process that opened it alone."""

    def __init__(self, kind: str, pointer: Optional[int]) -> None:
        self._close, self._pointer, self._process = f"{kind}_close", pointer, os.getpid()
        self.what = {"model": "the model", "jacobian": "the Jacobian"}.get(kind, kind)

    @property
    def pointer(self) -> int:
        if self._pointer is None:
            raise ClosedError(f"{self.what} is closed")
        return self._pointer

    @property
    def is_closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer is not None and os.getpid() == self._process:
            library().status(self._close, pointer)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # at the end of the interpreter, when modules are gone already; the process ends with its memory
            pass

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {self.what}: it belongs to this process; open it again where it is needed")
