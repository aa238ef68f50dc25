"""How published checkpoints store quantised weights: one function per format.

A function takes the stem of a tensor's name and a matrix (outputs, inputs), and returns the stored tensors and the weights
that they represent, in float32. Where transformers can dequantise on CPUs it is used; the other formulas are those of
compressed_tensors (quantization/lifecycle/forward.py, compressors/pack_quantized), bitsandbytes (backends/default/ops.py),
AutoAWQ (awq/utils/packing_utils.py) and AutoGPTQ (nn_modules/qlinear): the scale's own type rounds the product.
"""
import json

import numpy as np
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
LARGEST = {E4M3: 448.0, E5M2: 57344.0}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def spread(scales, rows, columns, block):
    """Expands one scale per block to one per weight; the last blocks may be incomplete."""
    wide = scales.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return wide[:rows, :columns]


def block_maxima(w, block):
    rows, columns = w.shape
    padded = torch.zeros(-(-rows // block[0]) * block[0], -(-columns // block[1]) * block[1])
    padded[:rows, :columns] = w.abs()
    blocks = padded.reshape(padded.shape[0] // block[0], block[0], -1, block[1])
    return blocks.amax((1, 3)).clamp(min=1e-6)


def fp8(block, scale_type=torch.float32, exponents=False):
    def quantize(stem, w):
        scale = block_maxima(w, block) / LARGEST[E4M3]
        if exponents:
            codes = (scale.log2().ceil() + 127).to(torch.uint8)
            scale = 2.0 ** (codes.float() - 127)
        scale = scale.to(scale_type)
        wide = spread(scale.float(), *w.shape, block)
        q = (w / wide).clamp(-448, 448).to(E4M3)
        stored = codes if exponents else scale
        weights = q.float() * wide
        if w.shape[0] % scale.shape[0] == 0 and w.shape[1] % scale.shape[1] == 0 and \
                (w.shape[0] // scale.shape[0], w.shape[1] // scale.shape[1]) == block:
            reference = Fp8Dequantize(None)._dequantize_one(q, stored, torch.float32)
            assert torch.equal(reference, weights)
        return {f"{stem}.weight": q, f"{stem}.weight_scale_inv": stored}, weights
    return quantize


def fp8_whole(stem, w):
    scale = w.abs().max() / 448
    q = (w / scale).to(E4M3)
    stored = {
        f"{stem}.weight": q, f"{stem}.weight_scale_inv": scale,
        f"{stem}.input_scale": torch.tensor(0.5)}
    return stored, q.float() * scale


def fp8_rows(kind, scale_type, name="weight_scale"):
    def quantize(stem, w):
        scale = (w.abs().amax(1, keepdim=True) / LARGEST[kind]).to(scale_type)
        q = (w / scale.float()).clamp(-LARGEST[kind], LARGEST[kind]).to(kind)
        weights = (q.to(scale_type) * scale).float()
        return {f"{stem}.weight": q, f"{stem}.{name}": scale}, weights
    return quantize


def int8_rows(stem, w):
    scale = (w.abs().amax(1, keepdim=True) / 127).bfloat16()
    q = (w / scale.float()).round().clamp(-128, 127).to(torch.int8)
    return {f"{stem}.weight": q, f"{stem}.weight_scale": scale}, (q.bfloat16() * scale).float()


def llm_int8(stem, w):
    scale = w.abs().amax(1)
    q = (w * 127 / scale[:, None]).round().to(torch.int8)
    stored = {
        f"{stem}.weight": q, f"{stem}.SCB": scale,
        f"{stem}.weight_format": torch.tensor(0, dtype=torch.uint8)}
    return stored, q * scale.view(-1, 1) * 7.874015718698502e-3


def e2m1(w, scale):
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    codes = ((w / scale)[..., None] - values).abs().argmin(-1)
    return torch.where((codes == 0) & (w < 0), 8, codes).to(torch.uint8), values


def mxfp4_rows(w):
    groups = w.reshape(*w.shape[:-1], -1, 32)
    exponents = (groups.abs().amax(-1).log2().floor() - 2 + 127).clamp(0, 254).to(torch.uint8)
    scale = 2.0 ** (exponents.float() - 127)
    codes, values = e2m1(groups, scale[..., None])
    weights = (values[codes.long()] * scale[..., None]).reshape(w.shape)
    return codes[..., ::2] | codes[..., 1::2] << 4, exponents, weights


def mxfp4_experts(stem, w):
    """A stack (experts, outputs, inputs), stored as by gpt-oss; the weights are (experts, inputs, outputs)."""
    blocks, scales, _ = mxfp4_rows(w)
    weights = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    return {f"{stem}_blocks": blocks, f"{stem}_scales": scales}, weights


def mxfp4_packed(stem, w):
    blocks, scales, weights = mxfp4_rows(w)
    stored = {f"{stem}.weight_packed": blocks.flatten(1), f"{stem}.weight_scale": scales}
    return stored, weights


def pack(codes, axis):
    """Packs eight four-bit codes along an axis into a word, the first one lowest; the last word is padded with zeros."""
    codes = np.moveaxis(np.asarray(codes), axis, -1).astype(np.uint32)
    codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % 8)])
    words = codes.reshape(*codes.shape[:-1], -1, 8) << (4 * np.arange(8, dtype=np.uint32))
    words = np.bitwise_or.reduce(words, -1).view(np.int32)
    return torch.tensor(np.ascontiguousarray(np.moveaxis(words, -1, axis)))


def ranges(w, group, scale_type):
    """The scales and four-bit zero points of groups of columns, both (rows, groups)."""
    groups = w.reshape(w.shape[0], -1, group)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((high - low) / 15).clamp(min=1e-4).to(scale_type)
    zero = (-low / scale.float()).round().clamp(0, 15)
    return scale, zero


def int4_packed(group, scale_type, has_zeros):
    def quantize(stem, w):
        size = group or w.shape[1]
        scale, zero = ranges(w, size, scale_type)
        if not has_zeros:
            scale = (w.reshape(len(w), -1, size).abs().amax(-1) / 7).to(scale_type)
            zero = torch.full(scale.shape, 8.0)
        wide, offset = (x.repeat_interleave(size, 1) for x in (scale, zero))
        codes = ((w / wide.float()).round() + offset).clamp(0, 15)
        weights = ((codes - 8).to(scale_type) - (offset - 8).to(scale_type)) * wide
        stored = {
            f"{stem}.weight_packed": pack(codes, 1), f"{stem}.weight_scale": scale,
            f"{stem}.weight_shape": torch.tensor(w.shape)}
        if has_zeros:
            stored[f"{stem}.weight_zero_point"] = pack(zero, 0)
        return stored, weights.float()
    return quantize


def awq(group):
    def quantize(stem, w):
        scale, zero = ranges(w, group, torch.float16)
        wide, offset = (x.repeat_interleave(group, 1) for x in (scale, zero))
        codes = ((w / wide.float()).round() + offset).clamp(0, 15)
        weights = (codes - offset).half() * wide
        order = [8 * i + k for i in range(len(w) // 8) for k in AWQ_ORDER]
        stored = {
            f"{stem}.qweight": pack(codes.T[:, order], 1), f"{stem}.scales": scale.T.contiguous(),
            f"{stem}.qzeros": pack(zero.T[:, order], 1)}
        return stored, weights.float()
    return quantize


def gptq(group, less_one=True, ordered=False, has_index=True):
    def quantize(stem, w):
        scale, zero = ranges(w, group, torch.float16)
        index = torch.arange(w.shape[1]) // group
        if ordered:
            index = index[torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(1))]
        wide, offset = scale[:, index], zero[:, index]
        codes = ((w / wide.float()).round() + offset).clamp(0, 15)
        weights = wide * (codes - offset).half()
        stored = {
            f"{stem}.qweight": pack(codes.T, 0), f"{stem}.scales": scale.T.contiguous(),
            f"{stem}.qzeros": pack((zero.T - int(less_one)) % 16, 1)}
        if has_index:
            stored[f"{stem}.g_idx"] = index.to(torch.int32)
        return stored, weights.float()
    return quantize


NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0]
FP4 = [
    0.0, 0.005208333333333333, 0.6666666666666666, 1.0, 0.3333333333333333, 0.5,
    0.16666666666666666, 0.25]
FP4 += [-x for x in FP4]


def bitsandbytes(kind, block, nested=0):
    def quantize(stem, w):
        name = f"{stem}.weight"
        table = torch.tensor(NF4 if kind == "nf4" else FP4)
        flat = w.flatten()
        blocks = torch.nn.functional.pad(flat, (0, -len(flat) % block)).reshape(-1, block)
        scale = blocks.abs().amax(1)
        state = {
            "quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": list(w.shape)}
        stored = {f"{name}.quant_map": table}
        if nested:
            offset = scale.mean().item()
            # A substitute for bitsandbytes' dynamic map: readers must accept any 256 numbers.
            values = torch.linspace(-1, 1, 256) ** 3
            runs = torch.nn.functional.pad(scale - offset, (0, -len(scale) % nested))
            outer = runs.reshape(-1, nested).abs().amax(1).clamp(min=1e-6)
            wide = outer.repeat_interleave(nested)[:len(scale)]
            codes = (((scale - offset) / wide)[:, None] - values).abs().argmin(1)
            scale = values[codes] * wide
            scale += offset
            stored |= {
                f"{name}.absmax": codes.to(torch.uint8), f"{name}.nested_absmax": outer,
                f"{name}.nested_quant_map": values}
            state |= {
                "nested_blocksize": nested, "nested_dtype": "float32", "nested_offset": offset}
        else:
            stored[f"{name}.absmax"] = scale
        q = ((blocks / scale[:, None])[..., None] - table).abs().argmin(-1)
        weights = (table[q] * scale[:, None]).flatten()[:len(flat)].reshape(w.shape)
        q = q.flatten()[:len(flat)]
        stored[name] = (q[::2] << 4 | q[1::2]).to(torch.uint8)[:, None]
        stored[f"{name}.quant_state.bitsandbytes__{kind}"] = torch.tensor(
            list(json.dumps(state).encode()), dtype=torch.uint8)
        return stored, weights
    return quantize


def compressed(form, bits, kind):
    weights = {"num_bits": bits, "type": kind, "symmetric": True}
    return {
        "quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


def fp8_config(block):
    return {
        "quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3",
        "weight_block_size": block}



BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}

# By name: the quantisation function, and the quantization_config of config.json.
FORMATS = {
    "fp8-blocks": (fp8((16, 32)), fp8_config([16, 32])),
    "fp8-ragged": (fp8((7, 48), torch.bfloat16), fp8_config([7, 48])),
    "fp8-exponents": (fp8((8, 32), exponents=True), fp8_config([8, 32])),
    "fp8-whole": (fp8_whole, fp8_config(None)),
    "fp8-rows": (
        fp8_rows(E4M3, torch.bfloat16), compressed("float-quantized", 8, "float")),
    "fp8-e5m2": (fp8_rows(E5M2, torch.float16), compressed("float-quantized", 8, "float")),
    "fbgemm": (fp8_rows(E4M3, torch.float32), {"quant_method": "fbgemm_fp8"}),
    "int8": (int8_rows, compressed("int-quantized", 8, "int")),
    "llm-int8": (llm_int8, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    "mxfp4-packed": (mxfp4_packed, compressed("mxfp4-pack-quantized", 4, "float")),
    "int4": (
        int4_packed(32, torch.bfloat16, False), compressed("pack-quantized", 4, "int")),
    "int4-zeros": (
        int4_packed(32, torch.float16, True), compressed("pack-quantized", 4, "int")),
    "int4-rows": (
        int4_packed(0, torch.float32, False), compressed("pack-quantized", 4, "int")),
    "awq": (awq(32), AWQ),
    "gptq": (gptq(32), GPTQ),
    "gptq-ordered": (gptq(32, ordered=True), GPTQ | {"desc_act": True}),
    "gptq-v2": (
        gptq(32, less_one=False, has_index=False), GPTQ | {"checkpoint_format": "gptq_v2"}),
    "nf4": (bitsandbytes("nf4", 64), BNB),
    "nf4-nested": (bitsandbytes("nf4", 48, nested=5), BNB | {"bnb_4bit_use_double_quant": True}),
    "fp4": (bitsandbytes("fp4", 64), BNB | {"bnb_4bit_quant_type": "fp4"}),
}
