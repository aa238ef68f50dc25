"""Run folders of ``krylens align`` and ``krylens triplets``, in numpy arrays and pandas frames.

Reading a run needs numpy alone: neither the shared library nor the model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._coupling import Coupling, read_coupling
from ._errors import InvalidArgument, RunError
from ._files import Floats, field, numbers, objects, read_json
from ._folder import Folder, Record, listed, scalars
from ._triplets import Triplets

if TYPE_CHECKING:
    import pandas

PathLike = Union[str, "os.PathLike[str]"]


def load(folder: PathLike) -> Union["Run", "MapRun"]:
    """Opens a run folder.

    Parameters
    ----------
    folder : path
        A folder that ``krylens align``, ``krylens triplets`` or :meth:`krylens.Model.align` wrote.

    Returns
    -------
    Run or MapRun
        A :class:`Run` of ``align``, a :class:`MapRun` of ``triplets``. Vectors and matrices are read from disk when
        they are asked for.

    Raises
    ------
    RunError
        If it is not a run folder, if the run has not ended, if another command wrote it, or if a file is damaged.
    """
    path = Path(folder)
    result = path / "result.json"
    if not result.exists():
        if (path / "partial" / "manifest.json").exists():
            raise RunError(f"{path}: the run has not ended: repeat its command, which continues where it stopped")
        raise RunError(f"{path}: not a run folder: it has no result.json")
    record = read_json(result)
    command = record.get("command", "align")
    if command == "align":
        return Run(path, record)
    if command == "triplets":
        return MapRun(path, record)
    raise RunError(
        f"{path}: a run of krylens {command}: load reads runs of align and triplets; krylens show {path} prints this one")


@dataclass(frozen=True)
class Trajectory:
    """The path of one prompt's tokens through the blocks. T tokens, L blocks; NaN where a number is not defined."""

    #: ‖x‖ of every state, from the embedding to the last block: shape (L + 1, T).
    norms: Floats
    #: How straight each token's path is, 1 for a straight line: shape (T,).
    line_shape_score: Floats
    #: Mean over blocks of ln(‖xˡ‖ / ‖xˡ⁻¹‖): shape (T,).
    growth: Floats
    #: Variance of the growth over its squared mean: shape (T,).
    expodistance: Floats
    #: The paths in the plane of their two main directions: shape (T, L + 1, 2), or None.
    picture: Optional[Floats]


class Run(Folder):
    """A run of ``align``: singular triplets of every block's residual Jacobian, couplings, trajectories.

    P prompts, L blocks, K triplets. Prompts are counted from 0 and blocks from 1, as in the command's files.
    """

    def __init__(self, path: Path, record: Record) -> None:
        super().__init__(path, record)
        where = f"{path}/result.json"
        self._jacobians: List[Dict[int, List[Record]]] = []  # of each prompt: block → its Jacobians
        for p, prompt in enumerate(self.prompts):
            place = f"{where}: prompts[{p}]"
            found: Dict[int, List[Record]] = {}
            for i, jacobian in enumerate(objects(prompt, "layers", place)):
                found.setdefault(field(jacobian, "layer", int, f"{place}: layers[{i}]"), []).append(jacobian)
            self._jacobians.append(found)

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """The blocks of the run, counted from 1: shape (L,)."""
        layers = sorted({layer for found in self._jacobians for layer in found})
        return numbers(layers, 1, f"{self.path}/result.json: layer").astype(np.int64)

    def _per_jacobian(self, key: str) -> Floats:
        layers = self.layers
        most = max((len(found) for prompt in self._jacobians for found in prompt.values()), default=0)
        rows: Dict[Tuple[int, int, int], Floats] = {}
        for p, prompt in enumerate(self._jacobians):
            for i, layer in enumerate(layers):
                for t, jacobian in enumerate(prompt.get(int(layer), [])):
                    if jacobian.get(key) is not None:
                        place = f"{self.path}/result.json: prompts[{p}]: block {layer}: {key}"
                        rows[p, i, t] = numbers(jacobian[key], 1, place)
        length = max((len(row) for row in rows.values()), default=0)
        array = np.full((len(self._jacobians), len(layers), most, length), np.nan)
        for (p, i, t), row in rows.items():
            array[p, i, t, : len(row)] = row
        return array[:, :, 0] if most == 1 else array

    @property
    def singular_values(self) -> Floats:
        """Singular values, largest first: shape (P, L, K).

        In a run of several Jacobians per block (``tokens`` names more than one) the shape is (P, L, J, K), with the
        Jacobians in the order of the tokens. NaN for prompts that failed and where a prompt has fewer.
        """
        return self._per_jacobian("singular_values")

    @property
    def residual_norms(self) -> Floats:
        """max(‖J v - σ u‖, ‖Jᵀ u - σ v‖), measured: the shape of :attr:`singular_values`."""
        return self._per_jacobian("residual_norms")

    @property
    def bounds(self) -> Floats:
        """The most by which each singular value may differ from the true one: the shape of :attr:`singular_values`.

        Empty in the last axis where an earlier version wrote the run.
        """
        return self._per_jacobian("bound")

    @property
    def vector_bounds(self) -> Floats:
        """The largest sine of the angle between computed and true vector: the shape of :attr:`singular_values`."""
        return self._per_jacobian("vector_bound")

    def triplets(self, prompt: int, layer: int, jacobian: int = 0) -> Triplets:
        """The triplets of one Jacobian: U (d, K), s (K,), Vt (K, d), in float32 as they are stored.

        Parameters
        ----------
        prompt : int
            From 0.
        layer : int
            The block, from 1.
        jacobian : int
            Which of the block's Jacobians, in a run of several tokens; from 0.
        """
        prompt = self.index(prompt)
        found = self._jacobians[prompt].get(layer)
        if found is None:
            raise InvalidArgument(f"layer {layer!r}: the run has blocks {listed(self._jacobians[prompt])}")
        if not isinstance(jacobian, (int, np.integer)) or not -len(found) <= jacobian < len(found):
            raise InvalidArgument(f"jacobian {jacobian!r}: block {layer} has {len(found)}, counted from 0")
        record = found[jacobian]
        source, target, name = record.get("from_token"), record.get("to_token"), f"p{prompt}.l{layer}"
        return self._triplets([name, f"{name}.t{target}", f"{name}.f{source}.t{target}"], record)

    def coupling(
        self, rank: Optional[int] = None, sign: Optional[str] = None, normalisation: Optional[str] = None,
        form: Optional[str] = None, *, table: Optional[int] = None, prompt: Optional[int] = None,
    ) -> Coupling:
        """The coupling between blocks, read in one way.

        Parameters
        ----------
        rank : int, optional
            How many leading triplets are compared; by default the largest rank of the run.
        sign : {"signed", "absolute"}, optional
            Entries of Uⱼᵀ Jᵢ Vⱼ or their magnitudes; this and the next two as the run shows them by default.
        normalisation : str, optional
            ``"frobenius"`` or ``"trace"``, or the p-norm of the run's settings, such as ``"p=1.5"``.
        form : {"same", "crossed"}, optional
            Uⱼᵀ Jᵢ Vⱼ or Vⱼᵀ Jᵢ Uⱼ.
        table : int, optional
            Which table, in a run with several tables per prompt: one per token across depth, one per block for the
            other kinds; from 0. Needed only there.
        prompt : int, optional
            One prompt alone, from 0. Needed where tables of different prompts have different sizes.

        Raises
        ------
        InvalidArgument
            If the run does not hold such a coupling; the message lists what it holds.
        """
        form_shown = self.settings.get("form")
        wanted = {
            "rank": rank, "sign": sign or self.settings.get("sign"),
            "normalisation": normalisation or self.settings.get("normalisation"),
            "form": form or ("same" if form_shown == "both" else form_shown),
        }
        if rank is None:
            ranks = self.settings.get("ranks")
            wanted["rank"] = max(ranks) if isinstance(ranks, list) and ranks else None
        return read_coupling(self, wanted, table, prompt)

    def coupling_arrays(self, prompt: int) -> Dict[str, npt.NDArray[np.float32]]:
        """A(i|j) = Uⱼᵀ Jᵢ Vⱼ for all pairs, at the largest rank: arrays of shape (L, L, K, K).

        One array per table, by the end of its name in ``couplings.safetensors``: ``"A"`` across depth (``"B"`` for the
        crossed form Vⱼᵀ Jᵢ Uⱼ), ``"t3.A"`` for one token of several, ``"l15.A"`` for one block. A prompt whose arrays
        would take more than 64 MB has none.
        """
        start = f"p{self.index(prompt)}."
        file = self._file("couplings.safetensors")
        return {name[len(start):]: file[name] for name in file if name.startswith(start)}

    def hidden_states(self, prompt: int) -> npt.NDArray[np.float32]:
        """The states of all tokens before block 1 and after each block: shape (L + 1, T, d).

        Only for runs with ``save_hidden_states``.
        """
        start = f"p{self.index(prompt)}.x"
        if not (self.path / "hidden_states.safetensors").exists():
            raise InvalidArgument(f"{self.path}: no hidden states were saved: run align with save_hidden_states")
        file = self._file("hidden_states.safetensors")
        states: List[npt.NDArray[np.float32]] = []
        while f"{start}{len(states)}" in file:
            states.append(file[f"{start}{len(states)}"])
        if not states or len({state.shape for state in states}) > 1:
            raise RunError(f"{file.path}: no states of prompt {prompt}, or of different shapes")
        return np.stack(states)

    def trajectory(self, prompt: int) -> Trajectory:
        """The path of a prompt's tokens through the blocks."""
        where = f"{self.path}/result.json: prompts[{prompt}]: trajectory"
        record = field(self.prompts[self.index(prompt)], "trajectory", dict, where)
        picture = record.get("picture")
        return Trajectory(
            norms=numbers(record.get("norms"), 2, f"{where}: norms"),
            line_shape_score=numbers(record.get("line_shape_score"), 1, f"{where}: line_shape_score"),
            growth=numbers(record.get("growth"), 1, f"{where}: growth"),
            expodistance=numbers(record.get("expodistance"), 1, f"{where}: expodistance"),
            picture=numbers(picture.get("points"), 3, f"{where}: picture") if isinstance(picture, dict) else None)

    def statistic(self, quantity: str, tokens: str = "last") -> Record:
        """The mean of a quantity of the trajectories over prompts, with its standard error and interval.

        ``quantity`` is ``"line-shape-score"``, ``"growth"``, ``"expodistance"`` or another one of the record's.
        """
        statistics = self.record.get("statistics")
        found = statistics.get("trajectory") if isinstance(statistics, dict) else None
        entries = [e for e in (found if isinstance(found, list) else []) if isinstance(e, dict)]
        for entry in entries:
            if entry.get("quantity") == quantity and entry.get("tokens") == tokens:
                return field(entry, "value", dict, f"{self.path}/result.json: statistics")
        held = listed({f"{e.get('quantity')} at {e.get('tokens')} tokens" for e in entries})
        raise InvalidArgument(f"no statistic of {quantity} at {tokens} tokens: the run has {held}")

    def frame(self, name: str) -> "pandas.DataFrame":
        """A table as a pandas frame.

        Parameters
        ----------
        name : {"singular_values", "coupling", "trajectory", "layers", "prompts"}
            The first three have one number per row and the columns of the CSV file of that name. ``"layers"`` has one
            row per Jacobian: solver, passes, applications, convergence, Frobenius norm, certificate. ``"prompts"`` has
            one row per prompt.
        """
        if name in ("singular_values", "coupling", "trajectory"):
            return self._csv(name)
        if name == "layers":
            return self._frame(
                {"prompt": p, **scalars(jacobian)}
                for p, found in enumerate(self._jacobians) for jacobians in found.values() for jacobian in jacobians)
        if name == "prompts":
            return self._frame({"prompt": p, **scalars(prompt)} for p, prompt in enumerate(self.prompts))
        raise InvalidArgument(f"frame {name!r}: not one of singular_values, coupling, trajectory, layers, prompts")

    def __repr__(self) -> str:
        return f"<Run of {self.model.get('name')}: {len(self.prompts)} prompts, {len(self.layers)} blocks, {self.path}>"


class MapRun(Folder):
    """A run of ``triplets``: the singular triplets of one map per prompt, or of their average."""

    def __init__(self, path: Path, record: Record) -> None:
        super().__init__(path, record)
        #: Whether the run is of one map, the mean over all prompts.
        self.is_average: bool = isinstance(record.get("average"), dict)

    def map(self, prompt: Optional[int] = None) -> Record:
        """What ``result.json`` holds of a prompt's map, or of the average if ``prompt`` is None.

        Boundaries, tokens, shape (outputs, inputs), singular values, bounds, certificate, read-out and so on.
        """
        if self.is_average:
            if prompt is not None:
                raise InvalidArgument("prompt: the run is of the average over its prompts, there is one map")
            average: Record = self.record["average"]
            return average
        if prompt is None:
            if len(self.prompts) != 1:
                raise InvalidArgument(f"prompt: the run has {len(self.prompts)} prompts, say which, from 0")
            prompt = 0
        return field(self.prompts[self.index(prompt)], "map", dict, f"{self.path}/result.json: prompts[{prompt}]")

    def triplets(self, prompt: Optional[int] = None) -> Triplets:
        """The triplets of a map: U (outputs, K), s (K,), Vt (K, inputs), in float32 as they are stored.

        Several tokens follow one another in the vectors. ``prompt`` is needed where there are several maps.
        """
        record = self.map(prompt)
        name = "average" if self.is_average else f"p{self.index(prompt or 0)}"
        return self._triplets([name], record)

    @property
    def singular_values(self) -> Floats:
        """Singular values, largest first: shape (P, K), or (1, K) of an average. NaN for prompts that failed."""
        if self.is_average:
            maps: Iterable[Any] = [self.record["average"]]
        else:
            maps = [prompt.get("map") for prompt in self.prompts]
        where = f"{self.path}/result.json: singular_values"
        rows = [numbers((m.get("singular_values") if isinstance(m, dict) else None) or [], 1, where) for m in maps]
        array = np.full((len(rows), max((len(row) for row in rows), default=0)), np.nan)
        for i, row in enumerate(rows):
            array[i, : len(row)] = row
        return array

    def frame(self, name: str) -> "pandas.DataFrame":
        """A table as a pandas frame: ``"singular_values"``, one value per row, or ``"prompts"``, one prompt per row."""
        if name == "singular_values":
            return self._csv(name)
        if name == "prompts":
            return self._frame({"prompt": p, **scalars(prompt)} for p, prompt in enumerate(self.prompts))
        raise InvalidArgument(f"frame {name!r}: not one of singular_values, prompts")

    def __repr__(self) -> str:
        return f"<MapRun of {self.model.get('name')}: {len(self.prompts)} prompts, {self.path}>"
