// Dequantisation of the types whose numbers are looked up in tables or are ternary, compiled once per instruction
// set: included by dequantize.inc.h, whose definitions and order of operations it uses.

// MARK: Tables of sixteen

// The table's entries for sixteen indices below 16.
static inline signed16 pick(signed16 table, bytes16 indices) {
#if defined(__x86_64__) && LANES > 4
  return (signed16)_mm_shuffle_epi8((__m128i)table, (__m128i)indices);
#else
  signed16 picked;
  for (int i = 0; i < 16; i++) picked[i] = table[indices[i] & 15];
  return picked;
#endif
}

// Stores the entries for the low nibbles of sixteen bytes, and then those for the high ones.
ALWAYS void pick_nibbles(const uint8_t *restrict packed, signed16 table, uint8_t *restrict codes) {
  const bytes16 bytes = load16(packed);
  store_bytes(codes, pick(table, bytes & 15));
  store_bytes(codes + 16, pick(table, bytes >> 4));
}

static const signed16 nonlinear_nibbles = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of the 4-bit numbers with a sign, two exponent bits and one mantissa bit.
static const signed16 doubled_e2m1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Sixteen bytes of nibbles: the low ones are weights 0…15, the high ones 16…31.   w = d table[q]
static inline void table_nibbles(const uint8_t *restrict packed, float d, signed16 table,
                                 float *restrict out) {
#if LANES == 16
  const floats16 values = d * FLOATS(table);
  store_looked_up(values, values, load16(packed), out, out + 16);
#else
  uint8_t codes[32];
  pick_nibbles(packed, table, codes);
  IN_MEMORY(codes);
  STORE_SCALED(2, codes, all(d), out)
#endif
}

// d (2) | nibbles (16)
static inline void iq4_nl(const uint8_t *restrict block, int64_t blocks, float *restrict out) {
  enum { BYTES = 18 };
#if LANES == 16
  for (int64_t i = 0; i < blocks; i++)
    table_nibbles(block + BYTES * i + 2, first_half(block + BYTES * i), nonlinear_nibbles, out + 32 * i);
#else
  uint8_t codes[32 * MOST_BLOCKS];
  for (int64_t i = 0; i < blocks; i++) pick_nibbles(block + BYTES * i + 2, nonlinear_nibbles, codes + 32 * i);
  IN_MEMORY(codes);
  for (int64_t i = 0; i < blocks; i++)
    STORE_SCALED(2, codes + 32 * i, two_factors(block + BYTES * i).first, out + 32 * i)
#endif
}

// d (s − 32) of the eight groups.
static inline void scales_of_iq4_xs(const uint8_t *restrict block, float *restrict scales) {
  const float d = first_half(block);
  uint16_t high;
  memcpy(&high, block + 2, 2);
  UNROLLED(int g = 0; g < 8; g++) {
    const int low = block[4 + g / 2] >> 4 * (g % 2) & 15;
    const int scale = (low | (high >> 2 * g & 3) << 4) - 32;
    scales[g] = d * (float)scale;
  }
}

// d (2) | high bit pairs of eight scales (2) | their low nibbles (4) | nibbles (128), group after group of 32.
// w = (d (s − 32)) table[q]
static inline void iq4_xs(const uint8_t *restrict block, float *restrict out) {
  float scales[8];
  scales_of_iq4_xs(block, scales);
  UNROLLED(int g = 0; g < 8; g++)
    table_nibbles(block + 8 + 16 * g, scales[g], nonlinear_nibbles, out + 32 * g);
}

// e (1) | nibbles (16).   w = 2^(e − 128) · twice the value: the first two powers are subnormal
static inline void mxfp4(const uint8_t *restrict block, float *restrict out) {
  const uint32_t e = block[0], bits = e < 2 ? UINT32_C(0x00200000) << e : (e - 1) << 23;
  float d;
  memcpy(&d, &bits, 4);
  table_nibbles(block + 1, d, doubled_e2m1, out);
}

// MARK: Ternary

// Decodes five base-3 digits per byte, stored as a fraction of 256 with the first digit most significant; COUNT
// digits of sixteen bytes, `stride` weights from one digit to the next.   w = d (q − 1)
#define DIGITS(from, COUNT, stride, to)                                            \
  {                                                                                \
    bytes16 digits = load16(from);                                                 \
    UNROLLED(int k = 0; k < COUNT; k++, digits *= 3) {                             \
      const signed16 q = -1 - (signed16)(digits >= 86) - (signed16)(digits >= 171); \
      store16((to) + (stride) * k, d * FLOATS(q));                                 \
    }                                                                              \
  }

// Bytes of five digits (48), bytes of four (4) | d (2). The first 32 bytes hold weights 0…159, the next 16 weights
// 160…239.
static inline void tq1_0(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block + 52);
  DIGITS(block, 5, 32, out)
  DIGITS(block + 16, 5, 32, out + 16)
  DIGITS(block + 32, 5, 16, out + 160)
  uint8_t last[16];
  for (int k = 0, power = 1; k < 4; k++, power *= 3)
    for (int i = 0; i < 4; i++) last[4 * k + i] = (uint8_t)(block[48 + i] * power);
  DIGITS(last, 1, 0, out + 240)
}

// Bit pairs (64), byte i of a half holding weights i, 32 + i, 64 + i and 96 + i | d (2).   w = d (q − 1)
static inline void tq2_0(const uint8_t *restrict block, float *restrict out) {
  const float d = half(block + 64);
  UNROLLED(int i = 0; i < 4; i++) {
    const bytes16 pairs = load16(block + 16 * i);
    UNROLLED(int k = 0; k < 4; k++) {
      const signed16 q = (signed16)(pairs >> 2 * k & 3) - 1;
      store16(out + 128 * (i / 2) + 32 * k + 16 * (i % 2), d * FLOATS(q));
    }
  }
}

// MARK: Grids

typedef uint32_t bits8 __attribute__((vector_size(32)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef float floats8 __attribute__((vector_size(32)));

// Unpack eight 2-bit numbers from one point, and eight 3-bit numbers from two points.
static inline ints8 point8(uint32_t point) {
  return (ints8)(((bits8){0} + point) >> (bits8){0, 2, 4, 6, 8, 10, 12, 14} & 3);
}
static inline ints8 points4(uint32_t first, uint32_t second) {
  const uint32_t both = first | second << 16;
  return (ints8)(((bits8){0} + both) >> (bits8){0, 4, 8, 12, 16, 20, 24, 28} & 7);
}

// Stores d times eight numbers, negated where a bit is set.
static inline void store_signed(float *restrict out, float d, ints8 numbers, uint32_t signs) {
  const floats8 values = d * __builtin_convertvector(numbers, floats8);
  const bits8 flips = (((bits8){0} + signs) >> (bits8){0, 1, 2, 3, 4, 5, 6, 7} & 1) << 31;
  const bits8 flipped = (bits8)values ^ flips;
  memcpy(out, &flipped, sizeof flipped);
}

// Convert grid points to the numbers of the IQ2 types, 8, 25 and 43, and of IQ3_XXS, 4, 12, …, 52, 62.
static inline ints8 iq2_point(uint32_t point) {
  const ints8 q = point8(point);
  return 8 + 17 * q + (q >> 1);
}
static inline ints8 iq3_xxs_points(uint32_t first, uint32_t second) {
  const ints8 q = points4(first, second);
  return 4 + 8 * q - 2 * (ints8)(q == 7);
}

// Seven sign bits, extended by an eighth that makes the number of set bits even.
static inline uint32_t even_signs(uint32_t seven) {
  return (seven & 127) | (uint32_t)__builtin_parity(seven & 127) << 7;
}

static inline uint32_t short_word(const uint8_t *source) { return source[0] | source[1] << 8; }

// d (2) | for each group of 32: four points (4), four times seven sign bits and a 4-bit scale (4).
// w = ± d (0.5 + s) 0.25 · point
static inline void iq2_xxs(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 8; g++) {
    const uint8_t *points = block + 2 + 8 * g;
    const uint32_t rest = word(points + 4);
    const float scale = d * (0.5f + (float)(rest >> 28)) * 0.25f;
    UNROLLED(int k = 0; k < 4; k++)
      store_signed(out + 32 * g + 8 * k, scale, iq2_point(ck_grid_iq2_xxs[points[k]]),
                   even_signs(rest >> 7 * k));
  }
}

// A scale of IQ2_XS or IQ2_S: one nibble per 16 weights.
static inline float quarter_scale(float d, const uint8_t *nibbles, int g) {
  return d * (0.5f + (float)(nibbles[g / 2] >> 4 * (g % 2) & 15)) * 0.25f;
}

// d (2) | 9-bit points, each with seven sign bits (64) | scales (8)
static inline void iq2_xs(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 16; g++) {
    const float scale = quarter_scale(d, block + 66, g);
    UNROLLED(int k = 0; k < 2; k++) {
      const uint32_t q = short_word(block + 2 + 4 * g + 2 * k);
      store_signed(out + 16 * g + 8 * k, scale, iq2_point(ck_grid_iq2_xs[q & 511]), even_signs(q >> 9));
    }
  }
}

// d (2) | low bytes of the points (32) | signs (32) | the points' high bit pairs (8) | scales (8)
static inline void iq2_s(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 16; g++) {
    const float scale = quarter_scale(d, block + 74, g);
    UNROLLED(int k = 0; k < 2; k++) {
      const int p = 2 * g + k, q = block[2 + p] | (block[66 + p / 4] >> 2 * (p % 4) & 3) << 8;
      store_signed(out + 8 * p, scale, iq2_point(ck_grid_iq2_s[q]), block[34 + p]);
    }
  }
}

// d (2) | points of four numbers (64) | for each group of 32: four times seven sign bits and a 4-bit scale (4).
// w = ± d (0.5 + s) 0.5 · point
static inline void iq3_xxs(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 8; g++) {
    const uint8_t *points = block + 2 + 8 * g;
    const uint32_t rest = word(block + 66 + 4 * g);
    const float scale = d * (0.5f + (float)(rest >> 28)) * 0.5f;
    UNROLLED(int k = 0; k < 4; k++)
      store_signed(
          out + 32 * g + 8 * k, scale,
          iq3_xxs_points(ck_grid_iq3_xxs[points[2 * k]], ck_grid_iq3_xxs[points[2 * k + 1]]),
          even_signs(rest >> 7 * k));
  }
}

// d (2) | low bytes of the points (64) | their ninth bits (8) | signs (32) | scales (4), one nibble per 32 weights.
// w = ± d (1 + 2 s) · point
static inline void iq3_s(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 8; g++) {
    const float scale = d * (float)(1 + 2 * (block[106 + g / 2] >> 4 * (g % 2) & 15));
    const uint32_t ninth = block[66 + g];
    UNROLLED(int k = 0; k < 4; k++) {
      const uint8_t *low = block + 2 + 8 * g + 2 * k;
      const uint32_t first = ck_grid_iq3_s[low[0] | (ninth >> 2 * k & 1) << 8];
      const uint32_t second = ck_grid_iq3_s[low[1] | (ninth >> (2 * k + 1) & 1) << 8];
      store_signed(out + 32 * g + 8 * k, scale, 1 + 2 * points4(first, second),
                   block[74 + 4 * g + k]);
    }
  }
}

// Stores eight ternary numbers, all shifted by an eighth in the same direction.   w = d (point ± 0.125)
static inline void store_ternary(float *restrict out, float d, uint32_t point, int below) {
  const floats8 numbers = __builtin_convertvector(point8(point) - 1, floats8);
  const floats8 values = d * (numbers + (below ? -0.125f : 0.125f));
  memcpy(out, &values, sizeof values);
}

// d (2) | low bytes of the points (32) | for each group of 32: four times three high bits, a 3-bit scale, the
// direction of the shift (2).   w = d (2 s + 1) (point ± 0.125)
static inline void iq1_s(const uint8_t *restrict block, float *restrict out) {
  const float d = first_half(block);
  for (int g = 0; g < 8; g++) {
    const uint32_t rest = short_word(block + 34 + 2 * g);
    const float scale = d * (float)(2 * (rest >> 12 & 7) + 1);
    UNROLLED(int k = 0; k < 4; k++)
      store_ternary(out + 32 * g + 8 * k, scale,
                    ck_grid_iq1[block[2 + 4 * g + k] | (rest >> 3 * k & 7) << 8], rest >> 15 & 1);
  }
}

// Low bytes of the points (32) | for each point a nibble with its three high bits and the direction of its shift (16)
// | four words of four 3-bit scales, whose highest four bits together form d (8).
static inline void iq1_m(const uint8_t *restrict block, float *restrict out) {
  const uint8_t *scales = block + 48;
  const uint8_t parts[2] = {(uint8_t)(scales[1] >> 4 | (scales[3] & 0xf0)),
                            (uint8_t)(scales[5] >> 4 | (scales[7] & 0xf0))};
  const float d = half(parts);
  for (int g = 0; g < 16; g++) {
    const float scale = d * (float)(2 * (short_word(scales + g / 4 * 2) >> 3 * (g % 4) & 7) + 1);
    UNROLLED(int k = 0; k < 2; k++) {
      const int p = 2 * g + k, nibble = block[32 + g] >> 4 * k & 15;
      store_ternary(out + 8 * p, scale, ck_grid_iq1[block[p] | (nibble & 7) << 8], nibble >> 3);
    }
  }
}
