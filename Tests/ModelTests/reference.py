"""The expected results of a tiny model of transformers in float64: weights, states, spectra of residual Jacobians.

The expectations are computed by the modules of transformers themselves, with every number in float64: their float32
islands (norms, softmax, rotary angles) are lifted too. Jacobians are full, spectra come from a dense SVD.
"""
import contextlib
import copy
import dataclasses
import json
import math
import sys
from collections.abc import Callable, MutableMapping

import numpy as np
import torch
from transformers import AutoModelForCausalLM, modeling_rope_utils
from transformers.pytorch_utils import Conv1D

RANKS = (3, 6)


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """The locations of a model's parts: paths of modules, and the halves of a block."""

    blocks: str
    # The final norm and the head; None if the family has none.
    norm: str | None
    head: str | None
    # F − Z as a function of Z (of X in a parallel block), token by token: mlp(block, z).
    mlp: Callable | None = None
    # The module of a block whose input is Z, the state between the halves; None in a parallel block.
    middle: str | None = None
    # The logits from the head's output: logits(model, y).
    logits: Callable = lambda model, y: y
    model_class: type = AutoModelForCausalLM
    # The argument for the prompt's tokens; None if there are none.
    prompt: str | None = "input_ids"
    # The implementation of attention to use.
    attention: str = "eager"

    def make(self, config, **options):
        return self.model_class.from_config(config, attn_implementation=self.attention, **options)


LLAMA = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="post_attention_layernorm",
    mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z)))


# ------------------------------------------------------------------------------------------ float64


class Lifted:
    """The torch module, where float32 means float64."""

    float32 = float = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def lifted(*modules):
    """In this context, these modules of transformers get float64 where they ask for float32."""
    modules = (*modules, modeling_rope_utils)
    to_float, proxy = torch.Tensor.float, Lifted()
    try:
        for module in modules:
            module.torch = proxy
        torch.Tensor.float = torch.Tensor.double
        torch.set_default_dtype(torch.float64)
        yield
    finally:
        for module in modules:
            module.torch = torch
        torch.Tensor.float = to_float
        torch.set_default_dtype(torch.float32)


def meta_model(config, anatomy):
    """Returns the model of `config` without numbers."""
    with torch.device("meta"):
        return anatomy.make(config)


def stored_tensors(model):
    """Returns the parameters, and those buffers that are not zero in a checkpoint of a trained model."""
    return dict(model.named_parameters()) | {
        name: value for name, value in model.named_buffers() if name.endswith(("e_score_correction_bias", "expert_bias"))
    }


def double_model(config, anatomy, state):
    """Returns the model of `config` with the weights `state`, in float64. Call inside `lifted(…)`."""
    model = anatomy.make(config, dtype=torch.float64)
    assert all(t.dtype == torch.float64 for t in model.buffers() if t.is_floating_point())
    parameters = stored_tensors(model)
    assert parameters.keys() == state.keys(), parameters.keys() ^ state.keys()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])
    return model.eval().requires_grad_(False)


# ------------------------------------------------------------------------------------- expectations


def expectations(config, anatomy, state, inputs, cross):
    """Returns the contents of expected.json for the model with the weights `state`.

    `inputs` are the arguments of the model, `cross` is (input token, output token) of the cross Jacobians.
    """
    module = sys.modules[type(meta_model(config, anatomy)).__module__]
    with lifted(module):
        return _expectations(double_model(config, anatomy, state), anatomy, inputs, cross)


def _expectations(model, anatomy, inputs, cross):
    blocks, calls = list(model.get_submodule(anatomy.blocks)), []

    def record(block, args, kwargs):
        # Caches that blocks leave for later ones stay as the model's own pass left them.
        kwargs = {k: copy.copy(v) if isinstance(v, MutableMapping) else v for k, v in kwargs.items()}
        x, *args = args or [kwargs.pop("hidden_states")]
        calls.append((block, x, args, kwargs))

    hooks = [b.register_forward_pre_hook(record, with_kwargs=True) for b in blocks]
    cache = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
    output = model(**inputs, **cache)
    for hook in hooks:
        hook.remove()

    def run(block, x, args, kwargs):
        y = block(x, *args, **kwargs)
        return y[0] if isinstance(y, tuple) else y

    def attention(block, x, args, kwargs):
        """Returns Z, the state between the halves."""
        if not anatomy.middle:
            return run(block, x, args, kwargs) - anatomy.mlp(block, x)
        found = []
        hook = block.get_submodule(anatomy.middle).register_forward_pre_hook(
            lambda _, args: found.append(args[0]))
        run(block, x, args, kwargs)
        hook.remove()
        return found[0].reshape(x.shape)

    def mlp(block, z, args, kwargs):
        return z + anatomy.mlp(block, z)

    def norm(x):
        return model.get_submodule(anatomy.norm)(x) if anatomy.norm else x

    def normed(*call):
        return norm(run(*call))

    last = calls[0][1].shape[1] - 1

    def jacobian(function, block, x, args, kwargs, source=last, target=last):
        """Returns the Jacobian of row `target` of function(X) − X by row `source` of X, with all other rows fixed."""

        def rows(row):
            changed = torch.cat([x[:, :source], row[None, None], x[:, source + 1 :]], dim=1)
            return function(block, changed, args, kwargs)[0, target]

        full = torch.func.jacrev(rows)(x[0, source])
        return full - torch.eye(full.shape[0], dtype=full.dtype) if source == target else full

    def sigma(matrices):
        return [torch.linalg.svdvals(m).tolist() for m in matrices]

    depth = [jacobian(run, *call) for call in calls]
    states = [x for _, x, _, _ in calls] + [run(*calls[-1])]  # X⁰ … X^L, before the final norm
    if anatomy.head:
        head = model.get_submodule(anatomy.head)
        assert torch.allclose(anatomy.logits(model, head(norm(states[-1]))), output.logits, rtol=1e-12)
    expected = {
        "last_logits": output.logits[0, -1].tolist() if anatomy.head else None,
        "hidden_norms": [x[0].norm(dim=-1).tolist() for x in states],
        "hidden_last_token": [x[0, -1].tolist() for x in states],
        "sigma_last": sigma(depth),
        "sigma_cross": {
            "input_token": cross[0],
            "output_token": cross[1],
            "sigma": sigma(jacobian(run, *call, *cross) for call in calls),
        },
    }
    if anatomy.mlp:
        between = [x if not anatomy.middle else attention(b, x, *rest) for b, x, *rest in calls]
        expected["sigma_attention"] = sigma(jacobian(attention, *call) for call in calls)
        expected["sigma_mlp"] = sigma(
            jacobian(mlp, b, z, *rest) for z, (b, _, *rest) in zip(between, calls))
    expected["sigma_last_block_normed"] = sigma([jacobian(normed, *calls[-1])])[0]
    return expected, depth, torch.stack([x[0] for x in states])


def couplings(jacobians):
    """Returns 1 − m for every pair (row = Jacobian i, column = basis of j), with Frobenius normalisation."""
    factors = [torch.linalg.svd(j) for j in jacobians]
    result = {}
    for rank in RANKS:
        bases = [(u[:, :rank], s[:rank], vt[:rank].T) for u, s, vt in factors]
        for form in ("", "crossed_"):
            for sign in ("signed", "abs"):
                table = []
                for j_i, (_, s_i, _) in zip(jacobians, bases):
                    row = []
                    for u, _, v in bases:
                        a = v.T @ j_i @ u if form else u.T @ j_i @ v
                        a = a.abs() if sign == "abs" else a
                        row.append(1 - float((a - s_i.diag()).norm() / s_i.norm()))
                    table.append(row)
                result[f"coupling_{form}{sign}_K{rank}"] = table
    return result


def trajectories(states):
    """Returns line-shape score, growth and expodistance of every token for states (L + 1, tokens, d)."""
    steps = states[1:] - states[:-1]
    units = steps / steps.norm(dim=-1, keepdim=True)
    growth = states.norm(dim=-1).log().diff(dim=0)  # (L, tokens)
    return {
        "line_shape_score": (len(units) / units.sum(0).norm(dim=-1)).tolist(),
        "log_norm_growth": growth.tolist(),
        "growth": growth.mean(0).tolist(),
        "expodistance": (growth.var(0, correction=0) / growth.mean(0) ** 2).tolist(),
    }


# ------------------------------------------------------------------------------------ weights, ids


def lively_weights(config, anatomy, seed, rounded_to=torch.float32):
    """Returns random weights that reveal a forgotten gain, bias or transposition; exact in `rounded_to`.

    There is one tensor per parameter: a head tied to the embedding has none of its own.
    """
    model = meta_model(config, anatomy)
    parameters, shapes = stored_tensors(model), model.state_dict()
    generator = np.random.default_rng(seed)
    state = {}
    for name in sorted(shapes):
        shape = tuple(shapes[name].shape)
        noise = generator.standard_normal(shape)
        if name not in parameters:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        if name.endswith("bias"):
            value = 0.5 * noise
        elif len(shape) == 1:
            value = np.where(generator.random(shape) < 0.2, -0.6, 1.3) + 0.4 * noise
        elif isinstance(owner, torch.nn.Embedding):
            value = 0.9 * noise
        else:
            # For a stack of matrices (experts), each one's inputs.
            inputs = math.prod(shape[2:] if len(shape) == 3 else shape[1:])
            inputs = shape[0] if isinstance(owner, Conv1D) else inputs
            value = 1.2 * noise / math.sqrt(inputs)
        state[name] = torch.tensor(value).to(rounded_to).to(torch.float32)
    return state


def token_ids(config, seed, length):
    """Returns a random prompt with one token twice, so that positions matter."""
    ids = np.random.default_rng(seed + 1000).integers(3, config.vocab_size, length).tolist()
    ids[-2] = ids[1]
    return ids


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1 if "config" in path.name else None) + "\n")
