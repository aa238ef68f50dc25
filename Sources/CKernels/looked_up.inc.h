// Products of weights that are looked up in tables of sixteen, widened in registers: included by products.inc.h where a register
// holds such a table.
//
// The types are those of nibbles in groups of 32 weights with a scale and perhaps an offset: w = T[q] with T = d table + m, one
// fused multiplication and addition per group. Sixteen bytes have the codes of two vectors of weights, in their low nibbles and in
// their high ones. They are broadcast by the load to the four quarters of a register, words and all, so that lane i, shifted right by
// 8 (i / 4), has the code of byte 4 (i % 4) + i / 4: a vector of weights takes a shift and a permutation, which use its lowest four
// bits alone. Columns and vectors' entries are in this order too, the transpose of a square of four by four.
//
// A strip is not copied for few vectors; its groups' factors are, eight scales and then eight offsets per row.

#define LOOKS_UP (LANES == 16)
ALWAYS int is_looked_up(int32_t type) {
  return LOOKS_UP && (type == CK_Q4_0 || type == CK_Q4_1 || type == CK_Q4_K || type == CK_IQ4_NL ||
                      type == CK_IQ4_XS);
}

#if LOOKS_UP
// The numbers of factors of a row of a strip.
#define FACTORS 16
// The most vectors for which weights are widened in registers; with more, they are widened to a buffer.
#define WIDENED_IN_PLACE VECTORS_AT_ONCE

// The order of the lanes, from and to that of the columns.
ALWAYS vector square_transposed(vector v) {
  return __builtin_shufflevector(v, v, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}
static void transpose_squares(REAL *numbers, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES)
    store(numbers + i, square_transposed(load(numbers + i)));
}

static const uint32_t code_shifts[2][LANES] = {
    {0, 0, 0, 0, 8, 8, 8, 8, 16, 16, 16, 16, 24, 24, 24, 24},
    {4, 4, 4, 4, 12, 12, 12, 12, 20, 20, 20, 20, 28, 28, 28, 28},
};

// Looks up vector v of the weights of a row that begins at `source`.
ALWAYS vector looked_up(const int32_t type, const uint8_t *source, int64_t v, vector values) {
  const int64_t g = v / 2;
  const uint8_t *codes;
  int64_t is_high = v % 2;
  switch (type) {
    case CK_Q4_K:
      codes = source + 16 + 32 * (v / 4) + 16 * (v % 2);
      is_high = v / 2 % 2;
      break;
    case CK_IQ4_XS: codes = source + 8 + 16 * g; break;
    default: codes = source + (g + 1) * ck_block_of(type).bytes - 16;
  }
  const __m512i words = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)codes));
  const __m512i lowest = _mm512_srlv_epi32(words, _mm512_loadu_si512(code_shifts[is_high]));
  return (vector)_mm512_permutexvar_ps(lowest, (__m512)values);
}

// The values of the sixteen codes of group g.
ALWAYS vector values_of_codes(const int32_t type, const float *factors, int64_t g) {
  const vector d = all(factors[g]);
  switch (type) {
    case CK_Q4_0: return d * (every_nibble - 8);
    case CK_IQ4_NL:
    case CK_IQ4_XS: return d * FLOATS(nonlinear_nibbles);
    default: return d * every_nibble + all(factors[8 + g]);
  }
}

// Writes the factors of the groups of a row.
static void write_factors(int32_t type, const uint8_t *source, int64_t groups, float *factors) {
  if (type == CK_Q4_K) return scales_6(source + 4, two_halves(source), factors);
  if (type == CK_IQ4_XS) return scales_of_iq4_xs(source, factors);
  // The two halves at the beginning of every block, of which the second is an offset or codes.
  const int bytes = (int)ck_block_of(type).bytes;
  const __m256i places = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(bytes));
  const __m256i halves = _mm256_mmask_i32gather_epi32(_mm256_setzero_si256(), (__mmask8)((1 << groups) - 1),
                                                      places, source, 1);
  const __m512i apart = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  _mm512_storeu_ps(factors, _mm512_permutexvar_ps(apart, _mm512_cvtph_ps(halves)));
}

// Widens a row of a strip, in the order of the lanes.
ALWAYS void widen_looked_up(const int32_t type, const uint8_t *source, int64_t columns, const float *factors,
                            float *to) {
  const int AT_ONCE = type == CK_Q4_K ? 4 : 2;
  for (int64_t v = 0; v < columns / LANES; v += AT_ONCE) {
    UNROLL for (int i = 0; i < AT_ONCE; i += 2) {
      const vector values = values_of_codes(type, factors, v / 2 + i / 2);
      store(to + (v + i) * LANES, looked_up(type, source, v + i, values));
      store(to + (v + i + 1) * LANES, looked_up(type, source, v + i + 1, values));
    }
  }
}

// Opens a strip of looked-up weights for b vectors; `next` is the address of the strip after it. For many vectors, its weights are
// widened to the buffer.
static struct strip open_looked_up(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                                   int64_t columns, const uint8_t *next, int64_t b, float *buffer) {
  const uint8_t *source = ck_weights(w, row, column);
  const int64_t ahead = next ? next - source : 0, bytes = ck_weights(w, row, column + columns) - source;
  const int is_copied = b > WIDENED_IN_PLACE;
  const struct strip s = {source, w->row_bytes, rows, columns, w->type, 0, 1, 0, buffer};
  for (int64_t r = 0; r < rows; r++, source += w->row_bytes) {
    if (ahead) prefetch(source + ahead, bytes);
    float of_row[FACTORS], *factors = is_copied ? of_row : buffer + r * FACTORS;
    write_factors(w->type, source, columns / 32, factors);
    if (!is_copied) continue;
#define CASE_OF_B(TYPE) \
  case TYPE: widen_looked_up(TYPE, source, columns, factors, buffer + r * STRIP_STRIDE); break;
    switch (w->type) {
      CASE_OF_B(CK_Q4_0) CASE_OF_B(CK_Q4_1) CASE_OF_B(CK_Q4_K) CASE_OF_B(CK_IQ4_NL) CASE_OF_B(CK_IQ4_XS)
    }
#undef CASE_OF_B
  }
  if (!is_copied) return s;
  return (struct strip){(const uint8_t *)buffer, STRIP_STRIDE * sizeof(float), rows, columns, CK_F32, 0, 1, 0, NULL};
}

// As add_rows, for strips that are not copied.
ALWAYS void add_looked_up_rows(const struct strip *s, int64_t row, const REAL *restrict x,
                               REAL *restrict sums, int64_t s_stride, int is_first,
                               const int32_t type, const int ROWS, const int B) {
  const uint8_t *w = s->weights + row * s->stride;
  const float *factors = s->factors + row * FACTORS;
  vector sum[4][VECTORS_AT_ONCE];
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) sum[r][j] = (vector){0};
  }
  // Nibbles of Q4_K are low in two vectors of four.
  const int AT_ONCE = type == CK_Q4_K ? 4 : 2;
  for (int64_t c = 0; c < s->columns; c += AT_ONCE * LANES) {
    vector values[4];
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
      vector weights[4];
      UNROLL for (int r = 0; r < ROWS; r++) {
        if (i % 2 == 0) values[r] = values_of_codes(type, factors + r * FACTORS, c / 32 + i / 2);
        weights[r] = looked_up(type, w + r * s->stride, c / LANES + i, values[r]);
      }
      UNROLL for (int j = 0; j < B; j++) {
        const vector entries = load(x + j * STRIP + c + i * LANES);
        UNROLL for (int r = 0; r < ROWS; r++) sum[r][j] += weights[r] * entries;
      }
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++)
      join(sums + ((row + r) * s_stride + j) * LANES, sum[r][j], is_first);
  }
}

ALWAYS void add_looked_up_strip(const struct strip *s, const REAL *x, REAL *sums, int64_t s_stride,
                                int is_first, const int32_t type, const int B) {
  const int AT_ONCE = 2 * B <= VECTORS_AT_ONCE ? 4 : 2;
  int64_t r = 0;
  for (; r + AT_ONCE <= s->rows; r += AT_ONCE)
    add_looked_up_rows(s, r, x, sums, s_stride, is_first, type, AT_ONCE, B);
  for (; r < s->rows; r++) add_looked_up_rows(s, r, x, sums, s_stride, is_first, type, 1, B);
}

// As add_strip_adjoint, for strips that are not copied: the two vectors of every group.
ALWAYS void add_looked_up_strip_adjoint(const struct strip *s, const REAL *restrict y,
                                        int64_t y_stride, REAL *restrict sums, int64_t s_stride,
                                        int is_first, const int32_t type, const int B) {
  for (int64_t g = 0; g < s->columns / 32; g++, sums += 2 * LANES * s_stride) {
    vector sum[2][VECTORS_AT_ONCE];
    UNROLL for (int i = 0; i < 2; i++) {
      UNROLL for (int j = 0; j < B; j++) sum[i][j] = (vector){0};
    }
    for (int64_t r = 0; r < s->rows; r++) {
      const vector values = values_of_codes(type, s->factors + r * FACTORS, g);
      vector weights[2];
      UNROLL for (int i = 0; i < 2; i++)
        weights[i] = looked_up(type, s->weights + r * s->stride, 2 * g + i, values);
      UNROLL for (int j = 0; j < B; j++) {
        UNROLL for (int i = 0; i < 2; i++) sum[i][j] += weights[i] * y[r * y_stride + j];
      }
    }
    UNROLL for (int i = 0; i < 2; i++) {
      UNROLL for (int j = 0; j < B; j++)
        join(sums + (i * s_stride + j) * LANES, sum[i][j], is_first);
    }
  }
}

// The same for strips of any looked-up type and any number of vectors.
#define EACH_LOOKED_UP(b, EACH)                                                              \
  CASE_OF_TYPE(CK_Q4_0, b, EACH) CASE_OF_TYPE(CK_Q4_1, b, EACH) CASE_OF_TYPE(CK_Q4_K, b, EACH) \
  CASE_OF_TYPE(CK_IQ4_NL, b, EACH) CASE_OF_TYPE(CK_IQ4_XS, b, EACH)
static void add_looked_up(const struct strip *s, const REAL *x, REAL *sums, int64_t s_stride, int is_first,
                          int64_t b) {
#define CASE_OF_B(B) \
  case B: add_looked_up_strip(s, x, sums, s_stride, is_first, TYPE, B); break;
  switch (s->type) { EACH_LOOKED_UP(b, EACH_B) }
#undef CASE_OF_B
}
static void add_looked_up_adjoint(const struct strip *s, const REAL *y, int64_t y_stride, REAL *sums,
                                  int64_t s_stride, int is_first, int64_t b) {
#define CASE_OF_B(B) \
  case B: add_looked_up_strip_adjoint(s, y, y_stride, sums, s_stride, is_first, TYPE, B); break;
  switch (s->type) { EACH_LOOKED_UP(b, EACH_B) }
#undef CASE_OF_B
}
#endif
