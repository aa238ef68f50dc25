// Dequantisation, compiled once per instruction set: included by instruction_set.inc.h.
//
// The formulas and their order of operations are those of the Python package gguf (`gguf.quants`), so every result is
// identical to the bit: each product and sum is rounded separately. Sixteen weights are widened at a time, whatever
// the width of the registers.

#pragma clang fp contract(off)

// Converts one IEEE half; a float represents it exactly, and NaN is preserved.
static inline float half(const uint8_t *source) {
  uint16_t h;
  memcpy(&h, source, 2);
#if HARDWARE_HALF && defined(__x86_64__)
  // Through a general register: a direct load into a vector register would depend on that register's old contents.
  uint32_t word = h;
  __asm__("" : "+r"(word));
  return _cvtsh_ss((uint16_t)word);
#elif HARDWARE_HALF
  _Float16 value;
  memcpy(&value, &h, 2);
  return (float)value;
#else
  const uint32_t magnitude = h & 0x7fff;
  // Exponents are biased by 15 and 127; the all-ones exponent (infinity, NaN) moves by the difference twice.
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

// Converts two adjacent halves, with one conversion where the hardware has it.
struct two { float first, second; };
static inline struct two two_halves(const uint8_t *source) {
#if HARDWARE_HALF && defined(__x86_64__)
  int32_t word;
  memcpy(&word, source, 4);
  const __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(word));
  return (struct two){both[0], both[1]};
#else
  return (struct two){half(source), half(source + 2)};
#endif
}
// The half at the start of a block, which must be followed by at least two more bytes of the block.
#define first_half(block) two_halves(block).first

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int8_t signed16 __attribute__((vector_size(16)));
#if HARDWARE_HALF
typedef _Float16 halves16 __attribute__((vector_size(32)));
#endif
typedef float floats16 __attribute__((vector_size(64)));

static inline bytes16 load16(const uint8_t *source) {
  bytes16 v;
  memcpy(&v, source, 16);
  return v;
}
#define store16(out, v) memcpy(out, &(floats16){v}, sizeof(floats16))
#define FLOATS(v) __builtin_convertvector(v, floats16)

// Computes an expression in q for the low nibbles of sixteen bytes and for the high ones, with q the nibbles as
// floats. Where a register holds sixteen floats, the expression is evaluated once for all sixteen nibble values, and
// the results are looked up.
static const floats16 every_nibble = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#if LANES == 16
#define NIBBLE_VALUES(name, EXPRESSION) \
  floats16 name;                        \
  {                                     \
    const floats16 q = every_nibble;    \
    name = EXPRESSION;                  \
  }
static inline floats16 look_up(floats16 values, bytes16 bytes, const int shift) {
  const __m512i words = _mm512_cvtepu8_epi32((__m128i)bytes);  // only the low four bits of an index count
  return (floats16)_mm512_permutexvar_ps(_mm512_srli_epi32(words, shift), (__m512)values);
}
#define STORE_LOW(out, bytes, name, EXPRESSION) store16(out, look_up(name, bytes, 0))
#define STORE_HIGH(out, bytes, name, EXPRESSION) store16(out, look_up(name, bytes, 4))
#else
#define NIBBLE_VALUES(name, EXPRESSION)
#define STORE_NIBBLES(out, nibbles, EXPRESSION) \
  {                                             \
    const floats16 q = FLOATS(nibbles);         \
    store16(out, EXPRESSION);                   \
  }
#define STORE_LOW(out, bytes, name, EXPRESSION) STORE_NIBBLES(out, (bytes) & 15, EXPRESSION)
#define STORE_HIGH(out, bytes, name, EXPRESSION) STORE_NIBBLES(out, (bytes) >> 4, EXPRESSION)
#endif
#define UNROLLED _Pragma("clang loop unroll(full)") for

// d (2) | 32 nibbles (16): the low ones are weights 0…15, the high ones 16…31.   w = d (q − 8)
static inline void q4_0(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  const bytes16 bytes = load16(block + 2);
  NIBBLE_VALUES(values, d * (q - 8))
  STORE_LOW(out, bytes, values, d * (q - 8));
  STORE_HIGH(out + 16, bytes, values, d * (q - 8));
}

// d (2) | m (2) | nibbles (16).   w = d q + m
static inline void q4_1(const uint8_t *restrict block, float *restrict out) {
  const struct two dm = two_halves(block);
  const float d = dm.first, m = dm.second;
  const bytes16 bytes = load16(block + 4);
  NIBBLE_VALUES(values, d * q + m)
  STORE_LOW(out, bytes, values, d * q + m);
  STORE_HIGH(out + 16, bytes, values, d * q + m);
}

// d (2) | fifth bits (4), bit i of weight i | nibbles (16).   w = d (q − 16)
static inline void q5_0(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  uint32_t high;
  memcpy(&high, block + 2, 4);
  for (int i = 0; i < 16; i++)
    out[i] = d * (float)((int)((block[6 + i] & 15) | (high >> i & 1) << 4) - 16);
  for (int i = 0; i < 16; i++)
    out[16 + i] = d * (float)((int)(block[6 + i] >> 4 | (high >> (16 + i) & 1) << 4) - 16);
}

// d (2) | m (2) | fifth bits (4) | nibbles (16).   w = d q + m
static inline void q5_1(const uint8_t *restrict block, float *restrict out) {
  const struct two dm = two_halves(block);
  const float d = dm.first, m = dm.second;
  uint32_t high;
  memcpy(&high, block + 4, 4);
  for (int i = 0; i < 16; i++)
    out[i] = d * (float)(int)((block[8 + i] & 15) | (high >> i & 1) << 4) + m;
  for (int i = 0; i < 16; i++)
    out[16 + i] = d * (float)(int)(block[8 + i] >> 4 | (high >> (16 + i) & 1) << 4) + m;
}

// d (2) | 32 signed bytes.   w = d q
static inline void q8_0(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  store16(out, d * FLOATS((signed16)load16(block + 2)));
  store16(out + 16, d * FLOATS((signed16)load16(block + 18)));
}

// The K types: 256 weights in groups of 16 or 32, each with a small integer scale of its own. Their fields are spread
// across the groups, so they are read sixteen bytes at a time, one bit field of the same bytes after another.

// scales (16), low nibble of d and high nibble of dmin | bit pairs (64) | d (2) | dmin (2).   w = (d s) q − dmin t
// Byte i of half h of the bit pairs holds weights 128 h + 32 k + i, k = 0…3, at bit 2 k.
static inline void q2_K(const uint8_t *restrict block, float *restrict out) {
  const bytes16 packed = load16(block);
  float scale[16], offset[16];
  store16(scale, half(block + 80) * FLOATS(packed & 15));
  store16(offset, half(block + 82) * FLOATS(packed >> 4));
  UNROLLED(int i = 0; i < 4; i++) {  // sixteen bytes of pairs: half i / 2, bytes 16 (i % 2) …
    const bytes16 pairs = load16(block + 16 + 16 * i);
    UNROLLED(int k = 0; k < 4; k++) {
      const int g = 8 * (i / 2) + 2 * k + i % 2;
      store16(out + 16 * g, scale[g] * FLOATS(pairs >> 2 * k & 3) - offset[g]);
    }
  }
}

// third bits (32), bit k of byte i belonging to weight 32 k + i | bit pairs (64) | 16 scales of 6 bits (12) | d (2).
// w = d (s − 32) · (q − 4 if the third bit is clear)
static inline void q3_K(const uint8_t *restrict block, float *restrict out) {
  uint8_t packed[16];
  for (int g = 0; g < 16; g++) {
    const int low = g < 8 ? block[96 + g] & 15 : block[88 + g] >> 4;
    packed[g] = (uint8_t)(low | (block[104 + g % 4] >> 2 * (g / 4) & 3) << 4);
  }
  float scale[16];
  store16(scale, half(block + 108) * FLOATS((signed16)load16(packed) - 32));
  UNROLLED(int i = 0; i < 4; i++) {
    const bytes16 pairs = load16(block + 32 + 16 * i), third = load16(block + 16 * (i % 2));
    UNROLLED(int k = 0; k < 4; k++) {
      const int g = 8 * (i / 2) + 2 * k + i % 2;
      const bytes16 q = (pairs >> 2 * k & 3) | (third >> g / 2 & 1) << 2;
      store16(out + 16 * g, scale[g] * FLOATS((signed16)q - 4));
    }
  }
}

// Unpacks eight scales and eight offsets of 6 bits from 12 bytes, multiplied by d and dmin, scales first. The first
// four of each are in the low bits of bytes 0…3 and 4…7, the others in the nibbles of bytes 8…11 and the top bits of
// 0…7.
static inline void scales_6(const uint8_t *restrict packed, struct two factor,
                            float *restrict scales) {
  const float d = factor.first, dmin = factor.second;
  uint32_t low, middle, high;
  memcpy(&low, packed, 4);
  memcpy(&middle, packed + 4, 4);
  memcpy(&high, packed + 8, 4);
  const uint32_t words[4] = {
      low & 0x3f3f3f3f,
      (high & 0x0f0f0f0f) | (low >> 2 & 0x30303030),
      middle & 0x3f3f3f3f,
      (high >> 4 & 0x0f0f0f0f) | (middle >> 2 & 0x30303030),
  };
  const floats16 factors = {d,    d,    d,    d,    d,    d,    d,    d,
                            dmin, dmin, dmin, dmin, dmin, dmin, dmin, dmin};
  store16(scales, factors * FLOATS(load16((const uint8_t *)words)));
}

// d (2) | dmin (2) | scales and offsets (12) | nibbles (128): 32 bytes hold two groups, low and high.
// w = (d s) q − dmin t
static inline void q4_K(const uint8_t *restrict block, float *restrict out) {
  float scales[16];
  scales_6(block + 4, two_halves(block), scales);
  UNROLLED(int g = 0; g < 8; g += 2) {
    NIBBLE_VALUES(low, scales[g] * q - scales[8 + g])
    NIBBLE_VALUES(high, scales[g + 1] * q - scales[9 + g])
    UNROLLED(int i = 0; i < 2; i++) {
      const bytes16 bytes = load16(block + 16 + 16 * (g + i));
      float *to = out + 32 * g + 16 * i;
      STORE_LOW(to, bytes, low, scales[g] * q - scales[8 + g]);
      STORE_HIGH(to + 32, bytes, high, scales[g + 1] * q - scales[9 + g]);
    }
  }
}

// As Q4_K, with the fifth bits (32) before the nibbles: bit g of byte i belongs to weight 32 g + i.
static inline void q5_K(const uint8_t *restrict block, float *restrict out) {
  float scales[16];
  scales_6(block + 4, two_halves(block), scales);
  UNROLLED(int i = 0; i < 8; i++) {
    const bytes16 q = load16(block + 48 + 16 * i), fifth = load16(block + 16 + 16 * (i % 2));
    const int g = i / 2 * 2;
    float *to = out + 32 * g + 16 * (i % 2);
    const bytes16 low = (q & 15) | (fifth >> g & 1) << 4;
    const bytes16 high = q >> 4 | (fifth >> (g + 1) & 1) << 4;
    store16(to, scales[g] * FLOATS(low) - scales[8 + g]);
    store16(to + 32, scales[g + 1] * FLOATS(high) - scales[9 + g]);
  }
}

// low nibbles (128) | high bit pairs (64) | 16 signed scales | d (2).   w = (d s) (q − 32)
// Byte i of half h of the nibbles holds weights 128 h + i and 128 h + 64 + i; the bit pairs are ordered as in Q2_K.
static inline void q6_K(const uint8_t *restrict block, float *restrict out) {
  float scale[16];
  store16(scale, half(block + 208) * FLOATS((signed16)load16(block + 192)));
  UNROLLED(int i = 0; i < 4; i++) {
    const bytes16 pairs = load16(block + 128 + 16 * i);
    UNROLLED(int k = 0; k < 4; k++) {
      const int g = 8 * (i / 2) + 2 * k + i % 2;
      const bytes16 nibbles = load16(block + 64 * (i / 2) + 32 * (k % 2) + 16 * (i % 2));
      const bytes16 q = (nibbles >> 4 * (k / 2) & 15) | (pairs >> 2 * k & 3) << 4;
      store16(out + 16 * g, scale[g] * FLOATS((signed16)q - 32));
    }
  }
}

#include "dequantize_tables.inc.h"
#include "dequantize_bytes.inc.h"

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
#if HARDWARE_HALF
      for (; count >= 16; count -= 16, bytes += 32, out += 16) {
        halves16 h;
        memcpy(&h, bytes, sizeof h);
        store16(out, FLOATS(h));
      }
#endif
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
    case CK_F8_E4M3: scaled_bytes(CK_F8_E4M3, bytes, 1, out, count); break;
    case CK_F8_E5M2: scaled_bytes(CK_F8_E5M2, bytes, 1, out, count); break;
    case CK_E8M0: scaled_bytes(CK_E8M0, bytes, 1, out, count); break;
    case CK_INT8: scaled_bytes(CK_INT8, bytes, 1, out, count); break;
#define BLOCKS(TYPE, FUNCTION)                                                            \
  case TYPE:                                                                              \
    for (; count > 0; count -= ck_block_of(TYPE).length, bytes += ck_block_of(TYPE).bytes, \
                      out += ck_block_of(TYPE).length)                                    \
      FUNCTION(bytes, out);                                                               \
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
      BLOCKS(CK_IQ2_XXS, iq2_xxs)
      BLOCKS(CK_IQ2_XS, iq2_xs)
      BLOCKS(CK_IQ2_S, iq2_s)
      BLOCKS(CK_IQ3_XXS, iq3_xxs)
      BLOCKS(CK_IQ3_S, iq3_s)
      BLOCKS(CK_IQ1_S, iq1_s)
      BLOCKS(CK_IQ1_M, iq1_m)
      BLOCKS(CK_IQ4_NL, iq4_nl)
      BLOCKS(CK_IQ4_XS, iq4_xs)
      BLOCKS(CK_TQ1_0, tq1_0)
      BLOCKS(CK_TQ2_0, tq2_0)
      BLOCKS(CK_MXFP4, mxfp4)
#undef BLOCKS
  }
}

#pragma clang fp contract(on)
