"""Makes Fixtures/quantized/: a matrix, or a stack of matrices, in each format of quantization.py, and its weights as raw float32.

    python Tests/CheckpointTests/make_quantized.py      (needs numpy, torch, safetensors, transformers)
"""
import json
from pathlib import Path

import torch
from quantization import FORMATS, fp8, fp8_config, mxfp4_experts
from safetensors.torch import save_file

folder = Path(__file__).parent / "Fixtures" / "quantized"
folder.mkdir(exist_ok=True)
torch.manual_seed(7)


def write(name, stored, weights, config):
    stored = {key: value.contiguous() for key, value in stored.items()}
    metadata = {"config": json.dumps(config)}
    save_file(stored, folder / f"{name}.safetensors", metadata=metadata)
    assert weights.dtype == torch.float32 and weights.isfinite().all()
    weights.contiguous().numpy().tofile(folder / f"{name}.f32")


for name, (quantize, config) in FORMATS.items():
    # More columns than are widened at a time, and a number of rows that no block divides.
    write(name, *quantize("w", torch.randn(24, 320) * torch.linspace(0.01, 2, 320)), config)

w = torch.randn(3, 10, 64)
write("mxfp4-experts", *mxfp4_experts("w", w), {"quant_method": "mxfp4"})
parts = [fp8((4, 32))(f"{e}", w[e]) for e in range(3)]
stack = lambda key: torch.stack([stored[f"{e}.{key}"] for e, (stored, _) in enumerate(parts)])
write(
    "fp8-experts", {"w": stack("weight"), "w_scale_inv": stack("weight_scale_inv")},
    torch.stack([weights for _, weights in parts]), fp8_config([4, 32]))
