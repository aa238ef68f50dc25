"""JSON and safetensors, read with every size checked before it is used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Type, TypeVar, Union

import numpy as np
import numpy.typing as npt

from ._errors import RunError

T = TypeVar("T")
Floats = npt.NDArray[np.float64]

#: The largest header of a safetensors file that is read. The format's reference implementation has the same limit.
_LARGEST_HEADER = 100_000_000

_TYPES: Dict[str, Any] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}


def _require_file(path: Path) -> None:
    """Refuses what is there but is not a regular file: opening a pipe would wait for a writer. Raises :class:`RunError`."""
    if path.exists() and not path.is_file():
        raise RunError(f"{path}: not a regular file")


def read_json(path: Path) -> Dict[str, Any]:
    """The object that a JSON file holds. Raises :class:`RunError`, which names the file."""
    _require_file(path)
    try:
        value = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise RunError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise RunError(f"{path}: not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: not a JSON object")
    return value


def field(record: Mapping[str, Any], key: str, kind: Type[T], where: str) -> T:
    """The value of a key, checked to be there and of this type. Raises :class:`RunError`."""
    value = record.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "missing" if key not in record else f"{type(value).__name__}, expected {kind.__name__}"
        raise RunError(f"{where}: {key}: {found}")
    return value


def objects(record: Mapping[str, Any], key: str, where: str) -> List[Dict[str, Any]]:
    """The value of a key that is a list of objects. Raises :class:`RunError`."""
    values = field(record, key, list, where)
    for i, value in enumerate(values):
        if not isinstance(value, dict):
            raise RunError(f"{where}: {key}[{i}]: {type(value).__name__}, expected an object")
    return values


def numbers(value: Any, dimensions: int, where: str) -> Floats:
    """A list of numbers, or nested lists, as an array; ``null`` becomes NaN. Raises :class:`RunError`."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RunError(f"{where}: not an array of numbers: {error}") from error
    if array.ndim != dimensions and array.size:
        raise RunError(f"{where}: {array.ndim} dimensions, expected {dimensions}")
    return array if array.size else array.reshape((0,) * dimensions)


class Safetensors(Mapping[str, npt.NDArray[Any]]):
    """The arrays of a safetensors file, each read from disk when it is asked for.

    Arrays are read, not mapped: if another process cuts the file short, reading raises an exception, whereas touching a
    mapped page would end the process.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None:
        self.path = Path(path)
        self._entries: Dict[str, Tuple[Any, Tuple[int, ...], int]] = {}
        _require_file(self.path)
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = int.from_bytes(file.read(8), "little")
                if size < 8 or length > min(size - 8, _LARGEST_HEADER):
                    raise RunError(f"{self.path}: not a safetensors file, or cut short: {size} bytes")
                header = json.loads(file.read(length).decode("utf-8"))
        except OSError as error:
            raise RunError(f"{self.path}: {error.strerror or error}") from error
        except RecursionError as error:
            raise RunError(f"{self.path}: header: nested too deeply") from error
        except RunError:
            raise
        except ValueError as error:
            raise RunError(f"{self.path}: header: {error}") from error
        if not isinstance(header, dict):
            raise RunError(f"{self.path}: header: not a JSON object")
        for name, entry in header.items():
            if name != "__metadata__":
                self._entries[name] = self._checked(name, entry, start=8 + length, size=size)

    def _checked(self, name: str, entry: Any, start: int, size: int) -> Tuple[Any, Tuple[int, ...], int]:
        """Type, shape and position of an array, if they agree with each other and with the size of the file."""
        where = f"{self.path}: {name}"
        if not isinstance(entry, dict):
            raise RunError(f"{where}: not an object")
        kind, shape, offsets = entry.get("dtype"), _sizes(entry, "shape", where), _sizes(entry, "data_offsets", where)
        if not isinstance(kind, str) or kind not in _TYPES:
            raise RunError(f"{where}: dtype {kind!r}: not one of {', '.join(_TYPES)}")
        if len(offsets) != 2 or len(shape) > 32:
            raise RunError(f"{where}: data_offsets or shape: too many numbers, or too few")
        count = 1
        for n in shape:
            count *= n
        if offsets[1] - offsets[0] != count * _TYPES[kind].itemsize or offsets[1] > size - start:
            raise RunError(f"{where}: data_offsets {offsets} do not hold shape {shape} within the file's {size} bytes")
        return _TYPES[kind], tuple(shape), start + offsets[0]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        kind, shape, position = self._entries[name]
        count = 1
        for n in shape:
            count *= n
        try:
            array = np.fromfile(self.path, dtype=kind, count=count, offset=position)
        except OSError as error:
            raise RunError(f"{self.path}: {error.strerror or error}") from error
        if array.size != count:
            raise RunError(f"{self.path}: {name}: cut short: {array.size} of {count} numbers")
        try:
            return array.reshape(shape)
        except (ValueError, OverflowError) as error:  # an empty array with an impossible side
            raise RunError(f"{self.path}: {name}: shape {list(shape)}: {error}") from error

    def __iter__(self) -> Any:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _sizes(entry: Mapping[str, Any], key: str, where: str) -> List[int]:
    values = entry.get(key)
    if not isinstance(values, list) or not all(type(n) is int and n >= 0 for n in values):
        raise RunError(f"{where}: {key}: not a list of sizes")
    return values
