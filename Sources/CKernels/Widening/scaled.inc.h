// Widening of matrices whose scales are stored beside their codes, compiled once per instruction set: included by
// instruction_set.inc.h.
//
// Every operation is rounded separately, as in the implementations that wrote the codes, and the weights are finally
// rounded to the type they have there (`rounded`).

#pragma clang fp contract(off)

// MARK: Codes

// The table's values for sixteen codes below 16.
ALWAYS floats16 table_values(floats16 table, bytes16 codes) {
#if LANES == 16
  return (floats16)_mm512_permutexvar_ps(_mm512_cvtepu8_epi32((__m128i)codes), (__m512)table);
#elif LANES == 8 && defined(__x86_64__)
  floats16 values;
  const __m256 low = *(const __m256 *)&table, high = *((const __m256 *)&table + 1);
  UNROLLED(int i = 0; i < 2; i++) {
    const __m256i index =
        _mm256_cvtepu8_epi32(i ? _mm_unpackhi_epi64((__m128i)codes, (__m128i)codes) : (__m128i)codes);
    // The low three bits of an index select an entry; the fourth chooses the half of the table.
    const __m256 from_low = _mm256_permutevar8x32_ps(low, index);
    const __m256 from_high = _mm256_permutevar8x32_ps(high, index);
    const __m256 choice = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
    *((__m256 *)&values + i) = _mm256_blendv_ps(from_low, from_high, choice);
  }
  return values;
#else
  floats16 values;
  for (int i = 0; i < 16; i++) values[i] = table[codes[i]];
  return values;
#endif
}

static const floats16 e2m1_numbers = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                      -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// Splits sixteen bytes into their nibbles, in the order of the columns, as two vectors. AutoAWQ stores the even ones
// of eight columns in the first two of four bytes.
ALWAYS void split_nibbles(const int32_t type, bytes16 bytes, bytes16 *first, bytes16 *second) {
  const bytes16 low = bytes & 15, high = bytes >> 4;
  const bytes16 a = type == CK_TABLE4 ? high : low, b = type == CK_TABLE4 ? low : high;
  *first = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  *second =
      __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  if (type == CK_INT4_AWQ) {
#define AWQ(v) __builtin_shufflevector(v, v, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15)
    *first = AWQ(*first);
    *second = AWQ(*second);
#undef AWQ
  }
}

// Looks up `count` nibbles, starting at a byte or, for types packed in words, at a word.
ALWAYS void nibbles(const int32_t type, const uint8_t *restrict source, floats16 table,
                    float *restrict out, int64_t count) {
  bytes16 first, second;
  for (; count >= 32; count -= 32, source += 16, out += 32) {
    split_nibbles(type, load16(source), &first, &second);
    store16(out, table_values(table, first));
    store16(out + 16, table_values(table, second));
  }
  if (count > 0) {
    const int64_t length = ck_block_of(type).length;
    bytes16 last = {0};
    memcpy(&last, source, (size_t)(ck_round_up(count, length) / 2));
    split_nibbles(type, last, &first, &second);
    const floats16 values[2] = {table_values(table, first), table_values(table, second)};
    memcpy(out, values, (size_t)count * 4);
  }
}

// Extracts nibble `row` of the words of `count` columns.
static inline void row_nibbles(const uint8_t *restrict source, int row, float *restrict out,
                               int64_t count) {
  for (int64_t c = 0; c < count; c++) {
    uint32_t word;
    memcpy(&word, source + 4 * c, 4);
    out[c] = (float)(int32_t)(word >> 4 * row & 15);
  }
}

// Looks up `count` ≤ STRIP 4-bit codes from any column of packed ones.
ALWAYS void nibbles_from(const int32_t type, const uint8_t *source, int64_t column, floats16 table,
                         float *restrict out, int64_t count) {
  const int64_t lead = column & (ck_block_of(type).length - 1);
  source += (column - lead) / 2;
  if (lead == 0) return nibbles(type, source, table, out, count);
  float aligned[STRIP + 8];
  nibbles(type, source, table, aligned, count + lead);
  memcpy(out, aligned + lead, (size_t)count * 4);
}

// MARK: Scales

static inline float float_at(const void *numbers, int64_t index) {
  float value;
  memcpy(&value, (const uint8_t *)numbers + 4 * index, 4);
  return value;
}

static inline float scale_at(const struct ck_scales *s, int64_t index) {
  if (s->nested) {
    const uint8_t code = ((const uint8_t *)s->data)[index];
    return float_at(s->nested_values, code) * float_at(s->nested, index / s->nested_run) +
           s->nested_offset;
  }
  const uint8_t *scales = s->data;
  uint32_t bits = 0;
  switch (s->type) {
    case CK_F32: return float_at(scales, index);
    case CK_F16: return half(scales + 2 * index);
    case CK_BF16: memcpy((uint8_t *)&bits + 2, scales + 2 * index, 2); break;
    default: bits = scales[index] ? (uint32_t)scales[index] << 23 : 0x00400000;
  }
  float scale;
  memcpy(&scale, &bits, 4);
  return scale;
}

// The zero point of the codes of row `row` in block `block` of a row: eight if none is stored.
static inline float zero_at(const struct ck_scales *s, int64_t row, int64_t block) {
  if (!s->zeros) return 8;
  uint32_t word;
  memcpy(&word, (const uint8_t *)s->zeros + row / 8 * s->zeros_stride + 4 * block, 4);
  return (float)(int32_t)(word >> 4 * (row % 8) & 15);
}

// Rounds to eight bits of mantissa, half to even; NaN is preserved.
static void round_to_bf16(float *restrict numbers, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, numbers + i, 4);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    bits = (bits & 0x7fffffff) > 0x7f800000 ? bits : rounded;
    memcpy(numbers + i, &bits, 4);
  }
}

// Rounds to the eleven bits of a half, or to multiples of 2⁻²⁴ where halves are subnormal.
static void round_to_f16(float *restrict numbers, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, numbers + i, 4);
    const uint32_t sign = bits & 0x80000000, magnitude = bits ^ sign;
    const uint32_t even = (magnitude + 0xfff + (magnitude >> 13 & 1)) & 0xffffe000;
    const uint32_t normal = even >= 0x47800000 ? 0x7f800000 : even;
    float small;
    memcpy(&small, &magnitude, 4);
    small = (small + 0.5f) - 0.5f;  // numbers from 0.5 to 1 are 2⁻²⁴ apart
    memcpy(&bits, &small, 4);
    bits = magnitude < 0x38800000 ? bits : magnitude > 0x7f800000 ? magnitude : normal;
    bits |= sign;
    memcpy(numbers + i, &bits, 4);
  }
}

static void round_to(int32_t type, float *restrict numbers, int64_t count) {
  if (type == CK_BF16) round_to_bf16(numbers, count);
  if (type == CK_F16) round_to_f16(numbers, count);
}

// MARK: Blocks in a row

// Widens weights of a row whose neighbours share scales, where `line` points to the row's start. A block of 4-bit
// codes has only sixteen different weights, which are computed first and then looked up. The type is a constant where
// this is inlined.
ALWAYS void widen_blocks(const int32_t type, const struct ck_scales *s, const uint8_t *line,
                         int64_t row, int64_t column, int64_t columns, float *restrict out) {
  floats16 codes = every_nibble;
  if (type == CK_E2M1) codes = e2m1_numbers;
  if (type == CK_TABLE4) memcpy(&codes, s->values, sizeof codes);
  const int64_t place = s->width > 0 ? row * s->width + column : column;
  const int64_t first = s->width > 0 ? 0 : row / s->rows * s->stride;
  int64_t block = place / s->columns, count = s->columns - place % s->columns;
  for (; columns > 0; columns -= count, column += count, out += count, count = s->columns, block++) {
    count = ck_min(columns, count);
    const float scale = scale_at(s, first + block);
    if (ck_block_of(type).length == 1) {
      scaled_bytes(type, line + column, scale, out, count);
      if (s->factor != 1)
        for (int64_t c = 0; c < count; c++) out[c] *= s->factor;
      round_to(s->rounded, out, count);
    } else {
      floats16 weights = (type == CK_INT4 ? codes - zero_at(s, row, block) : codes) * scale;
      if (s->rounded != CK_F32) {
        float rounded[16];
        store16(rounded, weights);
        round_to(s->rounded, rounded, 16);
        memcpy(&weights, rounded, sizeof weights);
      }
      nibbles_from(type, line, column, weights, out, count);
    }
  }
}

static void widen_row(const struct ck_matrix *w, const uint8_t *line, int64_t row, int64_t column,
                      int64_t columns, float *restrict out) {
  const struct ck_scales *s = w->scales;
  switch (w->type) {
    case CK_F8_E4M3: widen_blocks(CK_F8_E4M3, s, line, row, column, columns, out); break;
    case CK_F8_E5M2: widen_blocks(CK_F8_E5M2, s, line, row, column, columns, out); break;
    case CK_E2M1: widen_blocks(CK_E2M1, s, line, row, column, columns, out); break;
    case CK_TABLE4: widen_blocks(CK_TABLE4, s, line, row, column, columns, out); break;
    case CK_INT4: widen_blocks(CK_INT4, s, line, row, column, columns, out); break;
    default: widen_blocks(CK_INT8, s, line, row, column, columns, out);
  }
}

// MARK: Blocks in a column

// The scales and zero points of some columns in one row of blocks.
struct column_scales {
  int64_t group;
  float scales[STRIP], zeros[STRIP];
};

static int64_t group_of(const struct ck_scales *s, int64_t row) {
  if (!s->groups) return row / s->rows;
  int32_t group;
  memcpy(&group, (const uint8_t *)s->groups + 4 * row, 4);
  return group;
}

static void read_column_scales(const struct ck_matrix *w, int64_t group, int64_t column,
                               int64_t columns, struct column_scales *to) {
  const struct ck_scales *s = w->scales;
  to->group = group;
  const uint8_t *scales = (const uint8_t *)s->data;
  dequantize(s->type, scales + (group * s->stride + column) * ck_block_of(s->type).bytes,
             to->scales, columns);
  if (!s->zeros) {
    for (int64_t c = 0; c < columns; c++) to->zeros[c] = 8;
    return;
  }
  const uint8_t *zeros = (const uint8_t *)s->zeros + group * s->zeros_stride;
  if (w->type == CK_INT4_AWQ)
    nibbles_from(CK_INT4_AWQ, zeros, column, every_nibble, to->zeros, columns);
  else
    nibbles_from(CK_INT4, zeros, column, every_nibble, to->zeros, columns);
  if (s->zeros_less_one)
    for (int64_t c = 0; c < columns; c++) to->zeros[c] = to->zeros[c] == 15 ? 0 : to->zeros[c] + 1;
}

static void scale_columns(const struct column_scales *s, int64_t columns, float *restrict out) {
  for (int64_t c = 0; c < columns; c++) out[c] = (out[c] - s->zeros[c]) * s->scales[c];
}

// MARK: Matrices

// Widens some rows, at most STRIP weights of each, STRIP_STRIDE from one row to the next.
static void widen(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                  int64_t columns, float *restrict out) {
  if (!w->scales) {
    const uint8_t *source = ck_weights(w, row, column);
    for (int64_t r = 0; r < rows; r++, source += w->row_bytes, out += STRIP_STRIDE)
      dequantize(w->type, source, out, columns);
    return;
  }
  struct column_scales scales = {.group = -1};
  column += w->first_column;
  row += w->first_row;
  for (const int64_t end = row + rows; row < end; row++, out += STRIP_STRIDE) {
    const uint8_t *line = (const uint8_t *)w->data;
    if (w->type != CK_INT4_AWQ && w->type != CK_INT4_ROWS) {
      widen_row(w, line + row * w->row_bytes, row, column, columns, out);
      continue;
    }
    if (w->type == CK_INT4_AWQ)
      nibbles_from(CK_INT4_AWQ, line + row * w->row_bytes, column, every_nibble, out, columns);
    else
      row_nibbles(line + row / 8 * w->row_bytes + 4 * column, (int)(row % 8), out, columns);
    const int64_t group = group_of(w->scales, row);
    if (group != scales.group) read_column_scales(w, group, column, columns, &scales);
    scale_columns(&scales, columns, out);
    round_to(w->scales->rounded, out, columns);
  }
}

#pragma clang fp contract(on)
