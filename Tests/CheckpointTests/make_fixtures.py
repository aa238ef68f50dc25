"""Makes Fixtures/: small checkpoints written by the Python packages `safetensors` and `gguf`, and what those packages
read back from them, for the tests to compare with.

    python Tests/CheckpointTests/make_fixtures.py      (needs numpy, torch, safetensors, gguf)
"""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from gguf import GGUFValueType as V
from safetensors.torch import save_file

folder = Path(__file__).parent / "Fixtures"
folder.mkdir(exist_ok=True)
random = np.random.default_rng(0)


def numbers(*shape):
    return random.standard_normal(shape).astype(np.float32)


# Safetensors with every floating-point type, and an integer type that cannot be computed with.
tensors = {
    "f64": torch.from_numpy(numbers(2, 3)).double() / 3,
    "f32": torch.from_numpy(numbers(3, 4)),
    "f16": torch.from_numpy(numbers(2, 5)).half(),
    "bf16": torch.from_numpy(numbers(5, 2)).bfloat16(),
    "bias": torch.from_numpy(numbers(4)),
    "kernel": torch.from_numpy(numbers(2, 3, 2, 2)),
    "scalar": torch.tensor(1.5),
    "ids": torch.arange(6),
}
save_file(tensors, folder / "types.safetensors", metadata={"format": "pt", "text": "é\n\"\\"})
expected = {
    name: {"shape": list(t.shape), "numbers": t.float().flatten().tolist()}
    for name, t in tensors.items()
}
(folder / "types.safetensors.json").write_text(json.dumps(expected))

# The same tensors written by torch.save: in its default format, in another pickle protocol, and in the format before 1.6;
# a state dictionary with a shared storage and a slice of one; a transposed view.
torch.save(tensors, folder / "types.bin")
torch.save(tensors, folder / "protocol4.bin", pickle_protocol=4)
torch.save(tensors, folder / "legacy.bin", _use_new_zipfile_serialization=False)
module = torch.nn.Module()
module.embedding = torch.nn.Embedding(4, 3)
module.head = torch.nn.Linear(3, 4, bias=False)
with torch.no_grad():
    module.embedding.weight.copy_(torch.arange(12).reshape(4, 3))
module.head.weight = module.embedding.weight
state = module.state_dict(keep_vars=True)
state["rows"] = state["head.weight"].detach()[1:3]
torch.save(state, folder / "tied.bin")
torch.save({"w": tensors["f32"].t()}, folder / "transposed.bin")

# GGUF with metadata of every type. It has tensors because a file without any is unusual.
writer = gguf.GGUFWriter(folder / "metadata.gguf", "test")
writer.add_uint8("u8", 200)
writer.add_int8("i8", -100)
writer.add_uint16("u16", 60000)
writer.add_int16("i16", -30000)
writer.add_uint32("u32", 4000000000)
writer.add_int32("i32", -2000000000)
writer.add_uint64("u64", 2**64 - 1)
writer.add_int64("i64", -(2**63))
writer.add_float32("f32", 0.1)
writer.add_float64("f64", 0.1)
writer.add_bool("yes", True)
writer.add_bool("no", False)
writer.add_string("text", "é\n\0end")
writer.add_array("strings", ["a", "", "Ġé", "x" * 100])
writer.add_array("integers", [-1, 0, 1, 2**31 - 1])
writer.add_array("reals", [0.5, -1e30])
writer.add_array("bools", [True, False, True])
writer.add_key_value("bytes", [0, 1, 255], V.ARRAY, sub_type=V.UINT8)
writer.add_custom_alignment(64)
writer.add_tensor("w", numbers(2, 3))
writer.add_tensor("b", numbers(5))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

# One GGUF file per stored type, each with a matrix (3, 512), and the dequantised numbers as raw float32. The package can
# quantise only to some types; for the others, random bytes are used, with the half-precision scales set to moderate values.
scales = {
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0], T.IQ3_S: [0], T.IQ1_S: [0],
    T.IQ1_M: [], T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [],
}
for kind in [T.F32, T.F16, T.BF16, T.F64, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, *scales]:
    matrix = numbers(3, 512)
    if kind == T.F32:
        raw = matrix
    elif kind == T.F64:
        raw = matrix.astype(np.float64) / 3
    elif kind in scales:
        length, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (3 * 512 // length, size), dtype=np.uint8)
        for at in scales[kind]:
            scale = random.uniform(-0.1, 0.1, len(blocks)).astype(np.float16)
            blocks[:, at : at + 2] = scale.view(np.uint8).reshape(-1, 2)
        if kind == T.IQ1_M:  # the highest nibble of the half-precision scale is the top nibble of the last word
            blocks[:, 55] = blocks[:, 55] & 15 | 0x20
        if kind == T.MXFP4:
            blocks[:, 0] = 123 + blocks[:, 0] % 4
        raw = blocks.reshape(3, -1)
    else:
        raw = gguf.quantize(matrix, kind)
    writer = gguf.GGUFWriter(folder / f"{kind.name}.gguf", "test")
    writer.add_tensor("w", raw, raw_dtype=kind)
    writer.add_tensor("b", numbers(7))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensor = gguf.GGUFReader(folder / f"{kind.name}.gguf").tensors[0]
    if kind in (T.F32, T.F16, T.F64):
        plain = tensor.data.astype(np.float32)
    else:
        plain = gguf.dequantize(tensor.data, kind).astype(np.float32)
    assert plain.shape == (3, 512) and np.isfinite(plain).all()
    plain.tofile(folder / f"{kind.name}.f32")

# A Jacobian lens in the exchange format: matrices by layer, in half and in single precision.
lens = {
    layer: (layer + torch.arange(9).reshape(3, 3) / 8).to(dtype)
    for layer, dtype in [(0, torch.float16), (2, torch.float32)]
}
torch.save({"J": lens, "n_prompts": 7, "source_layers": [0, 2], "d_model": 3}, folder / "lens.pt")
