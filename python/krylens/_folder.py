"""What run folders of all kinds have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from ._errors import InvalidArgument, RunError
from ._files import Safetensors, field, numbers, objects
from ._triplets import Triplets

if TYPE_CHECKING:
    import pandas

Record = Dict[str, Any]


class Folder:
    """What runs of all kinds have in common."""

    path: Path
    #: ``result.json`` as it is, for everything that has no attribute here.
    record: Record

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self.record = record
        where = f"{path}/result.json"
        #: One object per prompt, as ``result.json`` holds it: text, token ids, tokens, next token, results.
        self.prompts: List[Record] = objects(record, "prompts", where)
        #: The settings of the run, by the names of the command's options with ``_`` for ``-``.
        self.settings: Record = field(record, "settings", dict, where)
        #: The model: name, family, layers, width, parameters, stored types.
        self.model: Record = field(record, "model", dict, where)
        self._arrays: Dict[str, Safetensors] = {}
        self._owner: Any = None  # keeps a temporary folder as long as the run is in use

    def _file(self, name: str) -> Safetensors:
        if name not in self._arrays:
            self._arrays[name] = Safetensors(self.path / name)
        return self._arrays[name]

    def index(self, prompt: int) -> int:
        """The position of a prompt, from 0. Raises if there is no such prompt, or if it failed and has no results."""
        count = len(self.prompts)
        if not isinstance(prompt, (int, np.integer)) or not -count <= prompt < count:
            raise InvalidArgument(f"prompt {prompt!r}: the run has {count}, counted from 0")
        index = int(prompt) % count
        failed = self.prompts[index].get("failed")
        if failed:
            reason = failed.get("reason", "") if isinstance(failed, dict) else failed
            raise RunError(f"{self.path}: prompt {index} failed and has no results: {reason}")
        return index

    @property
    def texts(self) -> List[Optional[str]]:
        """The text of every prompt, None where it was given as token ids or as an image."""
        return [prompt.get("text") for prompt in self.prompts]

    @property
    def failures(self) -> Dict[int, Record]:
        """The prompts without results, each with the reason: ``{prompt: {"layer": …, "token": …, "reason": …}}``."""
        return {i: prompt["failed"] for i, prompt in enumerate(self.prompts) if prompt.get("failed")}

    def _triplets(self, names: Sequence[str], record: Record) -> Triplets:
        file = self._file("triplets.safetensors")
        for name in names:
            if f"{name}.S" in file:
                break
        else:
            raise RunError(f"{file.path}: it has no array {names[0]}.S")
        arrays = []
        for part, dimensions in (("U", 2), ("S", 1), ("V", 2)):
            if f"{name}.{part}" not in file:
                raise RunError(f"{file.path}: it has no array {name}.{part}")
            array = file[f"{name}.{part}"]
            if array.ndim != dimensions:
                raise RunError(f"{file.path}: {name}.{part}: {array.ndim} dimensions, expected {dimensions}")
            arrays.append(array)
        u, s, v = arrays
        if not len(u) == len(s) == len(v):
            raise RunError(f"{file.path}: {name}: {len(u)} left vectors, {len(s)} values, {len(v)} right vectors")
        residuals = numbers(record.get("residual_norms"), 1, f"{self.path}/result.json: residual_norms")
        return Triplets(u.T, s, v, residuals, record)

    def _csv(self, name: str) -> "pandas.DataFrame":
        module = pandas_module()
        # From 3.1 on numbers are read exactly by default, and the argument is deprecated.
        is_exact = tuple(int(part) for part in module.__version__.split(".")[:2]) >= (3, 1)
        options: Dict[str, Any] = {} if is_exact else {"float_precision": "round_trip"}
        frame: "pandas.DataFrame" = module.read_csv(self.path / f"{name}.csv", **options)
        return frame

    def _frame(self, rows: Iterable[Record]) -> "pandas.DataFrame":
        frame: "pandas.DataFrame" = pandas_module().DataFrame(list(rows))
        return frame


def pandas_module() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("frames need pandas: pip install pandas") from error
    return pandas


def scalars(record: Record) -> Record:
    """The numbers and words of an object; those of objects in it with the names joined, ``certificate_outside``."""
    flat: Record = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat.update({f"{key}_{k}": v for k, v in value.items() if not isinstance(v, (list, dict))})
        elif not isinstance(value, list):
            flat[key] = value
    return flat


def listed(values: Iterable[Any]) -> str:
    return ", ".join(sorted((str(value) for value in values), key=lambda text: (len(text), text)))
