// Dequantisation of the K types, compiled once per instruction set: included by dequantize.inc.h, whose definitions and
// order of operations it uses.
//
// The K types: 256 weights in groups of 16 or 32, each with a small integer scale of its own. Their fields are spread
// across the groups, so they are read sixteen bytes at a time, one bit field of the same bytes after another.

// A loop over groups that is not unrolled: compilers collect the results of all groups before they store any.
#define EACH_OF(count) _Pragma("clang loop unroll(disable)") for (int g = 0; g < count; g++)

static inline uint32_t word(const uint8_t *source) {
  uint32_t value;
  memcpy(&value, source, 4);
  return value;
}

// scales (16), low nibble of d and high nibble of dmin | bit pairs (64) | d (2) | dmin (2).   w = (d s) q − dmin t
// Byte i of half h of the bit pairs holds weights 128 h + 32 k + i, k = 0…3, at bit 2 k.
static inline void q2_K(const uint8_t *restrict block, float *restrict out) {
  const bytes16 packed = load16(block);
  float scales[16], offsets[16];
  uint8_t codes[256];
  store16(scales, half(block + 80) * FLOATS(packed & 15));
  store16(offsets, -half(block + 82) * FLOATS(packed >> 4));
  UNROLLED(int h = 0; h < 2; h++) {
    const bytes32 pairs = load32(block + 16 + 32 * h);
    UNROLLED(int k = 0; k < 4; k++) store_bytes(codes + 128 * h + 32 * k, pairs >> 2 * k & 3);
  }
  IN_MEMORY(scales);
  IN_MEMORY(offsets);
  IN_MEMORY(codes);
  EACH_OF(16) {
    const struct two_vectors factors = {all(scales[g]), all(offsets[g])};
    STORE_SCALED_SUMS(1, codes + 16 * g, factors, out + 16 * g)
  }
}

// third bits (32), bit k of byte i belonging to weight 32 k + i | bit pairs (64) | 16 scales of 6 bits (12) | d (2).
// w = d (s − 32) · (q − 4 if the third bit is clear)
static inline void q3_K(const uint8_t *restrict block, float *restrict out) {
  const uint32_t low = word(block + 96), middle = word(block + 100), high = word(block + 104);
  const uint32_t packed[4] = {
      (low & 0x0f0f0f0f) | (high << 4 & 0x30303030),
      (middle & 0x0f0f0f0f) | (high << 2 & 0x30303030),
      (low >> 4 & 0x0f0f0f0f) | (high & 0x30303030),
      (middle >> 4 & 0x0f0f0f0f) | (high >> 2 & 0x30303030),
  };
  const bytes32 third = load32(block);
  float scales[16];
  uint8_t codes[256];
  store16(scales, half(block + 108) * FLOATS((signed16)load16((const uint8_t *)packed) - 32));
  UNROLLED(int h = 0; h < 2; h++) {
    const bytes32 pairs = load32(block + 32 + 32 * h);
    UNROLLED(int k = 0; k < 4; k++) {
      const bytes32 q = (pairs >> 2 * k & 3) | (third >> (4 * h + k) & 1) << 2;
      store_bytes(codes + 128 * h + 32 * k, q - 4);
    }
  }
  IN_MEMORY(scales);
  IN_MEMORY(codes);
  EACH_OF(16) STORE_SCALED(1, codes + 16 * g, all(scales[g]), out + 16 * g)
}

// Unpacks eight scales and eight offsets of 6 bits from 12 bytes, multiplied by d and −dmin, scales first. The first
// four of each are in the low bits of bytes 0…3 and 4…7, the others in the nibbles of bytes 8…11 and the top bits of
// 0…7.
static inline void scales_6(const uint8_t *restrict packed, struct two factor,
                            float *restrict scales) {
  const float d = factor.first, m = -factor.second;
  const uint32_t low = word(packed), middle = word(packed + 4), high = word(packed + 8);
  const uint32_t words[4] = {
      low & 0x3f3f3f3f,
      (high & 0x0f0f0f0f) | (low >> 2 & 0x30303030),
      middle & 0x3f3f3f3f,
      (high >> 4 & 0x0f0f0f0f) | (middle >> 2 & 0x30303030),
  };
  const floats16 factors = {d, d, d, d, d, d, d, d, m, m, m, m, m, m, m, m};
  store16(scales, factors * FLOATS(load16((const uint8_t *)words)));
}

// Stores (d s) q − dmin t of eight groups of 32 codes.
ALWAYS void store_groups(const float *restrict scales, const uint8_t *restrict codes,
                         float *restrict out) {
  EACH_OF(8) {
    const struct two_vectors factors = {all(scales[g]), all(scales[8 + g])};
    STORE_SCALED_SUMS(2, codes + 32 * g, factors, out + 32 * g)
  }
}

// d (2) | dmin (2) | scales and offsets (12) | nibbles (128): 32 bytes hold two groups, low and high.
// w = (d s) q − dmin t
static inline void q4_K(const uint8_t *restrict block, float *restrict out) {
  float scales[16];
  scales_6(block + 4, two_halves(block), scales);
  IN_MEMORY(scales);
#if LANES == 16
  EACH_OF(4) {
    const floats16 low = scaled_sum(all(scales[2 * g]), every_nibble, all(scales[2 * g + 8]));
    const floats16 high = scaled_sum(all(scales[2 * g + 1]), every_nibble, all(scales[2 * g + 9]));
    float *to = out + 64 * g;
    store_looked_up(low, high, load16(block + 16 + 32 * g), to, to + 32);
    store_looked_up(low, high, load16(block + 32 + 32 * g), to + 16, to + 48);
  }
#else
  EACH_OF(4) {
    const struct two_vectors low = {all(scales[2 * g]), all(scales[2 * g + 8])};
    const struct two_vectors high = {all(scales[2 * g + 1]), all(scales[2 * g + 9])};
    const uint8_t *packed = block + 16 + 32 * g;
    float *to = out + 64 * g;
    store_nibbles(low, high, packed, to, to + 32);
    store_nibbles(low, high, packed + 16, to + 16, to + 48);
  }
#endif
}

// As Q4_K, with the fifth bits (32) before the nibbles: bit g of byte i belongs to weight 32 g + i.
static inline void q5_K(const uint8_t *restrict block, float *restrict out) {
  float scales[16];
  uint8_t codes[256];
  scales_6(block + 4, two_halves(block), scales);
  UNROLLED(int g = 0; g < 8; g += 2) {
    const bytes32 bytes = load32(block + 48 + 16 * g), fifth = load32(block + 16);
    store_bytes(codes + 32 * g, (bytes & 15) | (fifth >> g & 1) << 4);
    store_bytes(codes + 32 * g + 32, bytes >> 4 | (fifth >> (g + 1) & 1) << 4);
  }
  IN_MEMORY(scales);
  IN_MEMORY(codes);
  store_groups(scales, codes, out);
}

// low nibbles (128) | high bit pairs (64) | 16 signed scales | d (2).   w = (d s) (q − 32)
// Byte i of half h of the nibbles holds weights 128 h + i and 128 h + 64 + i; the bit pairs are ordered as in Q2_K.
static inline void q6_K(const uint8_t *restrict block, float *restrict out) {
  float scales[16];
  uint8_t codes[256];
  store16(scales, half(block + 208) * FLOATS((signed16)load16(block + 192)));
  UNROLLED(int h = 0; h < 2; h++) {
    const bytes32 pairs = load32(block + 128 + 32 * h);
    UNROLLED(int k = 0; k < 4; k++) {
      const bytes32 nibbles = load32(block + 64 * h + 32 * (k % 2));
      const bytes32 q = (nibbles >> 4 * (k / 2) & 15) | (pairs >> 2 * k & 3) << 4;
      store_bytes(codes + 128 * h + 32 * k, q - 32);
    }
  }
  IN_MEMORY(scales);
  IN_MEMORY(codes);
  EACH_OF(16) STORE_SCALED(1, codes + 16 * g, all(scales[g]), out + 16 * g)
}
