// Dequantisation of the types with one byte per number, compiled once per instruction set: included by
// dequantize.inc.h, whose definitions it uses.

typedef uint32_t words16 __attribute__((vector_size(64)));

// Sign, four exponent bits, three mantissa bits; no infinity. Read as a half, its exponent bias is 7 instead of 15,
// which the factor 256 corrects.
ALWAYS floats16 e4m3(bytes16 bytes) {
#if HARDWARE_HALF
  typedef int16_t shorts16 __attribute__((vector_size(32)));
  const shorts16 moved = __builtin_convertvector((signed16)bytes, shorts16) << 7 & (int16_t)0xbfff;
  const shorts16 is_nan = (shorts16)((moved & 0x7fff) == 0x3f80);
  return FLOATS((halves16)(moved | (is_nan & 0x7fff))) * 256;
#else
  const words16 w = __builtin_convertvector(bytes, words16), magnitude = w & 127;
  const words16 normal = (magnitude << 20) + (120u << 23);
  // Subnormal numbers: read with an implicit one, which is then subtracted.
  const floats16 small = (floats16)((magnitude << 20) + (121u << 23)) - 0x1p-6f;
  const words16 is_small = (words16)(magnitude < 8), is_nan = (words16)(magnitude == 127);
  const words16 number = (is_small & (words16)small) | (~is_small & normal);
  return (floats16)(number | (is_nan & 0x7fc00000) | (w & 128) << 24);
#endif
}

// The upper byte of a half.
ALWAYS floats16 e5m2(bytes16 bytes) {
  uint8_t halves[32];
  for (int i = 0; i < 16; i++) {
    halves[2 * i] = 0;
    halves[2 * i + 1] = bytes[i];
  }
#if HARDWARE_HALF
  halves16 h;
  memcpy(&h, halves, sizeof h);
  return FLOATS(h);
#else
  floats16 wide;
  for (int i = 0; i < 16; i++) wide[i] = half(halves + 2 * i);
  return wide;
#endif
}

// The power of two 2^(e − 127).
ALWAYS floats16 e8m0(bytes16 bytes) {
  const words16 e = __builtin_convertvector(bytes, words16), is_zero = (words16)(e == 0);
  return (floats16)(e << 23 | (is_zero & 0x00400000));
}

// Converts numbers of one byte each.
ALWAYS floats16 byte_numbers(const int32_t type, bytes16 bytes) {
  switch (type) {
    case CK_F8_E4M3: return e4m3(bytes);
    case CK_F8_E5M2: return e5m2(bytes);
    case CK_E8M0: return e8m0(bytes);
    default: return FLOATS((signed16)bytes);
  }
}

// Converts numbers of one byte each and multiplies them by a scale.
ALWAYS void scaled_bytes(const int32_t type, const uint8_t *restrict source, float scale,
                         float *restrict out, int64_t count) {
  for (; count >= 16; count -= 16, source += 16, out += 16)
    store16(out, byte_numbers(type, load16(source)) * scale);
  if (count > 0) {
    bytes16 last = {0};
    memcpy(&last, source, (size_t)count);
    const floats16 numbers = byte_numbers(type, last) * scale;
    memcpy(out, &numbers, (size_t)count * 4);
  }
}
