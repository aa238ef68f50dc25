// Dequantisation, compiled once per instruction set: included by instruction_set.inc.h.
//
// The formulas and their order of operations are those of the Python package gguf (`gguf.quants`), so every result is
// the same to the bit: products and sums are rounded one by one. Inner loops run over 16 or 32 bytes with everything
// else constant, which is what makes compilers turn them into a handful of vector instructions.

#pragma clang fp contract(off)

// One IEEE half. Its value fits a float exactly; a NaN stays a NaN.
static inline float half(const uint8_t *source) {
#if HARDWARE_HALF
  _Float16 h;
  memcpy(&h, source, 2);
  return (float)h;
#else
  uint16_t h;
  memcpy(&h, source, 2);
  const uint32_t magnitude = h & 0x7fff;
  // Exponents are biased by 15 and 127; the all-ones exponent (infinity, NaN) moves by as much again.
  const uint32_t bias = magnitude >= 0x7c00 ? 2 * 112 << 23 : 112 << 23;
  const uint32_t normal = (magnitude << 13) + bias;
  const float subnormal = (float)(int32_t)magnitude * 0x1p-24f;
  uint32_t bits;
  memcpy(&bits, &subnormal, 4);
  bits = (magnitude < 0x400 ? bits : normal) | (uint32_t)(h & 0x8000) << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
#endif
}

// d (2) | 32 nibbles (16): the low ones are weights 0…15, the high ones 16…31.   w = d (q − 8)
static inline void q4_0(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block);
  for (int i = 0; i < 16; i++) out[i] = d * (float)((block[2 + i] & 15) - 8);
  for (int i = 0; i < 16; i++) out[16 + i] = d * (float)((block[2 + i] >> 4) - 8);
}

// d (2) | m (2) | nibbles (16).   w = d q + m
static inline void q4_1(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block), m = half(block + 2);
  for (int i = 0; i < 16; i++) out[i] = d * (float)(block[4 + i] & 15) + m;
  for (int i = 0; i < 16; i++) out[16 + i] = d * (float)(block[4 + i] >> 4) + m;
}

// d (2) | fifth bits (4), bit i of weight i | nibbles (16).   w = d (q − 16)
static inline void q5_0(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block);
  uint32_t high;
  memcpy(&high, block + 2, 4);
  for (int i = 0; i < 16; i++)
    out[i] = d * (float)((int)((block[6 + i] & 15) | (high >> i & 1) << 4) - 16);
  for (int i = 0; i < 16; i++)
    out[16 + i] = d * (float)((int)(block[6 + i] >> 4 | (high >> (16 + i) & 1) << 4) - 16);
}

// d (2) | m (2) | fifth bits (4) | nibbles (16).   w = d q + m
static inline void q5_1(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block), m = half(block + 2);
  uint32_t high;
  memcpy(&high, block + 4, 4);
  for (int i = 0; i < 16; i++)
    out[i] = d * (float)(int)((block[8 + i] & 15) | (high >> i & 1) << 4) + m;
  for (int i = 0; i < 16; i++)
    out[16 + i] = d * (float)(int)(block[8 + i] >> 4 | (high >> (16 + i) & 1) << 4) + m;
}

// d (2) | 32 signed bytes.   w = d q
static inline void q8_0(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block);
  for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)block[2 + i];
}

// The K types: 256 weights in groups of 16 or 32, each with a small integer scale of its own. Bit pairs lie in fours:
// byte i of half h holds weights 128 h + 32 k + i, k = 0…3, at bit 2 k.

// scales (16), low nibble of d and high nibble of dmin | bit pairs (64) | d (2) | dmin (2).   w = (d s) q − dmin t
static inline void q2_K(const uint8_t *restrict block, float *restrict out) {
  const uint8_t *pairs = block + 16;
  const float d = half(block + 80), dmin = half(block + 82);
  for (int g = 0; g < 16; g++) {
    const float scale = d * (float)(block[g] & 15), offset = dmin * (float)(block[g] >> 4);
    const int shift = 2 * (g / 2 % 4);
    const uint8_t *q = pairs + 32 * (g / 8) + 16 * (g % 2);
    for (int i = 0; i < 16; i++) out[16 * g + i] = scale * (float)(q[i] >> shift & 3) - offset;
  }
}

// third bits (32), bit k of byte i belonging to weight 32 k + i | bit pairs (64) | 16 scales of 6 bits (12) | d (2).
// w = d (s − 32) · (q − 4 if the third bit is clear)
static inline void q3_K(const uint8_t *restrict block, float *restrict out) {
  const uint8_t *pairs = block + 32, *scales = block + 96;
  const float d = half(block + 108);
  for (int g = 0; g < 16; g++) {
    const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
    const int high = scales[8 + g % 4] >> 2 * (g / 4) & 3;
    const float scale = d * (float)((low | high << 4) - 32);
    const int shift = 2 * (g / 2 % 4), bit = g / 2;
    const uint8_t *q = pairs + 32 * (g / 8) + 16 * (g % 2), *third = block + 16 * (g % 2);
    for (int i = 0; i < 16; i++)
      out[16 * g + i] = scale * (float)((q[i] >> shift & 3) - 4 + (third[i] >> bit & 1) * 4);
  }
}

// Eight scales and eight offsets of 6 bits in 12 bytes: the first four of each in the low bits of bytes 0…3 and 4…7, the
// others in the nibbles of bytes 8…11 and the top bits of 0…7.
static inline void scales_6(const uint8_t *restrict packed, uint8_t *restrict scale,
                                  uint8_t *restrict offset) {
  for (int i = 0; i < 4; i++) {
    scale[i] = packed[i] & 63;
    offset[i] = packed[4 + i] & 63;
    scale[4 + i] = (packed[8 + i] & 15) | (packed[i] >> 2 & 48);
    offset[4 + i] = packed[8 + i] >> 4 | (packed[4 + i] >> 2 & 48);
  }
}

// d (2) | dmin (2) | scales and offsets (12) | nibbles (128): 32 bytes hold two groups, low and high.
// w = (d s) q − dmin t
static inline void q4_K(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block), dmin = half(block + 2);
  uint8_t scales[8], offsets[8];
  scales_6(block + 4, scales, offsets);
  for (int g = 0; g < 8; g += 2) {
    const uint8_t *q = block + 16 + 16 * g;
    float scale = d * (float)scales[g], offset = dmin * (float)offsets[g];
    for (int i = 0; i < 32; i++) out[32 * g + i] = scale * (float)(q[i] & 15) - offset;
    scale = d * (float)scales[g + 1], offset = dmin * (float)offsets[g + 1];
    for (int i = 0; i < 32; i++) out[32 * g + 32 + i] = scale * (float)(q[i] >> 4) - offset;
  }
}

// As Q4_K, with the fifth bits (32) before the nibbles: bit g of byte i belongs to weight 32 g + i.
static inline void q5_K(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block), dmin = half(block + 2);
  uint8_t scales[8], offsets[8];
  scales_6(block + 4, scales, offsets);
  const uint8_t *fifth = block + 16;
  for (int g = 0; g < 8; g++) {
    const uint8_t *q = block + 48 + 32 * (g / 2);
    const int shift = 4 * (g % 2);
    const float scale = d * (float)scales[g], offset = dmin * (float)offsets[g];
    for (int i = 0; i < 32; i++)
      out[32 * g + i] = scale * (float)((q[i] >> shift & 15) | (fifth[i] >> g & 1) << 4) - offset;
  }
}

// low nibbles (128) | high bit pairs (64) | 16 signed scales | d (2).   w = (d s) (q − 32)
static inline void q6_K(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block + 208);
  for (int g = 0; g < 16; g++) {
    const int h = g / 8, k = g / 2 % 4;
    const uint8_t *low = block + 64 * h + 32 * (k % 2) + 16 * (g % 2);
    const uint8_t *high = block + 128 + 32 * h + 16 * (g % 2);
    const int low_shift = 4 * (k / 2), high_shift = 2 * k;
    const float scale = d * (float)(int8_t)block[192 + g];
    for (int i = 0; i < 16; i++)
      out[16 * g + i] =
          scale *
          (float)(((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4) - 32);
  }
}

static void dequantize(int32_t type, const void *source, float *restrict out,
                             int64_t count) {
  const uint8_t *restrict bytes = source;
  switch (type) {
    case CK_F32: memcpy(out, source, (size_t)count * 4); break;
    case CK_F64:
      for (int64_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, bytes + 8 * i, 8);
        out[i] = (float)value;
      }
      break;
    case CK_F16:
      for (int64_t i = 0; i < count; i++) out[i] = half(bytes + 2 * i);
      break;
    case CK_BF16:
      for (int64_t i = 0; i < count; i++) {
        uint16_t high;
        memcpy(&high, bytes + 2 * i, 2);
        const uint32_t bits = (uint32_t)high << 16;
        memcpy(out + i, &bits, 4);
      }
      break;
#define BLOCKS(TYPE, FUNCTION)                                                     \
  case TYPE:                                                                       \
    for (const int64_t length = ck_block_length(TYPE), size = ck_block_bytes(TYPE); count > 0; \
         count -= length, bytes += size, out += length)                            \
      FUNCTION(bytes, out);                                                  \
    break;
      BLOCKS(CK_Q4_0, q4_0)
      BLOCKS(CK_Q4_1, q4_1)
      BLOCKS(CK_Q5_0, q5_0)
      BLOCKS(CK_Q5_1, q5_1)
      BLOCKS(CK_Q8_0, q8_0)
      BLOCKS(CK_Q2_K, q2_K)
      BLOCKS(CK_Q3_K, q3_K)
      BLOCKS(CK_Q4_K, q4_K)
      BLOCKS(CK_Q5_K, q5_K)
      BLOCKS(CK_Q6_K, q6_K)
#undef BLOCKS
  }
}

#pragma clang fp contract(on)
