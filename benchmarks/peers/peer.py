#!/usr/bin/env python3
"""Times what a PyTorch user would do for one Llama-shaped block; see README.md. Prints one line of JSON."""
import argparse
import json
import resource
import time

import numpy
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=["published", "jacrev", "svds", "subspace"])
    for name, value in [("width", 4096), ("hidden", 14336), ("heads", 32), ("kv-heads", 8), ("tokens", 10), ("top", 10)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--svds-tolerance", type=float, default=1e-2, help="scipy's tol, about sigma squared")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of subspace iteration")
    return parser.parse_args()


def last_token_function(a):
    """x ↦ F(X)'s last row with x as X's last row, and the point x."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=a.width, intermediate_size=a.hidden, num_attention_heads=a.heads, num_key_value_heads=a.kv_heads,
        num_hidden_layers=1, vocab_size=32)
    config._attn_implementation = "eager"
    layer = LlamaDecoderLayer(config, 0).eval()
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() == 2:
            parameter.normal_(0, 0.02)
    states = torch.randn(1, a.tokens, a.width)
    positions = torch.arange(a.tokens)[None]
    rotary = LlamaRotaryEmbedding(config)(states, positions)
    mask = torch.full((1, 1, a.tokens, a.tokens), float("-inf")).triu(1)

    def function(x):
        whole = torch.cat([states[:, :-1], x.view(1, 1, -1)], 1)
        out = layer(whole, attention_mask=mask, position_ids=positions, position_embeddings=rotary)
        return (out[0] if isinstance(out, tuple) else out)[0, -1]

    return function, states[0, -1].clone()


def dense(jacobian, top):
    u, s, vt = torch.linalg.svd(jacobian)
    return u[:, :top].T.numpy(), s[:top].numpy(), vt[:top].numpy()


def published(function, x, a):
    x = x.clone().requires_grad_(True)
    out = function(x)
    row = torch.func.vmap(
        lambda u: torch.autograd.grad(out, x, u, retain_graph=True)[0], chunk_size=max(1, a.width // 16))
    return dense((row(torch.eye(a.width)) - torch.eye(a.width)).detach(), a.top)


def jacrev(function, x, a):
    jacobian = torch.func.jacrev(function, chunk_size=256)(x)
    return dense((jacobian - torch.eye(a.width)).detach(), a.top)


def products(function, x):
    """v ↦ J v and u ↦ Jᵀ u of the residual Jacobian, each from one recorded evaluation."""
    _, push = torch.func.linearize(function, x)
    _, pull = torch.func.vjp(function, x)
    return lambda v: push(v) - v, lambda u: pull(u)[0] - u


def svds(function, x, a):
    from scipy.sparse.linalg import LinearOperator, svds as scipy_svds

    forward, adjoint = products(function, x)
    tensor = lambda v: torch.from_numpy(numpy.ascontiguousarray(v.ravel(), dtype=numpy.float32))
    operator = LinearOperator(
        (a.width, a.width), matvec=lambda v: forward(tensor(v)).numpy(), rmatvec=lambda u: adjoint(tensor(u)).numpy(),
        dtype=numpy.float32)
    u, s, vt = scipy_svds(operator, k=a.top, tol=a.svds_tolerance)
    order = numpy.argsort(-s)
    return u[:, order].T, s[order], vt[order]


def subspace(function, x, a):
    forward, adjoint = (torch.func.vmap(f) for f in products(function, x))
    orthonormal = lambda rows: torch.linalg.qr(rows.T)[0].T.contiguous()
    v = orthonormal(torch.randn(a.top + 10, a.width))
    for _ in range(a.rounds):
        v = orthonormal(adjoint(orthonormal(forward(v))))
    u, s, rotation = torch.linalg.svd(forward(v).T, full_matrices=False)
    return u.T[: a.top].numpy(), s[: a.top].numpy(), (rotation @ v)[: a.top].numpy()


def worst_residual(function, x, u, s, v):
    forward, adjoint = products(function, x)
    tensor = lambda w: torch.from_numpy(numpy.ascontiguousarray(w, dtype=numpy.float32))
    norms = [
        max(
            numpy.linalg.norm(forward(tensor(v[i])).numpy() - s[i] * u[i]),
            numpy.linalg.norm(adjoint(tensor(u[i])).numpy() - s[i] * v[i]),
        )
        for i in range(len(s))
    ]
    return float(max(norms) / s[0])


def main():
    a = arguments()
    function, x = last_token_function(a)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    with torch.no_grad() if a.method in ("svds", "subspace") else torch.enable_grad():
        u, s, v = {"published": published, "jacrev": jacrev, "svds": svds, "subspace": subspace}[a.method](function, x, a)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({
        "method": a.method, "width": a.width, "hidden": a.hidden, "tokens": a.tokens, "top": a.top,
        "threads": torch.get_num_threads(), "torch": torch.__version__, "seconds": seconds,
        "residual": worst_residual(function, x, u, s, v), "peak_bytes": peak, "bytes_before": before,
        "singular_values": [float(value) for value in s],
    }))


main()
