// Strips of W and the vector types used to process them: included by products.inc.h.

typedef REAL vector __attribute__((vector_size(sizeof(REAL) * LANES)));
typedef REAL quarter __attribute__((vector_size(sizeof(REAL) * 4)));
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef float four_floats __attribute__((vector_size(16)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t halfwords __attribute__((vector_size(4 * LANES)));
#if HARDWARE_HALF
typedef _Float16 halves __attribute__((vector_size(2 * LANES)));
#endif

// The even and the odd ones of 2 LANES numbers; and of the halves of words, the lower ones of x and the higher ones of y.
#if LANES == 4
#define HIGH_HALVES(x, y) __builtin_shufflevector(x, y, 0, 9, 2, 11, 4, 13, 6, 15)
#define EVEN_LANES(x, y) __builtin_shufflevector(x, y, 0, 2, 4, 6)
#define ODD_LANES(x, y) __builtin_shufflevector(x, y, 1, 3, 5, 7)
#elif LANES == 8
#define HIGH_HALVES(x, y) \
  __builtin_shufflevector(x, y, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
#define EVEN_LANES(x, y) __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD_LANES(x, y) __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15)
#elif LANES == 16
#define EVEN_LANES(x, y) \
  __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD_LANES(x, y) \
  __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#endif

#define UNROLL _Pragma("clang loop unroll(full)")

// Loads from any alignment, since weights are used in place in their mapped file.
ALWAYS vector load(const void *source) {
  vector v;
  memcpy(&v, source, sizeof v);
  return v;
}
ALWAYS void store(REAL *out, vector v) { memcpy(out, &v, sizeof v); }
ALWAYS floats load_floats(const void *source) {
  floats v;
  memcpy(&v, source, sizeof v);
  return v;
}
// Loads four numbers, of REAL's type or floats.
ALWAYS quarter load_quarter(const int32_t type, const void *source) {
  if (type == REAL_TYPE) {
    quarter v;
    memcpy(&v, source, sizeof v);
    return v;
  }
  four_floats v;
  memcpy(&v, source, sizeof v);
  return __builtin_convertvector(v, quarter);
}

// MARK: Weights

// Whether a type is widened in registers; the others go through a buffer.
static int is_direct(int32_t type) {
  return type == REAL_TYPE || type == CK_F32 || type == CK_BF16 || (HARDWARE_HALF && type == CK_F16);
}
ALWAYS int64_t direct_bytes(const int32_t type) { return ck_block_of(type).bytes; }

// Widens LANES weights of a direct type other than BF16. The type is a constant where this is inlined.
ALWAYS vector widened(const int32_t type, const uint8_t *source) {
  if (type == REAL_TYPE) return load(source);
#if HARDWARE_HALF
  if (type == CK_F16) {
    halves h;
    memcpy(&h, source, sizeof h);
    return __builtin_convertvector(__builtin_convertvector(h, floats), vector);
  }
#endif
  return __builtin_convertvector(load_floats(source), vector);
}

// The number of vectors that weights of a direct type are widened to together. Those of type BF16 are taken as words of two, whose
// halves take one instruction each; then one vector has the weights of even columns, and the next those of odd ones.
ALWAYS int widened_together(const int32_t type) { return type == CK_BF16 ? 2 : 1; }

// The lane of column i among vectors widened `together`: of two, one has the even columns and the other the odd ones.
ALWAYS int64_t lane_of(int64_t i, int together) {
  const int64_t in_two = i % (2 * LANES);
  return together == 1 ? i : i - in_two + in_two % 2 * LANES + in_two / 2;
}

// Whether a whole matrix can be read in place, in vectors that are widened together.
static int is_in_place(const struct ck_matrix *w) {
  return is_direct(w->type) && w->columns % (widened_together(w->type) * LANES) == 0;
}

// Whether strips of weights of this type have to be copied although it is direct: those that are widened together, in a matrix
// that cannot be read in place.
static int is_copied(const struct ck_matrix *w) {
  return widened_together(w->type) > 1 && !is_in_place(w);
}

// The higher halves of words, each in its place.
ALWAYS bits high_halves(bits words, const int keeps_zero) {
#if KEEPS_ZERO
  (void)keeps_zero;
#else
  if (!keeps_zero) {
    bits zero = {0};
    __asm__ volatile("" : "+x"(zero));
    return (bits)HIGH_HALVES((halfwords)zero, (halfwords)words);
  }
#endif
  return words & 0xffff0000;
}

// Widens weights to vector `index` of those that begin at `source`.
ALWAYS vector widened_in_turn(const int32_t type, const uint8_t *source, const int index,
                              const int keeps_zero) {
  const int64_t bytes = LANES * direct_bytes(type);
  if (widened_together(type) == 1) return widened(type, source + index * bytes);
  bits words;
  memcpy(&words, source + index / 2 * 2 * bytes, sizeof words);
  // The first of two is the lower half.
  const bits half = index % 2 ? high_halves(words, keeps_zero) : words << 16;
  return __builtin_convertvector((floats)half, vector);
}

// Some rows of a strip of W in the form that the arithmetic needs: of a direct type, in whole lanes, padded with
// zeros.
struct strip {
  const uint8_t *weights;
  int64_t stride, rows, columns;  // columns a multiple of LANES
  int32_t type;
  // The distance in bytes from a weight to the one at the same place in the next strip, which is prefetched while
  // this one is processed; 0 if there is none or it has been prefetched.
  int64_t ahead;
  // A strip is processed several times, for some vectors each time. In each, a share of the next one is prefetched, so that memory
  // is as busy in one as in the other: every `times`-th part from `time` on.
  int64_t times, time;
  // The factors of weights that are looked up (looked_up.inc.h); otherwise NULL.
  const float *factors;
};

// `ahead` for the next part of the rows or columns of a strip; `wait`, at first s->time, counts the parts until one prefetches.
ALWAYS int64_t ahead_of_part(const struct strip *s, int64_t *wait) {
  const int64_t left = *wait;
  *wait = (left ? left : s->times) - 1;
  return left ? 0 : s->ahead;
}

ALWAYS void prefetch(const uint8_t *source, int64_t bytes) {
  for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(source + line);
}

// Opens the strip at (row, column); `next` is the address of the strip after it. Weights whose lanes can be loaded
// directly from the stored matrix are not copied to the buffer, unless the strip is `reused` often enough to pay for it.
static struct strip open_strip(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                               int64_t columns, const uint8_t *next, int reused, void *buffer) {
  const uint8_t *source = ck_weights(w, row, column);
  const int64_t ahead = next ? next - source : 0;
  if (is_direct(w->type) && columns % LANES == 0 && !reused)
    return (struct strip){source, w->row_bytes, rows, columns, w->type, ahead, 1, 0, NULL};
  const int32_t type = w->type == REAL_TYPE ? REAL_TYPE : CK_F32;
  const int64_t from = source - ck_row(w, row), bytes = ck_weights(w, row, column + columns) - source;
  const int64_t lanes = ck_round_up(columns, LANES), size = direct_bytes(type);
  if (w->scales) widen(w, row, rows, column, columns, buffer);
  for (int64_t r = 0; r < rows; r++, source += w->row_bytes) {
    if (next) prefetch(ck_row(w, row + r) + from + ahead, bytes);
    uint8_t *to = (uint8_t *)buffer + r * STRIP_STRIDE * size;
    if (w->type == REAL_TYPE)
      memcpy(to, source, (size_t)bytes);
    else if (!w->scales)
      dequantize(w->type, source, (float *)to, columns);
    if (columns < lanes) memset(to + columns * size, 0, (size_t)((lanes - columns) * size));
  }
  return (struct strip){buffer, STRIP_STRIDE * size, rows, lanes, type, 0, 1, 0, NULL};
}

// MARK: Transposition

// Transposes within every quarter (4 lanes) of x and y: selects lanes a, b, c, d of the two, with y's lanes counted
// from LANES.
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

// Loads four numbers from each of LANES / 4 rows, four rows (of `stride` bytes) apart.
ALWAYS vector load_quarters(const int32_t type, const uint8_t *source, int64_t stride) {
#if LANES == 4
  (void)stride;
  return load_quarter(type, source);
#else
#define JOIN8(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)
#define TWO(p) JOIN8(load_quarter(type, p), load_quarter(type, (p) + 4 * stride))
#if LANES == 8
  return TWO(source);
#else
  return __builtin_shufflevector(TWO(source), TWO(source + 8 * stride), 0, 1, 2, 3, 4, 5, 6, 7, 8,
                                 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
}

// Transposes four columns of LANES rows `stride` bytes apart: column k goes to out[k out_stride …], lanes in the
// order of the rows.
ALWAYS void transpose4(const int32_t type, const void *rows, int64_t stride, REAL *out,
                       int64_t out_stride) {
  const uint8_t *source = rows;
  const vector r0 = load_quarters(type, source, stride);
  const vector r1 = load_quarters(type, source + stride, stride);
  const vector r2 = load_quarters(type, source + 2 * stride, stride);
  const vector r3 = load_quarters(type, source + 3 * stride, stride);
  const vector low01 = SHUFFLE(r0, r1, 0, LANES, 1, LANES + 1);
  const vector low23 = SHUFFLE(r2, r3, 0, LANES, 1, LANES + 1);
  const vector high01 = SHUFFLE(r0, r1, 2, LANES + 2, 3, LANES + 3);
  const vector high23 = SHUFFLE(r2, r3, 2, LANES + 2, 3, LANES + 3);
  store(out, SHUFFLE(low01, low23, 0, 1, LANES, LANES + 1));
  store(out + out_stride, SHUFFLE(low01, low23, 2, 3, LANES + 2, LANES + 3));
  store(out + 2 * out_stride, SHUFFLE(high01, high23, 0, 1, LANES, LANES + 1));
  store(out + 3 * out_stride, SHUFFLE(high01, high23, 2, 3, LANES + 2, LANES + 3));
}
