// Dequantisation, compiled once per instruction set: included by instruction_set.inc.h.
//
// The formulas and their order of operations are those of the Python package gguf (`gguf.quants`), so every result is
// identical to the bit: each product and sum is rounded separately, except that scaled_sum may fuse the two. Sixteen
// weights are widened at a time, whatever the width of the registers.

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
typedef uint8_t bytes32 __attribute__((vector_size(32)));
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
static inline bytes32 load32(const uint8_t *source) {
  bytes32 v;
  memcpy(&v, source, 32);
  return v;
}
// Stores a vector of bytes.
#define store_bytes(to, v) memcpy(to, &(__typeof__(v)){v}, sizeof(v))
#define store16(out, v) memcpy(out, &(floats16){v}, sizeof(floats16))
#define FLOATS(v) __builtin_convertvector(v, floats16)

static const floats16 every_nibble = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#if LANES == 16
// The values at the low four bits of bytes shifted to the right.
static inline floats16 look_up(floats16 values, bytes16 bytes, const int shift) {
  const __m512i words = _mm512_cvtepu8_epi32((__m128i)bytes);  // only the low four bits of an index count
  return (floats16)_mm512_permutexvar_ps(_mm512_srli_epi32(words, shift), (__m512)values);
}
// Stores the values at the low nibbles of sixteen bytes, and those at the high ones.
ALWAYS void store_looked_up(floats16 low_values, floats16 high_values, bytes16 bytes, float *low,
                            float *high) {
  store16(low, look_up(low_values, bytes, 0));
  store16(high, look_up(high_values, bytes, 4));
}
#endif
#define UNROLLED _Pragma("clang loop unroll(full)") for

// Nibbles are widened to words by the load, two codes to a word, and separated there. Codes that take more steps are
// first unpacked to bytes, as many at a time as a register holds, and these are then converted and scaled: a load that
// widens bytes, a conversion and a multiplication per register of weights.

// Keeps an array in memory. Parts of it are then widened or broadcast by their loads, where a compiler that
// keeps it in registers shuffles them, which processors do only once or twice per cycle.
#define IN_MEMORY(array) __asm__("" : "+m"(array))

// d q + m. The product is exact, since d has at most 17 bits and q five; so it is the same whether it is fused with the
// sum or not.
ALWAYS floats16 scaled_sum(floats16 d, floats16 q, floats16 m) {
#pragma clang fp contract(on)
  return d * q + m;
}

// Sixteen copies of a number.
ALWAYS floats16 all(float x) { return (floats16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

// Two adjacent halves, sixteen copies of each.
struct two_vectors { floats16 first, second; };
ALWAYS struct two_vectors two_factors(const uint8_t *source) {
#if LANES > 4 && defined(__x86_64__)
  // Both are broadcast by the load, converted together, and separated within the quarters of a register.
  int32_t word;
  memcpy(&word, source, 4);
#if LANES == 16
  __m512 both = _mm512_cvtph_ps(_mm256_set1_epi32(word));
  __asm__("" : "+v"(both));
  return (struct two_vectors){(floats16)_mm512_moveldup_ps(both), (floats16)_mm512_movehdup_ps(both)};
#else
  __m256 both = _mm256_cvtph_ps(_mm_set1_epi32(word));
  __asm__("" : "+x"(both));
  const __m256 d = _mm256_moveldup_ps(both), m = _mm256_movehdup_ps(both);
#define TWICE(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  return (struct two_vectors){TWICE(d), TWICE(m)};
#undef TWICE
#endif
#else
  const struct two two = two_halves(source);
  return (struct two_vectors){all(two.first), all(two.second)};
#endif
}

// Stores d q of COUNT · 16 codes, signed bytes in memory.
#define STORE_SCALED(COUNT, codes, d, out)     \
  UNROLLED(int part = 0; part < COUNT; part++) \
      store16((out) + 16 * part, (d) * FLOATS((signed16)load16((codes) + 16 * part)));
// Stores d q + m.
#define STORE_SCALED_SUMS(COUNT, codes, factors, out) \
  UNROLLED(int part = 0; part < COUNT; part++)        \
      store16((out) + 16 * part,                      \
              scaled_sum((factors).first, FLOATS(load16((codes) + 16 * part)), (factors).second));

typedef int32_t words_of_codes __attribute__((vector_size(64)));

// Stores d q + m of the low nibbles of sixteen bytes in memory, and with factors of their own of the high ones.
ALWAYS void store_nibbles(struct two_vectors low_factors, struct two_vectors high_factors,
                          const uint8_t *packed, float *low, float *high) {
  const words_of_codes pairs = __builtin_convertvector(load16(packed), words_of_codes);
  store16(low, scaled_sum(low_factors.first, FLOATS(pairs & 15), low_factors.second));
  store16(high, scaled_sum(high_factors.first, FLOATS(pairs >> 4), high_factors.second));
}

// Unpacks 32 codes of five bits: their fifth bits (4), bit i of code i, and sixteen bytes of nibbles, the low ones
// first.
ALWAYS bytes32 codes_of_5_bits(const uint8_t *restrict fifth, const uint8_t *restrict packed) {
  typedef uint32_t words8 __attribute__((vector_size(32)));
#define IN_ORDER 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define EIGHT(i) i, i, i, i, i, i, i, i
  const bytes16 bytes = load16(packed), single = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const bytes32 masks = __builtin_shufflevector(single, single, IN_ORDER, IN_ORDER);
  uint32_t w;
  memcpy(&w, fifth, 4);
  const bytes32 bits = (bytes32)(words8){w, w, w, w, w, w, w, w};
  const bytes32 of_code = __builtin_shufflevector(bits, bits, EIGHT(0), EIGHT(1), EIGHT(18), EIGHT(19));
  const bytes32 nibbles = __builtin_shufflevector(bytes & 15, bytes >> 4, IN_ORDER, 16, 17, 18, 19, 20, 21, 22,
                                                  23, 24, 25, 26, 27, 28, 29, 30, 31);
#undef IN_ORDER
#undef EIGHT
  return nibbles | ((bytes32)((of_code & masks) == masks) & 16);
}

// d (2) | 32 nibbles (16): the low ones are weights 0…15, the high ones 16…31.   w = d (q − 8)
static inline void q4_0(const uint8_t *restrict block, float *restrict out) {
  const floats16 d = two_factors(block).first;
  const bytes16 bytes = load16(block + 2);
#if LANES == 16
  const floats16 values = d * (every_nibble - 8);
  store_looked_up(values, values, bytes, out, out + 16);
#else
  const words_of_codes pairs = __builtin_convertvector(bytes, words_of_codes);
  store16(out, d * FLOATS((pairs & 15) - 8));
  store16(out + 16, d * FLOATS((pairs >> 4) - 8));
#endif
}

// d (2) | m (2) | nibbles (16).   w = d q + m
static inline void q4_1(const uint8_t *restrict block, float *restrict out) {
  const struct two_vectors dm = two_factors(block);
#if LANES == 16
  const floats16 values = scaled_sum(dm.first, every_nibble, dm.second);
  store_looked_up(values, values, load16(block + 4), out, out + 16);
#else
  store_nibbles(dm, dm, block + 4, out, out + 16);
#endif
}

// Blocks of 32 codes that are unpacked to bytes are taken several together: a load waits for a store that it follows
// closely.
#define MOST_BLOCKS 8

// d (2) | fifth bits (4), bit i of weight i | nibbles (16).   w = d (q − 16)
static inline void q5_0(const uint8_t *restrict block, int64_t blocks, float *restrict out) {
  enum { BYTES = 22 };
  uint8_t codes[32 * MOST_BLOCKS];
  for (int64_t i = 0; i < blocks; i++)
    store_bytes(codes + 32 * i, codes_of_5_bits(block + BYTES * i + 2, block + BYTES * i + 6) - 16);
  IN_MEMORY(codes);
  for (int64_t i = 0; i < blocks; i++)
    STORE_SCALED(2, codes + 32 * i, two_factors(block + BYTES * i).first, out + 32 * i)
}

// d (2) | m (2) | fifth bits (4) | nibbles (16).   w = d q + m
static inline void q5_1(const uint8_t *restrict block, int64_t blocks, float *restrict out) {
  enum { BYTES = 24 };
  uint8_t codes[32 * MOST_BLOCKS];
  for (int64_t i = 0; i < blocks; i++)
    store_bytes(codes + 32 * i, codes_of_5_bits(block + BYTES * i + 4, block + BYTES * i + 8));
  IN_MEMORY(codes);
  for (int64_t i = 0; i < blocks; i++) {
    const struct two_vectors dm = two_factors(block + BYTES * i);
    STORE_SCALED_SUMS(2, codes + 32 * i, dm, out + 32 * i)
  }
}

// d (2) | 32 signed bytes.   w = d q
static inline void q8_0(const uint8_t *restrict block, float *restrict out) {
  const floats16 d = two_factors(block).first;
  STORE_SCALED(2, block + 2, d, out)
}

#include "dequantize_k.inc.h"
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
      BLOCKS(CK_IQ4_XS, iq4_xs)
      BLOCKS(CK_TQ1_0, tq1_0)
      BLOCKS(CK_TQ2_0, tq2_0)
      BLOCKS(CK_MXFP4, mxfp4)
#undef BLOCKS
#define SEVERAL_BLOCKS(TYPE, FUNCTION)                                                                \
  case TYPE:                                                                                         \
    for (int64_t blocks; count > 0; count -= 32 * blocks, bytes += blocks * ck_block_of(TYPE).bytes, \
                 out += 32 * blocks) {                                                               \
      blocks = ck_min(ck_tiles(count, 32), MOST_BLOCKS);                                             \
      FUNCTION(bytes, blocks, out);                                                                  \
    }                                                                                                \
    break;
      SEVERAL_BLOCKS(CK_Q5_0, q5_0)
      SEVERAL_BLOCKS(CK_Q5_1, q5_1)
      SEVERAL_BLOCKS(CK_IQ4_NL, iq4_nl)
#undef SEVERAL_BLOCKS
  }
}

#pragma clang fp contract(on)
