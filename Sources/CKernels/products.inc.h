// Thin products, compiled once per instruction set: included by instruction_set.inc.h.
//
// One kernel does all the arithmetic: the sum of `steps` outer products of a column of GROUP weights with a row of
// vectors' entries,
//
//     S (b, GROUP) ← S + Σₖ x[k, :]ᵀ w[k, :],
//
// the weights in the lanes and the vectors one after another. Forward, the lanes are GROUP rows of W and k runs over
// columns: the strip of W is transposed on the way. Adjoint, the lanes are GROUP columns and k runs over rows: W is
// taken as it lies. A vector's sum is formed in its own register in the order of k, whatever the vectors beside it; so
// its product depends neither on them nor on the number of threads.

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef float quarter __attribute__((vector_size(16)));

#define GROUP (2 * LANES)
#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vector load(const float *source) {
  vector v;
  memcpy(&v, source, sizeof v);
  return v;
}
ALWAYS void store(float *out, vector v) { memcpy(out, &v, sizeof v); }
ALWAYS quarter load_quarter(const uint8_t *source) {
  quarter v;
  memcpy(&v, source, sizeof v);
  return v;
}

// Within every quarter (4 lanes) of x and y: lanes a, b, c, d of the two, y's lanes counting from LANES.
#if LANES == 4
#define SHUFFLE(x, y, a, b, c, d) __builtin_shufflevector(x, y, a, b, c, d)
#elif LANES == 8
#define SHUFFLE(x, y, a, b, c, d) \
  __builtin_shufflevector(x, y, a, b, c, d, a + 4, b + 4, c + 4, d + 4)
#elif LANES == 16
#define SHUFFLE(x, y, a, b, c, d)                                                         \
  __builtin_shufflevector(x, y, a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, \
                          a + 12, b + 12, c + 12, d + 12)
#endif

// Four words of LANES / 4 rows, four rows apart: quarter g is source[4 g stride …].
ALWAYS vector load_quarters(const uint8_t *source, int64_t stride) {
#if LANES == 4
  (void)stride;
  return load_quarter(source);
#else
#define JOIN8(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)
#define TWO(p) JOIN8(load_quarter(p), load_quarter((p) + 4 * stride))
#if LANES == 8
  return TWO(source);
#else
  return __builtin_shufflevector(TWO(source), TWO(source + 8 * stride), 0, 1, 2, 3, 4, 5, 6, 7, 8,
                                 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
}

// Four columns of LANES rows of words, `stride` bytes apart: column k into out[k], lanes in the order of the rows.
ALWAYS void transpose4(const uint8_t *source, int64_t stride, vector out[4]) {
  const vector r0 = load_quarters(source, stride);
  const vector r1 = load_quarters(source + stride, stride);
  const vector r2 = load_quarters(source + 2 * stride, stride);
  const vector r3 = load_quarters(source + 3 * stride, stride);
  const vector low01 = SHUFFLE(r0, r1, 0, LANES, 1, LANES + 1);
  const vector low23 = SHUFFLE(r2, r3, 0, LANES, 1, LANES + 1);
  const vector high01 = SHUFFLE(r0, r1, 2, LANES + 2, 3, LANES + 3);
  const vector high23 = SHUFFLE(r2, r3, 2, LANES + 2, 3, LANES + 3);
  out[0] = SHUFFLE(low01, low23, 0, 1, LANES, LANES + 1);
  out[1] = SHUFFLE(low01, low23, 2, 3, LANES + 2, LANES + 3);
  out[2] = SHUFFLE(high01, high23, 0, 1, LANES, LANES + 1);
  out[3] = SHUFFLE(high01, high23, 2, 3, LANES + 2, LANES + 3);
}

// The strip of W that comes next, asked of memory while the present one is computed with. A tile asks for one row every
// STRIP / GROUP steps, so that the whole strip has been asked for when the present one is done.
struct upcoming {
  const uint8_t *row;
  int64_t row_bytes, bytes, rows;
};
ALWAYS void prefetch_row(struct upcoming *next) {
  if (next->rows-- <= 0) return;
  const uint8_t *end = next->row + next->bytes;
  for (const uint8_t *line = next->row; line < end; line += 64) __builtin_prefetch(line);
  next->row += next->row_bytes;
}

// The strip at (row, column), or none.
ALWAYS struct upcoming upcoming(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                                int64_t end) {
  const int64_t columns = ck_min(STRIP, end - column), left = ck_min(rows, w->rows - row);
  const uint8_t *first = ck_weights(w, row, column);
  return (struct upcoming){first, w->row_bytes, ck_weights(w, row, column + columns) - first, left};
}

// S (B, GROUP) ← S + Σₖ x[k, :]ᵀ w[k, :], k < steps. B is a constant where this is inlined.
ALWAYS void add_tile(const float *restrict w, int64_t w_stride, const float *restrict x,
                     int64_t x_stride, int64_t steps, float *restrict sums,
                     struct upcoming *restrict next, const int B) {
  vector low[VECTORS_AT_ONCE], high[VECTORS_AT_ONCE];
#pragma clang loop unroll(full)
  for (int j = 0; j < B; j++) low[j] = high[j] = (vector){0};
  while (steps > 0) {
    prefetch_row(next);
    for (int64_t k = ck_min(steps, STRIP / GROUP); k > 0; k--, w += w_stride, x += x_stride) {
      const vector w_low = load(w), w_high = load(w + LANES);
#pragma clang loop unroll(full)
      for (int j = 0; j < B; j++) {
        low[j] += w_low * x[j];
        high[j] += w_high * x[j];
      }
    }
    steps -= STRIP / GROUP;
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < B; j++, sums += GROUP) {
    store(sums, load(sums) + low[j]);
    store(sums + LANES, load(sums + LANES) + high[j]);
  }
}

// The same for any b.
static void add_tiles(const float *w, int64_t w_stride, const float *x, int64_t x_stride,
                      int64_t steps, float *sums, int64_t b, struct upcoming *next) {
  while (b > 0) {
    switch (ck_min(b, VECTORS_AT_ONCE)) {
#define TILE(B) \
  case B: add_tile(w, w_stride, x, x_stride, steps, sums, next, B); break;
      TILE(1)
      TILE(2)
      TILE(3)
      TILE(4)
#if VECTORS_AT_ONCE > 4
      TILE(5)
      TILE(6)
      TILE(7)
      TILE(8)
#endif
#undef TILE
    }
    b -= VECTORS_AT_ONCE;
    x += VECTORS_AT_ONCE;
    sums += VECTORS_AT_ONCE * GROUP;
  }
}

// out[i, j] ← S[j, i] (or added to it), i < count ≤ GROUP, j < b.
static void write_sums(const float *restrict sums, int64_t count, const struct ck_product *p,
                       float *restrict out) {
  const int64_t b = p->b, stride = p->out_stride;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < b; j++)
      out[i * stride + j] = p->accumulate ? out[i * stride + j] + sums[j * GROUP + i]
                                          : sums[j * GROUP + i];
}

// Forward: LANES rows of a strip, one after another, become columns of LANES lanes, column k at packed[k GROUP].
static void pack_strip(const struct ck_matrix *w, int64_t row, int64_t column, int64_t columns,
                       float *restrict widened, float *restrict packed) {
  // bf16 is transposed in pairs, as it lies, and widened afterwards: half the work.
  const int pairs = w->type == CK_BF16;
  for (int lane = 0; lane < LANES; lane++) {
    // Lanes past the last row repeat it; nobody reads them.
    const uint8_t *source = ck_weights(w, ck_min(row + lane, w->rows - 1), column);
    float *to = widened + lane * STRIP_STRIDE;
    if (pairs)
      memcpy(to, source, (size_t)columns * 2);
    else
      dequantize(w->type, source, to, columns);
  }
  for (int64_t word = 0; word << pairs < columns; word += 4) {
    vector out[4];
    transpose4((const uint8_t *)(widened + word), 4 * STRIP_STRIDE, out);
    for (int i = 0; i < 4; i++, packed += GROUP << pairs) {
      if (pairs) {
        store(packed, (vector)((bits)out[i] << 16));
        store(packed + GROUP, (vector)((bits)out[i] & 0xffff0000));
      } else {
        store(packed, out[i]);
      }
    }
  }
}

static void multiply_rows(const struct ck_product *p, int64_t row, float *scratch) {
  const struct ck_matrix *w = p->w;
  float *packed = scratch, *widened = packed + STRIP * GROUP, *sums = widened + LANES * STRIP_STRIDE;
  memset(sums, 0, (size_t)p->b * GROUP * 4);
  for (int64_t column = 0; column < w->columns; column += STRIP) {
    const int64_t columns = ck_min(STRIP, w->columns - column);
    pack_strip(w, row, column, columns, widened, packed);
    pack_strip(w, row + LANES, column, columns, widened, packed + LANES);
    struct upcoming next = column + STRIP < w->columns
                               ? upcoming(w, row, GROUP, column + STRIP, w->columns)
                               : upcoming(w, row + GROUP, GROUP, 0, w->columns);
    for (int64_t k = 0; k < columns; k += RUN)
      add_tiles(packed + k * GROUP, GROUP, p->in + (column + k) * p->in_stride, p->in_stride,
                ck_min(RUN, columns - k), sums, p->b, &next);
  }
  write_sums(sums, ck_min(GROUP, w->rows - row), p, p->out + row * p->out_stride);
}

static void multiply_adjoint_columns(const struct ck_product *p, int64_t first, int64_t count,
                                     float *scratch) {
  const struct ck_matrix *w = p->w;
  float *widened = scratch, *sums = widened + ADJOINT_ROWS * STRIP_STRIDE;
  memset(sums, 0, (size_t)(p->b * ck_round_up(count, GROUP)) * 4);
  for (int64_t row = 0; row < w->rows; row += ADJOINT_ROWS) {
    const int64_t rows = ck_min(ADJOINT_ROWS, w->rows - row);
    for (int64_t strip = 0; strip < count; strip += STRIP) {
      const int64_t columns = ck_min(STRIP, count - strip);
      for (int64_t r = 0; r < rows; r++)
        dequantize(w->type, ck_weights(w, row + r, first + strip), widened + r * STRIP_STRIDE, columns);
      struct upcoming next =
          strip + STRIP < count
              ? upcoming(w, row, ADJOINT_ROWS, first + strip + STRIP, first + count)
              : upcoming(w, row + ADJOINT_ROWS, ADJOINT_ROWS, first, first + count);
      for (int64_t c = 0; c < columns; c += GROUP)
        add_tiles(widened + c, STRIP_STRIDE, p->in + row * p->in_stride, p->in_stride, rows,
                  sums + (strip + c) * p->b, p->b, &next);
    }
  }
  for (int64_t c = 0; c < count; c += GROUP)
    write_sums(sums + c * p->b, ck_min(GROUP, count - c), p, p->out + (first + c) * p->out_stride);
}
