// Products, compiled once per instruction set: included by instruction_set.inc.h.
//
// W is taken as it lies, LANES columns of a row at a time. Forward, a lane sums every LANES-th column of a row,
//
//     s[r, j] (LANES) ← s[r, j] + w[r, c : c + LANES] ∘ x[j, c : c + LANES],
//
// for which X comes packed, each vector's strip of entries side by side; the lanes are summed when the row is done.
// Adjoint, a lane is a column,
//
//     s[c : c + LANES, j] ← s[c : c + LANES, j] + w[r, c : c + LANES] y[r, j].
//
// Either way a vector's sum is formed in registers of its own, in an order that depends on W alone; so its product
// depends neither on the vectors beside it nor on the number of threads. Where many vectors pay for turning W around,
// the forward product is the adjoint one of transposed strips: its sums need no adding up of lanes.

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t words __attribute__((vector_size(2 * LANES)));
typedef float quarter __attribute__((vector_size(16)));
#if HARDWARE_HALF
typedef _Float16 halves __attribute__((vector_size(2 * LANES)));
#endif

#define UNROLL _Pragma("clang loop unroll(full)")

// From any alignment: weights lie as their file has them.
ALWAYS vector load(const void *source) {
  vector v;
  memcpy(&v, source, sizeof v);
  return v;
}
ALWAYS void store(float *out, vector v) { memcpy(out, &v, sizeof v); }
ALWAYS quarter load_quarter(const float *source) {
  quarter v;
  memcpy(&v, source, sizeof v);
  return v;
}

// MARK: Weights

// Types that are widened in registers; the others go through a buffer.
static int is_direct(int32_t type) {
  return type == CK_F32 || type == CK_BF16 || (HARDWARE_HALF && type == CK_F16);
}

// LANES weights of a direct type. The type is a constant where this is inlined.
ALWAYS vector widened(const int32_t type, const uint8_t *source) {
  if (type == CK_BF16) {
    words w;
    memcpy(&w, source, sizeof w);
    return (vector)(__builtin_convertvector(w, bits) << 16);
  }
#if HARDWARE_HALF
  if (type == CK_F16) {
    halves h;
    memcpy(&h, source, sizeof h);
    return __builtin_convertvector(h, vector);
  }
#endif
  return load(source);
}

// Some rows of a strip of W as the arithmetic takes them: of a direct type, whole lanes, and zero where a row has ended.
struct strip {
  const uint8_t *weights;
  int64_t stride, rows, columns;  // columns a multiple of LANES
  int32_t type;
  // Bytes from a weight to the one that stands in its place in the strip after this one, to be asked of memory while this
  // one is worked on; 0 if that has been done or there is none.
  int64_t ahead;
};

ALWAYS void prefetch(const uint8_t *source, int64_t bytes) {
  for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(source + line);
}

// The strip at (row, column); `next` is where the strip after it begins. A buffer is needed unless lanes can be loaded
// from where they are stored; with `reused` it pays even then.
static struct strip open_strip(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                               int64_t columns, const uint8_t *next, int reused, float *buffer) {
  const uint8_t *source = ck_weights(w, row, column);
  const int64_t ahead = next ? next - source : 0;
  if (is_direct(w->type) && columns % LANES == 0 && !reused)
    return (struct strip){source, w->row_bytes, rows, columns, w->type, ahead};
  const int64_t from = source - ck_row(w, row), bytes = ck_weights(w, row, column + columns) - source;
  const int64_t lanes = ck_round_up(columns, LANES);
  for (int64_t r = 0; r < rows; r++) {
    if (next) prefetch(ck_row(w, row + r) + from + ahead, bytes);
    float *to = buffer + r * STRIP_STRIDE;
    if (!w->scales) dequantize(w->type, source + r * w->row_bytes, to, columns);
    for (int64_t c = columns; c < lanes; c++) to[c] = 0;
  }
  if (w->scales) widen(w, row, rows, column, columns, buffer);
  return (struct strip){(const uint8_t *)buffer, 4 * STRIP_STRIDE, rows, lanes, CK_F32, 0};
}

// MARK: Forward

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

// Four numbers of LANES / 4 rows, four rows apart: quarter g is source[4 g stride …].
ALWAYS vector load_quarters(const float *source, int64_t stride) {
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

// Four columns of LANES rows `stride` apart: column k into out[k out_stride …], lanes in the order of the rows.
ALWAYS void transpose4(const float *source, int64_t stride, float *out, int64_t out_stride) {
  const vector r0 = load_quarters(source, stride);
  const vector r1 = load_quarters(source + stride, stride);
  const vector r2 = load_quarters(source + 2 * stride, stride);
  const vector r3 = load_quarters(source + 3 * stride, stride);
  const vector low01 = SHUFFLE(r0, r1, 0, LANES, 1, LANES + 1);
  const vector low23 = SHUFFLE(r2, r3, 0, LANES, 1, LANES + 1);
  const vector high01 = SHUFFLE(r0, r1, 2, LANES + 2, 3, LANES + 3);
  const vector high23 = SHUFFLE(r2, r3, 2, LANES + 2, 3, LANES + 3);
  store(out, SHUFFLE(low01, low23, 0, 1, LANES, LANES + 1));
  store(out + out_stride, SHUFFLE(low01, low23, 2, 3, LANES + 2, LANES + 3));
  store(out + 2 * out_stride, SHUFFLE(high01, high23, 0, 1, LANES, LANES + 1));
  store(out + 3 * out_stride, SHUFFLE(high01, high23, 2, 3, LANES + 2, LANES + 3));
}

// Strip `index` of X (n, b), packed: entry c of vector j at packed[(index b + j) STRIP + c], zeros up to whole lanes.
static void pack_strip(const struct ck_product *p, int64_t index, float *restrict packed) {
  const int64_t b = p->b, stride = p->in_stride;
  const int64_t count = ck_min(STRIP, p->w->columns - index * STRIP);
  const int64_t whole = count / LANES * LANES, lanes = ck_round_up(count, LANES);
  const float *x = p->in + index * STRIP * stride;
  packed += index * b * STRIP;
  int64_t j = 0;
  for (; j + 4 <= b; j += 4)
    for (int64_t c = 0; c < whole; c += LANES)
      transpose4(x + c * stride + j, stride, packed + j * STRIP + c, STRIP);
  // What no group of four vectors covers, and then what no whole lanes cover.
  for (; j < b; j++)
    for (int64_t c = 0; c < whole; c++) packed[j * STRIP + c] = x[c * stride + j];
  for (j = 0; j < b; j++)
    for (int64_t c = whole; c < lanes; c++)
      packed[j * STRIP + c] = c < count ? x[c * stride + j] : 0;
}

// Sums of ROWS rows and B vectors over one strip; s[r, j] lies at sums[(r s_stride + j) LANES].
ALWAYS void add_rows(const struct strip *s, const uint8_t *w, const float *restrict x,
                     float *restrict sums, int64_t s_stride, int is_first, const int32_t type,
                     const int ROWS, const int B) {
  const int64_t size = type == CK_F32 ? 4 : 2;
  vector sum[4][VECTORS_AT_ONCE];
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) {
      sum[r][j] = is_first ? (vector){0} : load(sums + (r * s_stride + j) * LANES);
    }
  }
  const int64_t stride = s->stride, ahead = s->ahead;
  for (int64_t c = 0; c < s->columns; c += LANES) {
    vector weights[4];
    UNROLL for (int r = 0; r < ROWS; r++) {
      const uint8_t *source = w + r * stride + c * size;
      weights[r] = widened(type, source);
      if (ahead) __builtin_prefetch(source + ahead);
    }
    UNROLL for (int j = 0; j < B; j++) {
      const vector entries = load(x + j * STRIP + c);
      UNROLL for (int r = 0; r < ROWS; r++) sum[r][j] += weights[r] * entries;
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) store(sums + (r * s_stride + j) * LANES, sum[r][j]);
  }
}

// The same for all rows of a strip.
ALWAYS void add_strip(const struct strip *s, const float *x, float *sums, int64_t s_stride,
                      int is_first, const int32_t type, const int B) {
  // Enough sums at a time to keep the multipliers busy.
  const int AT_ONCE = 2 * B <= VECTORS_AT_ONCE ? 4 : VECTORS_AT_ONCE == 8 ? 3 : 2;
  int64_t r = 0;
  for (; r + AT_ONCE <= s->rows; r += AT_ONCE)
    add_rows(s, s->weights + r * s->stride, x, sums + r * s_stride * LANES, s_stride, is_first, type,
             AT_ONCE, B);
  for (; r < s->rows; r++)
    add_rows(s, s->weights + r * s->stride, x, sums + r * s_stride * LANES, s_stride, is_first, type,
             1, B);
}

#if VECTORS_AT_ONCE > 4
#define EACH_B(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#else
#define EACH_B(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#endif

// Runs CALL for the type and the number of vectors, as constants.
#define SWITCH_B(b)    \
  switch (b) {         \
    EACH_B(CASE_OF_B)  \
  }
#define SWITCH_TYPE(type, b)              \
  switch (type) {                         \
    case CK_BF16: {                       \
      enum { TYPE = CK_BF16 };            \
      SWITCH_B(b)                         \
    } break;                              \
    case CK_F16: {                        \
      enum { TYPE = CK_F16 };             \
      SWITCH_B(b)                         \
    } break;                              \
    default: {                            \
      enum { TYPE = CK_F32 };             \
      SWITCH_B(b)                         \
    }                                     \
  }

static void add_vectors(const struct strip *s, const float *x, float *sums, int64_t s_stride,
                        int is_first, int64_t b) {
#define CASE_OF_B(B) \
  case B: add_strip(s, x, sums, s_stride, is_first, TYPE, B); break;
  SWITCH_TYPE(s->type, b)
#undef CASE_OF_B
}

// The sums of four vectors' lanes.
ALWAYS quarter lane_sums(const float *sums) {
  quarter v[4];
  UNROLL for (int i = 0; i < 4; i++) {
    const float *lanes = sums + i * LANES;
    v[i] = load_quarter(lanes);
    UNROLL for (int k = 4; k < LANES; k += 4) v[i] += load_quarter(lanes + k);
  }
#define PAIR(x, y, a, b, c, d) __builtin_shufflevector(x, y, a, b, c, d)
  const quarter a = PAIR(v[0], v[1], 0, 4, 1, 5) + PAIR(v[0], v[1], 2, 6, 3, 7);  // 0, 1, 0, 1
  const quarter b = PAIR(v[2], v[3], 0, 4, 1, 5) + PAIR(v[2], v[3], 2, 6, 3, 7);  // 2, 3, 2, 3
  return PAIR(a, b, 0, 1, 4, 5) + PAIR(a, b, 2, 3, 6, 7);
}

static void write_row(const float *restrict sums, const struct ck_product *p, float *restrict out) {
  for (int64_t j = 0; j < p->b; j += 4, sums += 4 * LANES) {
    const quarter four = lane_sums(sums);
    UNROLL for (int i = 0; i < 4; i++) {
      if (j + i < p->b) out[j + i] = p->accumulate ? out[j + i] + four[i] : four[i];
    }
  }
}

// Rows row …< row + rows of Y ← W X, with X packed.
static void multiply_rows(const struct ck_product *p, const float *packed, int64_t row, int64_t rows,
                          float *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, s_stride = ck_round_up(b, 4);
  float *buffer = scratch, *sums = buffer + STRIP_FLOATS;
  for (int64_t column = 0; column < w->columns; column += STRIP, packed += b * STRIP) {
    const int64_t columns = ck_min(STRIP, w->columns - column);
    const uint8_t *next = column + STRIP < w->columns ? ck_weights(w, row, column + STRIP)
                          : row + 2 * rows <= w->rows ? ck_weights(w, row + rows, 0)
                                                      : NULL;
    struct strip s = open_strip(w, row, rows, column, columns, next, 0, buffer);
    for (int64_t j = 0; j < b; j += VECTORS_AT_ONCE) {
      add_vectors(&s, packed + j * STRIP, sums + j * LANES, s_stride, column == 0,
                  ck_min(VECTORS_AT_ONCE, b - j));
      s.ahead = 0;
    }
  }
  for (int64_t r = 0; r < rows; r++)
    write_row(sums + r * s_stride * LANES, p, p->out + (row + r) * p->out_stride);
}

// MARK: Adjoint

// Sums of COLUMNS · LANES columns and B vectors over the rows of a strip; those of lanes i and vector j lie at
// sums[(i s_stride + j) LANES].
ALWAYS void add_columns(const struct strip *s, int64_t column, const float *restrict y,
                        int64_t y_stride, float *restrict sums, int64_t s_stride,
                        const int32_t type, const int COLUMNS, const int B) {
  const int64_t size = type == CK_F32 ? 4 : 2;
  vector sum[8][VECTORS_AT_ONCE];
  UNROLL for (int i = 0; i < COLUMNS; i++) {
    UNROLL for (int j = 0; j < B; j++) sum[i][j] = (vector){0};
  }
  const uint8_t *w = s->weights + column * size;
  const int64_t stride = s->stride, ahead = s->ahead;
  for (int64_t r = 0; r < s->rows; r++, w += stride, y += y_stride) {
    vector weights[8];
    UNROLL for (int i = 0; i < COLUMNS; i++) {
      weights[i] = widened(type, w + i * LANES * size);
      if (ahead) __builtin_prefetch(w + i * LANES * size + ahead);
    }
    UNROLL for (int j = 0; j < B; j++) {
      UNROLL for (int i = 0; i < COLUMNS; i++) sum[i][j] += weights[i] * y[j];
    }
  }
  UNROLL for (int i = 0; i < COLUMNS; i++) {
    UNROLL for (int j = 0; j < B; j++) {
      float *to = sums + (i * s_stride + j) * LANES;
      store(to, load(to) + sum[i][j]);
    }
  }
}

// The same for all columns of a strip.
ALWAYS void add_strip_adjoint(const struct strip *s, const float *y, int64_t y_stride, float *sums,
                              int64_t s_stride, const int32_t type, const int B) {
  const int AT_ONCE = 4 * B <= VECTORS_AT_ONCE ? 8 : 2 * B <= VECTORS_AT_ONCE ? 4 : 2;
  int64_t c = 0;
  for (; c + AT_ONCE * LANES <= s->columns; c += AT_ONCE * LANES)
    add_columns(s, c, y, y_stride, sums + c * s_stride, s_stride, type, AT_ONCE, B);
  for (; c < s->columns; c += LANES)
    add_columns(s, c, y, y_stride, sums + c * s_stride, s_stride, type, 1, B);
}

// The same for all b vectors.
static void add_adjoint(struct strip *s, const float *y, int64_t y_stride, float *sums, int64_t b) {
  for (int64_t j = 0; j < b; j += VECTORS_AT_ONCE, y += VECTORS_AT_ONCE, sums += VECTORS_AT_ONCE * LANES) {
#define CASE_OF_B(B) \
  case B: add_strip_adjoint(s, y, y_stride, sums, b, TYPE, B); break;
    SWITCH_TYPE(s->type, ck_min(VECTORS_AT_ONCE, b - j))
#undef CASE_OF_B
    s->ahead = 0;
  }
}

// out[i, j] ← the sum of lane i and vector j, i < count.
static void write_lanes(const float *restrict sums, int64_t count, const struct ck_product *p,
                        float *restrict out) {
  const int64_t b = p->b;
  for (int64_t i = 0; i < count; i++, out += p->out_stride) {
    const float *restrict from = sums + i / LANES * LANES * b + i % LANES;
    for (int64_t j = 0; j < b; j++)
      out[j] = p->accumulate ? out[j] + from[j * LANES] : from[j * LANES];
  }
}

// Columns first …< first + count of X ← Wᵀ Y.
static void multiply_adjoint_columns(const struct ck_product *p, int64_t first, int64_t count,
                                     float *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b;
  float *buffer = scratch, *sums = buffer + STRIP_FLOATS;
  memset(sums, 0, (size_t)(b * ck_round_up(count, LANES)) * 4);
  for (int64_t row = 0; row < w->rows; row += ROW_GROUP) {
    const int64_t rows = ck_min(ROW_GROUP, w->rows - row);
    for (int64_t column = 0; column < count; column += STRIP) {
      const int64_t columns = ck_min(STRIP, count - column);
      const uint8_t *next =
          column + STRIP < count              ? ck_weights(w, row, first + column + STRIP)
          : row + rows + ROW_GROUP <= w->rows ? ck_weights(w, row + rows, first)
                                              : NULL;
      struct strip s =
          open_strip(w, row, rows, first + column, columns, next, b > REUSED, buffer);
      add_adjoint(&s, p->in + row * p->in_stride, p->in_stride, sums + column * b, b);
    }
  }
  write_lanes(sums, count, p, p->out + first * p->out_stride);
}

// MARK: Forward, many vectors

// Rows row …< row + ROW_GROUP of Y ← W X by transposed strips.
static void multiply_rows_thick(const struct ck_product *p, int64_t row, float *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, rows = ck_min(ROW_GROUP, w->rows - row), lanes = ck_round_up(rows, LANES);
  float *buffer = scratch, *transposed = buffer + STRIP_FLOATS, *sums = transposed + STRIP_FLOATS;
  memset(sums, 0, (size_t)(b * lanes) * 4);
  for (int64_t column = 0; column < w->columns; column += STRIP) {
    const int64_t columns = ck_min(STRIP, w->columns - column);
    const uint8_t *next = column + STRIP < w->columns ? ck_weights(w, row, column + STRIP) : NULL;
    open_strip(w, row, rows, column, columns, next, 1, buffer);
    // Lanes past the last row hold an earlier strip's weights; nobody reads their sums.
    for (int64_t r = 0; r < lanes; r += LANES)
      for (int64_t c = 0; c < columns; c += 4)
        transpose4(buffer + r * STRIP_STRIDE + c, STRIP_STRIDE, transposed + c * ROW_GROUP + r,
                   ROW_GROUP);
    struct strip s = {(const uint8_t *)transposed, 4 * ROW_GROUP, columns, lanes, CK_F32, 0};
    add_adjoint(&s, p->in + column * p->in_stride, p->in_stride, sums, b);
  }
  write_lanes(sums, rows, p, p->out + row * p->out_stride);
}
