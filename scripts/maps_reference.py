#!/usr/bin/env python3
"""Writes the float64 reference of maps of a trained model, from its dequantised weights: scripts/real/smollm2-135m-maps.json.

    scripts/maps_reference.py

It runs the model of transformers with every number in float64, forms its Jacobians between boundaries with torch's reverse mode
(forward mode where the output is the longer side) and decomposes them; Krylens is not used. The maps are defined by options of
`krylens triplets`; verify_maps.py runs it with them. Needs gguf, torch, transformers, 3 GB; takes some minutes.
"""
import json
import sys

import torch
import transformers

import real_models
from real_reference import FOLDER, GGUF, lifted

MODEL = "smollm2-135m"
# The first tokens of two texts of the model's own reference.
LENGTHS = [10, 9]
TOP = 12
# A map's options, and whether it is the average over the prompts.
MAPS = [
    ({"from-layer": 0, "to-layer": 30, "from-token": "last", "to-token": "last"}, False),
    ({"from-layer": 4, "to-layer": 12, "from-token": "2", "to-token": "last"}, False),
    ({"from-layer": 9, "to-layer": 10, "from-token": "3,4,5", "to-token": "5,6,-1"}, False),
    ({"from-layer": 10, "to-layer": 11, "from-token": "all", "to-token": "all"}, False),
    ({"from-layer": 20, "to-layer": 30, "from-token": "1", "to-token": "all", "reduce": "sum"}, False),
    ({"from-layer": 15, "to-layer": "final", "from-token": "last", "to-token": "last"}, False),
    ({"from-layer": 27, "to-layer": "logits", "from-token": "last", "to-token": "last"}, False),
    ({"from-layer": 3, "to-layer": 28, "from-token": "last", "to-token": "last"}, True),
]


def load(path):
    """The whole model in float64, and the rotation of its positions."""
    file = GGUF(path)
    config = file.configuration()
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval().requires_grad_(False)
    model.model.embed_tokens.weight.data = file.array("token_embd.weight")
    model.model.norm.weight.data = file.array("output_norm.weight")
    for l, block in enumerate(model.model.layers):
        block.load_state_dict(file.block(l), strict=True)
    return model, file.head()


class Path:
    """One prompt's states, and the function between two boundaries."""

    def __init__(self, model, head, token_ids):
        self.model, self.head = model, head
        n = len(token_ids)
        self.mask = torch.full((n, n), -torch.inf, dtype=torch.float64).triu(1)[None, None]
        self.ids = torch.arange(n)[None]
        self.rotation = model.model.rotary_emb(model.model.embed_tokens.weight[:1][None], self.ids)
        self.states = [model.model.embed_tokens.weight[token_ids][None]]
        for l in range(len(model.model.layers)):
            self.states.append(self.through(self.states[-1], l))

    def through(self, x, l):
        y = self.model.model.layers[l](
            x, attention_mask=self.mask, position_ids=self.ids, position_embeddings=self.rotation)
        return y[0] if isinstance(y, tuple) else y

    def tokens(self, text):
        n = self.ids.shape[1]
        if text == "all":
            return list(range(n))
        return sorted({n - 1 if t == "last" else int(t) % n for t in str(text).split(",")})

    def jacobian(self, options):
        """The Jacobian (outputs, inputs), the identity subtracted where the command does."""
        start, end = options["from-layer"], options["to-layer"]
        sources, targets = self.tokens(options["from-token"]), self.tokens(options["to-token"])
        layers = len(self.model.model.layers)

        def f(rows):
            x = self.states[start][0].index_put((torch.tensor(sources),), rows)[None]
            for l in range(start, end if isinstance(end, int) else layers):
                x = self.through(x, l)
            if not isinstance(end, int):
                x = self.model.model.norm(x)
            x = x[0, targets]
            if end == "logits":
                x = x @ self.head.T
            return x.sum(0) if options.get("reduce") == "sum" else x

        rows = self.states[start][0, sources]
        if end == "logits":
            tangents = torch.eye(rows.numel(), dtype=rows.dtype).reshape(-1, *rows.shape)
            columns = torch.func.vmap(lambda v: torch.func.jvp(f, (rows,), (v,))[1], chunk_size=64)(tangents)
            j = columns.reshape(rows.numel(), -1).T
        else:
            j = torch.func.jacrev(f, chunk_size=64)(rows).reshape(-1, rows.numel())
        if isinstance(end, int) and sources == targets and "reduce" not in options:
            j = j - torch.eye(len(j), dtype=j.dtype)
        return j


def main():
    torch.set_default_dtype(torch.float64)
    texts = json.loads((FOLDER / f"{MODEL}.json").read_text())["texts"]
    prompts = [text["token_ids"][:n] for text, n in zip(texts, LENGTHS)]
    with lifted(sys.modules[transformers.LlamaForCausalLM.__module__]):
        model, head = load(real_models.fetch(MODEL))
        paths = [Path(model, head, ids) for ids in prompts]
        maps = []
        for options, averages in MAPS:
            jacobians = [p.jacobian(options) for p in (paths if averages else paths[:1])]
            j = sum(jacobians) / len(jacobians)
            values = torch.linalg.eigvalsh(j.T @ j).flip(0).clamp(0).sqrt() if len(j) > 10_000 else torch.linalg.svdvals(j)
            maps.append({
                "options": options | ({"average": True} if averages else {}), "shape": list(j.shape),
                "sigma": values[:TOP].tolist(), "frobenius": float(j.norm())})
            print(f"  {options}: σ₁ {values[0]:.6g}", file=sys.stderr)
    result = {"model": MODEL, "prompts": prompts, "maps": maps}
    (FOLDER / f"{MODEL}-maps.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
