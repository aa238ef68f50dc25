"""Open models."""

from __future__ import annotations

import os
import tempfile
from ctypes import POINTER, byref, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt

from ._errors import InvalidArgument
from ._jacobian import Jacobian
from ._library import Handle, c_text, library, settings
from ._progress import Progress, Watch
from ._runs import PathLike, Run, load

TokenIds = Union[Sequence[int], npt.NDArray[np.integer[Any]]]
#: ``"last"``, ``"all"``, an index from 0 or negative from the end, or several indices.
Tokens = Union[int, str, Sequence[int]]


def open(path: PathLike, threads: Optional[int] = None, random_init: bool = False, seed: int = 0) -> "Model":
    """Opens a model. Its weights are mapped, not read.

    Parameters
    ----------
    path : path
        A Hugging Face folder, a ``.gguf`` file, or the hub name of a model in the local cache. Nothing is downloaded.
    threads : int, optional
        All cores by default. Numbers do not depend on it.
    random_init : bool
        The model as it is before training: random weights, as transformers initialises the family.
    seed : int
        Of random weights.

    Raises
    ------
    FailedError
        If it is not a model, or not one that is supported; the message names the file and what to do.
    """
    return Model(path, threads, random_init, seed)


class Model:
    """An open model; a context manager that closes it. Made by :func:`krylens.open`.

    Threads may share it. Jacobians stay usable when it is closed. It cannot be pickled, nor used in a child process made
    by ``fork``.

    Attributes
    ----------
    info : dict
        Family, sizes, stored types, threads, instruction set, and notes on what is and is not supported.
    """

    info: Dict[str, Any]

    def __init__(self, path: PathLike, threads: Optional[int] = None, random_init: bool = False, seed: int = 0) -> None:
        #: Where it was opened from.
        self.path: str = os.fsdecode(path)
        self._request = {"threads": threads, "random_init": random_init, "seed": seed}
        pointer = c_void_p()
        library().call("open", c_text(self.path, "path"), settings(self._request), byref(pointer))
        self._handle = Handle("model", pointer.value)
        self.info = library().json("model_info", self._handle.pointer)

    @property
    def family(self) -> str:
        """The family that reads it, such as ``"llama"``."""
        return str(self.info["family"])

    @property
    def layers(self) -> int:
        """How many blocks it has."""
        return int(self.info["layers"])

    @property
    def width(self) -> int:
        """d, the length of a token's state."""
        return int(self.info["width"])

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return int(self.info["parameters"])

    def tokenize(self, text: str) -> npt.NDArray[np.int64]:
        """The token ids of a text, with the special tokens that the model expects, as prompts are tokenized: shape (T,)."""
        ids, count = POINTER(c_int64)(), c_size_t()
        library().call("tokenize", self._handle.pointer, c_text(text, "text"), byref(ids), byref(count))
        try:
            return np.array(ids[: count.value], dtype=np.int64)
        finally:
            library().free(ids)

    def token_text(self, token: int) -> str:
        """The text of a token id, as in ``" Paris"``."""
        if isinstance(token, bool) or not isinstance(token, (int, np.integer)) or not -(2**63) <= token < 2**63:
            raise InvalidArgument(f"token {token!r}: not a token id")
        return library().text("token_text", self._handle.pointer, int(token))

    def jacobian(
        self, prompt: Union[str, TokenIds, None] = None, *, image: Optional[PathLike] = None, layer: Optional[int] = None,
        from_layer: Optional[int] = None, to_layer: Union[int, str, None] = None, from_token: Optional[Tokens] = None,
        to_token: Optional[Tokens] = None, site: Optional[str] = None, head: Optional[int] = None,
        expert: Optional[int] = None, linearization: Optional[str] = None, path: Optional[str] = None,
        identity: Optional[str] = None, reduce: Optional[str] = None, skip: Optional[int] = None,
        tied: Optional[bool] = None, logits: Optional[Sequence[int]] = None, encoder_prompt: Optional[str] = None,
        encoder_token_ids: Optional[TokenIds] = None, precision: Optional[str] = None,
    ) -> Jacobian:
        """Runs the model on a prompt and linearizes one of its maps there. Costs one forward pass up to the map's end.

        By default it is the residual Jacobian of the last block at the last token: the derivative of what the block
        adds to the stream. The settings are those of ``krylens triplets`` (``docs/triplets.md``).

        Parameters
        ----------
        prompt : str or token ids
            A text, or token ids, which are used as they are.
        image : path, optional
            A PNG, JPEG or ``.safetensors`` file in place of a prompt, for models of images.
        layer : int, optional
            One block, counted from 1: the same as ``from_layer=layer - 1, to_layer=layer``.
        from_layer, to_layer : optional
            Boundaries between blocks: 0 enters block 1, L leaves the last. ``to_layer`` may be ``"final"``, after the final
            norm, or ``"logits"``.
        from_token, to_token : optional
            Input and output tokens: ``"last"``, ``"all"``, an index from 0 or negative from the end, or several.
        site : {"block", "attention", "mlp"}, optional
            Which part of a single block.
        head, expert : int, optional
            One head of its attention, or one expert of its MLP, from 0.
        linearization : {"full", "frozen-attention", "frozen-norms", "detached"}, optional
            What is held constant besides other tokens.
        path : {"all", "own"}, optional
            Through several blocks by all tokens, or along each token's own path alone.
        identity : {"subtract", "keep"}, optional
            The identity in a map from some tokens to the same tokens.
        reduce : {"none", "sum", "mean"}, optional
            What becomes of several output tokens.
        skip : int, optional
            Tokens at the beginning that ``"all"`` leaves out.
        tied : bool, optional
            One input for all input tokens.
        logits : (int, int), optional
            The difference of the logits of two token ids.
        encoder_prompt, encoder_token_ids : optional
            What an encoder reads, in models that have one.
        precision : {"single", "double"}, optional
            Of states and products; single by default.

        Returns
        -------
        Jacobian
            An m × n linear operator. A map of a single block at one token is d × d.
        """
        if layer is not None:
            if from_layer is not None or to_layer is not None:
                raise InvalidArgument("layer: give layer, or from_layer and to_layer")
            if not isinstance(layer, (int, np.integer)) or not 1 <= layer <= self.layers:
                raise InvalidArgument(f"layer {layer!r}: the model has blocks 1 to {self.layers}")
            from_layer, to_layer = int(layer) - 1, int(layer)
        return Jacobian(self._handle, {
            "prompt": prompt if isinstance(prompt, str) else None, "token_ids": None if isinstance(prompt, str) else prompt,
            "image": image, "from_layer": from_layer, "to_layer": to_layer, "from_token": from_token, "to_token": to_token,
            "site": site, "head": head, "expert": expert, "linearization": linearization, "path": path,
            "identity": identity, "reduce": reduce, "skip": skip, "tied": tied, "logits": logits,
            "encoder_prompt": encoder_prompt, "encoder_token_ids": encoder_token_ids, "precision": precision})

    def align(
        self, prompts: Union[str, Sequence[str], TokenIds, Sequence[TokenIds], None] = None, *,
        image: Union[PathLike, Sequence[PathLike], None] = None, top: Optional[int] = None,
        ranks: Optional[Sequence[int]] = None, rank_share: Optional[float] = None, layers: Optional[Sequence[int]] = None,
        kind: Optional[str] = None, tokens: Optional[Tokens] = None, basis_layer: Optional[int] = None,
        from_token: Union[int, str, None] = None, to_token: Union[int, str, None] = None, shard: Optional[str] = None,
        site: Optional[str] = None, last: Optional[str] = None, solver: Optional[str] = None,
        block_size: Optional[int] = None, tolerance: Optional[float] = None, precision: Optional[str] = None,
        certify: Union[str, float, None] = None,
        seed: Optional[int] = None, encoder_prompt: Optional[str] = None, encoder_token_ids: Optional[TokenIds] = None,
        sign: Optional[str] = None, normalisation: Optional[str] = None, form: Optional[str] = None,
        score: Optional[str] = None, diagonal: Optional[str] = None, like_paper: Optional[bool] = None,
        save_hidden_states: Optional[bool] = None, max_memory: Optional[int] = None, name: Optional[str] = None,
        step: Optional[int] = None, output: Optional[PathLike] = None, progress: Progress = True,
    ) -> Run:
        """Singular triplets of every block's residual Jacobian, and how well the blocks line up.

        The same as ``krylens align`` with the options of these names: same defaults, same files, same bits.

        Parameters
        ----------
        prompts : str, token ids, or a list of either
            Texts, or token ids, which are used as they are.
        image : path or list of paths, optional
            Images in place of prompts.
        top : int, optional
            Singular triplets of each Jacobian; 10 by default.
        layers : list of int, optional
            Blocks, counted from 1; all by default.
        output : path, optional
            The run folder: new, empty, or that of the same run, which is then resumed. By default a temporary folder, which
            is removed when the :class:`krylens.Run` is no longer used.
        progress : bool or function
            True, the default, shows a bar of tqdm, if that is installed; as in :meth:`krylens.Jacobian.svds`.
        **others
            As ``krylens align --help`` says.

        Returns
        -------
        Run
            What :func:`krylens.load` gives for the folder. Prompts that failed are in its ``failures``.

        Notes
        -----
        Ctrl-C ends it after the current pass. What is finished is kept in ``output``, and the same call continues.
        """
        request = {
            **self._request, **_prompts(prompts), "model": self.path, "image": image, "top": top, "ranks": ranks,
            "rank_share": rank_share, "layers": layers, "kind": kind, "tokens": tokens, "basis_layer": basis_layer,
            "from_token": from_token, "to_token": to_token, "shard": shard, "site": site, "last": last, "solver": solver,
            "block_size": block_size, "tolerance": tolerance, "precision": precision, "certify": certify,
            "encoder_prompt": encoder_prompt, "encoder_token_ids": encoder_token_ids, "sign": sign,
            "normalisation": normalisation, "form": form, "score": score, "diagonal": diagonal, "like_paper": like_paper,
            "save_hidden_states": save_hidden_states, "max_memory": max_memory, "name": name, "step": step}
        if seed is not None:
            request["seed"] = seed
        self._handle.pointer  # a closed model is refused, though the run opens its own
        owner = tempfile.TemporaryDirectory(prefix="krylens-") if output is None else None
        request["output"] = Path(owner.name) / "run" if owner else output
        with Watch(progress) as watch:
            folder = library().text("align", settings(request), watch.callback, None)
        run = load(folder)
        assert isinstance(run, Run)
        run._owner = owner
        return run

    def close(self) -> None:
        """Closes the model. Whatever is done with it afterwards raises :class:`krylens.ClosedError`; Jacobians stay open."""
        self._handle.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, _: Any) -> Any:
        return self._handle.__reduce__()

    def __repr__(self) -> str:
        state = "closed " if self._handle.is_closed else ""
        return f"<{state}Model: {self.family}, {self.layers} blocks of width {self.width}, {self.path}>"


def _prompts(prompts: Any) -> Dict[str, Any]:
    """The setting that holds prompts of this form."""
    if prompts is None:
        return {}
    if isinstance(prompts, str):
        return {"prompts": [prompts]}
    given: List[Any] = list(prompts)
    if given and all(isinstance(prompt, str) for prompt in given):
        return {"prompts": given}
    if any(isinstance(prompt, str) for prompt in given):
        raise InvalidArgument("prompts: texts and token ids in one list; give one or the other")
    return {"token_ids": given}
