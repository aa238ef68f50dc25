// Widening of matrices whose scales lie beside their codes, compiled once per instruction set: included by
// instruction_set.inc.h. Codes become floats first, and then these weights: two passes over a strip that stays in cache.
//
// Every operation is rounded by itself, as the implementations do that wrote the codes, and the weights at last to the type
// they would have there (`rounded`).

#pragma clang fp contract(off)

// MARK: Codes

// Values of sixteen codes below 16.
static inline floats16 table_values(floats16 table, bytes16 codes) {
#if LANES == 16
  return (floats16)_mm512_permutexvar_ps(_mm512_cvtepu8_epi32((__m128i)codes), (__m512)table);
#elif LANES == 8 && defined(__x86_64__)
  floats16 values;
  const __m256 low = *(const __m256 *)&table, high = *((const __m256 *)&table + 1);
  UNROLLED(int i = 0; i < 2; i++) {
    const __m256i index =
        _mm256_cvtepu8_epi32(i ? _mm_unpackhi_epi64((__m128i)codes, (__m128i)codes) : (__m128i)codes);
    // Of an index the low three bits count, and the fourth chooses.
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

// The nibbles of sixteen bytes in the order of their columns, as two vectors. AutoAWQ puts the even columns of eight into
// the first two bytes of four.
static inline void split_nibbles(const int32_t type, bytes16 bytes, bytes16 *first, bytes16 *second) {
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

// `count` nibbles from the beginning of a byte or, where they lie in words, of a word.
static inline void nibbles(const int32_t type, const uint8_t *restrict source, floats16 table,
                           float *restrict out, int64_t count) {
  bytes16 first, second;
  for (; count >= 32; count -= 32, source += 16, out += 32) {
    split_nibbles(type, load16(source), &first, &second);
    store16(out, table_values(table, first));
    store16(out + 16, table_values(table, second));
  }
  if (count > 0) {
    const struct ck_block block = ck_block_of(type);
    bytes16 last = {0};
    memcpy(&last, source, (size_t)(ck_tiles(count, block.length) * block.bytes));
    split_nibbles(type, last, &first, &second);
    const floats16 values[2] = {table_values(table, first), table_values(table, second)};
    memcpy(out, values, (size_t)count * 4);
  }
}

// Nibble `row` of the words of `count` columns.
static inline void row_nibbles(const uint8_t *restrict source, int row, float *restrict out,
                               int64_t count) {
  for (int64_t c = 0; c < count; c++) {
    uint32_t word;
    memcpy(&word, source + 4 * c, 4);
    out[c] = (float)(int32_t)(word >> 4 * row & 15);
  }
}

// `count` ≤ STRIP codes of four bits from any column of packed ones.
static void nibbles_from(const int32_t type, const uint8_t *source, int64_t column, floats16 table,
                         float *restrict out, int64_t count) {
  const struct ck_block block = ck_block_of(type);
  const int64_t lead = column % block.length;
  source += column / block.length * block.bytes;
  float aligned[STRIP + 8];
  float *to = lead ? aligned : out;
  switch (type) {
    case CK_TABLE4: nibbles(CK_TABLE4, source, table, to, count + lead); break;
    case CK_INT4_AWQ: nibbles(CK_INT4_AWQ, source, table, to, count + lead); break;
    case CK_E2M1: nibbles(CK_E2M1, source, table, to, count + lead); break;
    default: nibbles(CK_INT4, source, table, to, count + lead);
  }
  if (lead) memcpy(out, aligned + lead, (size_t)count * 4);
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
  float scale;
  const struct ck_block block = ck_block_of(s->type);
  dequantize(s->type, (const uint8_t *)s->data + index * block.bytes, &scale, 1);
  return scale;
}

// What is subtracted from the codes of row `row` in column `block` of blocks: eight where nothing is stored.
static inline float zero_at(const struct ck_scales *s, int64_t row, int64_t block) {
  if (!s->zeros) return 8;
  uint32_t word;
  memcpy(&word, (const uint8_t *)s->zeros + row / 8 * s->zeros_stride + 4 * block, 4);
  return (float)(int32_t)(word >> 4 * (row % 8) & 15);
}

// A scale for each column, in the row of blocks that `row` belongs to.
static void scale_columns(const struct ck_matrix *w, int64_t row, int64_t column, int64_t columns,
                          float *restrict out) {
  const struct ck_scales *s = w->scales;
  int64_t group = row / s->rows;
  if (s->groups) {
    int32_t stored;
    memcpy(&stored, (const uint8_t *)s->groups + 4 * row, 4);
    group = stored;
  }
  float scales[STRIP], zeros[STRIP];
  const int64_t bytes = ck_block_of(s->type).bytes;
  dequantize(s->type, (const uint8_t *)s->data + (group * s->stride + column) * bytes, scales,
             columns);
  if (s->zeros) {
    const uint8_t *packed = (const uint8_t *)s->zeros + group * s->zeros_stride;
    nibbles_from(w->type == CK_INT4_AWQ ? CK_INT4_AWQ : CK_INT4, packed, column, every_nibble,
                 zeros, columns);
  } else {
    for (int64_t c = 0; c < columns; c++) zeros[c] = 8;
  }
  if (s->zeros && s->zeros_less_one)
    for (int64_t c = 0; c < columns; c++) zeros[c] = zeros[c] == 15 ? 0 : zeros[c] + 1;
  for (int64_t c = 0; c < columns; c++) out[c] = (out[c] - zeros[c]) * scales[c] * s->factor;
}

// A scale for several neighbours in a row.
static void scale_blocks(const struct ck_matrix *w, int64_t row, int64_t column, int64_t columns,
                         float *restrict out) {
  const struct ck_scales *s = w->scales;
  for (int64_t done = 0, count; done < columns; done += count, column += count) {
    const int64_t place = s->width > 0 ? row * s->width + column : column;
    const int64_t block = place / s->columns;
    count = ck_min(columns - done, s->columns - place % s->columns);
    const float scale =
        scale_at(s, s->width > 0 ? block : row / s->rows * s->stride + block);
    const float zero = w->type == CK_INT4 ? zero_at(s, row, block) : 0;
    for (int64_t c = done; c < done + count; c++) out[c] = (out[c] - zero) * scale * s->factor;
  }
}

// Rounded to eight bits of mantissa, half to even; a NaN stays one.
static void round_to_bf16(float *restrict numbers, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, numbers + i, 4);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    bits = (bits & 0x7fffffff) > 0x7f800000 ? bits : rounded;
    memcpy(numbers + i, &bits, 4);
  }
}

// Rounded to a half's eleven bits, or to multiples of 2⁻²⁴ where halves have fewer.
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

// Weights of a row, at most STRIP of them.
static void widen(const struct ck_matrix *w, int64_t row, int64_t column, int64_t columns,
                  float *restrict out) {
  const struct ck_scales *s = w->scales;
  const uint8_t *source = ck_weights(w, row, column);
  if (!s) return dequantize(w->type, source, out, columns);
  row += w->first_row;
  column += w->first_column;
  const uint8_t *line = (const uint8_t *)w->data + row * w->row_bytes;
  switch (w->type) {
    case CK_E2M1: nibbles_from(CK_E2M1, line, column, e2m1_numbers, out, columns); break;
    case CK_TABLE4: {
      floats16 table;
      memcpy(&table, s->values, sizeof table);
      nibbles_from(CK_TABLE4, line, column, table, out, columns);
    } break;
    case CK_INT4: nibbles_from(CK_INT4, line, column, every_nibble, out, columns); break;
    case CK_INT4_AWQ: nibbles_from(CK_INT4_AWQ, line, column, every_nibble, out, columns); break;
    case CK_INT4_ROWS: row_nibbles(source, (int)(row % 8), out, columns); break;
    default: dequantize(w->type, source, out, columns);
  }
  if (w->type == CK_INT4_AWQ || w->type == CK_INT4_ROWS) {
    scale_columns(w, row, column, columns, out);
  } else {
    scale_blocks(w, row, column, columns, out);
  }
  if (s->rounded == CK_BF16) round_to_bf16(out, columns);
  if (s->rounded == CK_F16) round_to_f16(out, columns);
}

#pragma clang fp contract(on)
