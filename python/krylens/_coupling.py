"""The couplings of a run, read in one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import numpy.typing as npt

from ._errors import InvalidArgument, RunError
from ._files import Floats, numbers
from ._folder import Folder, Record, listed


@dataclass(frozen=True)
class Coupling:
    """The coupling of blocks or tokens in one reading, for all prompts of a run.

    Entry [i, j] compares the Jacobian ``rows[i]`` with the singular bases of the Jacobian ``columns[j]``:
    Uⱼᵀ Jᵢ Vⱼ against diag(σ of i) (Aubry et al., arXiv 2407.07810). Missing numbers are NaN.
    """

    #: Shape (prompts, rows, columns).
    per_prompt: Floats
    #: Bounds on the errors of the entries, of the same shape; NaN where unknown.
    bounds: Floats
    #: The null level, the score expected if the basis is unrelated to the Jacobian: shape (prompts, rows).
    null: Floats
    #: The Jacobians of the rows: blocks, counted from 1, or tokens, counted from 0.
    rows: npt.NDArray[np.int64]
    #: The bases of the columns.
    columns: npt.NDArray[np.int64]
    #: The mean over different prompts: shape (rows, columns). A prompt that was given twice counts once.
    mean: Floats
    #: The entry of ``result.json`` on this coupling: mean over pairs and prompts, standard error, interval, bound.
    statistic: Record
    #: How it was read: kind, rank, sign, normalisation, form, score.
    reading: Record


def _place(table: Record) -> str:
    words = {"layer": "block", "from_token": "from token", "to_token": "to token"}
    return ", ".join(f"{word} {table[key]}" for key, word in words.items() if table.get(key) is not None)


def read_coupling(run: Folder, wanted: Record, table: Optional[int], prompt: Optional[int]) -> Coupling:
    """The coupling of a run that has these values of rank, sign, normalisation and form.

    Raises :class:`InvalidArgument` if there is none or it is not clear which; the message lists what there is.
    """
    chosen = [run.index(prompt)] if prompt is not None else list(range(len(run.prompts)))
    found = [_tables(run.prompts[p], wanted) for p in chosen]
    most = max((len(tables) for tables in found), default=0)
    if most == 0:
        raise InvalidArgument(_held([table for p in chosen for table in _tables(run.prompts[p], {})], wanted))
    if table is None:
        if most > 1:
            places = "; ".join(f"{i}: {_place(t)}" for i, t in enumerate(next(tables for tables in found if len(tables) == most)))
            raise InvalidArgument(f"table: the run has {most} tables per prompt, choose one: {places}")
        table = 0
    if not isinstance(table, (int, np.integer)) or not 0 <= table < most:
        raise InvalidArgument(f"table {table!r}: the run has {most}, counted from 0")
    return _stacked(run, chosen, [tables[table] if table < len(tables) else None for tables in found], wanted)


def _tables(prompt: Record, wanted: Mapping[str, Any]) -> List[Record]:
    tables = prompt.get("coupling")
    return [
        table for table in (tables if isinstance(tables, list) else [])
        if isinstance(table, dict) and all(table.get(key) == value for key, value in wanted.items())]


def _held(tables: List[Record], wanted: Record) -> str:
    if not tables:
        return "no prompt has a coupling"
    held = "; ".join(f"{key} {listed({str(table.get(key)) for table in tables})}" for key in wanted)
    asked = ", ".join(f"{key} {value}" for key, value in wanted.items())
    return f"no coupling of {asked}: the run has {held}"


def _stacked(run: Folder, chosen: List[int], tables: List[Optional[Record]], wanted: Record) -> Coupling:
    """One table per prompt, None where a prompt has none, in arrays."""
    where = f"{run.path}/result.json: coupling"
    matrices: Dict[int, Floats] = {
        i: numbers(table.get("matrix"), 2, f"{where}: matrix") for i, table in enumerate(tables) if table is not None}
    shapes = {matrix.shape for matrix in matrices.values()}
    if len(shapes) > 1:
        raise InvalidArgument(
            f"tables of different prompts have different shapes, {listed(shapes)}: take one prompt at a time, prompt=0")
    shape = shapes.pop()
    per_prompt, bounds = np.full((len(chosen), *shape), np.nan), np.full((len(chosen), *shape), np.nan)
    null = np.full((len(chosen), shape[0]), np.nan)
    first: Record = {}
    for i, table in enumerate(tables):
        if table is None:
            continue
        first = first or table
        per_prompt[i] = matrices[i]
        for target, key in ((bounds, "bound"), (null, "null")):
            if table.get(key) is not None:
                values = numbers(table[key], target.ndim - 1, f"{where}: {key}")
                if values.shape != target[i].shape:
                    raise RunError(f"{where}: {key}: shape {values.shape}, expected {target[i].shape}")
                target[i] = values
    rows, columns = (numbers(first.get(key), 1, f"{where}: {key}").astype(np.int64) for key in ("rows", "columns"))
    if (len(rows), len(columns)) != shape:
        raise RunError(f"{where}: {len(rows)} rows and {len(columns)} columns, but a matrix of shape {shape}")
    counted = per_prompt[[i for i in _first_alike([run.prompts[p] for p in chosen]) if tables[i] is not None]]
    statistics = run.record.get("statistics")
    entries = statistics.get("coupling") if isinstance(statistics, dict) else None
    statistic: Record = next(
        (e for e in (entries if isinstance(entries, list) else []) if isinstance(e, dict) and all(e.get(key) == value for key, value in wanted.items())), {})
    return Coupling(
        per_prompt=per_prompt, bounds=bounds, null=null, rows=rows, columns=columns, mean=counted.mean(axis=0),
        statistic=statistic, reading={**wanted, "kind": first.get("kind"), "score": first.get("score")})


def _first_alike(prompts: List[Record]) -> List[int]:
    """The positions of prompts that no earlier one equals in what the model read: tokens, or the pixels of an image."""
    first: Dict[str, int] = {}
    for i, prompt in enumerate(prompts):
        if not prompt.get("failed"):
            read = [prompt.get("image_hash") or prompt.get("image"), prompt.get("token_ids"), prompt.get("encoder_token_ids")]
            first.setdefault(repr(read), i)
    return list(first.values())
