// Products, compiled once per instruction set and precision: included by instruction_set.inc.h in single precision,
// by double_precision.inc.h in double. REAL is the type of the vectors, REAL_TYPE the stored type of that precision.
//
// W is read as it is stored, LANES columns of a row at a time. Forward, a lane sums every LANES-th column of a row,
//
//     s[r, j] (LANES) ← s[r, j] + w[r, c : c + LANES] ∘ x[j, c : c + LANES],
//
// where X is packed, each vector's strip of entries contiguous; the lanes are summed at the end of the row. In the
// adjoint, a lane is a column,
//
//     s[c : c + LANES, j] ← s[c : c + LANES, j] + w[r, c : c + LANES] y[r, j].
//
// In both, a vector's sum is formed in registers of its own, in an order that depends on W alone, so its product
// depends neither on the other vectors nor on the number of threads. Where there are enough vectors to pay for
// transposing strips of W, the forward product is the adjoint one of transposed strips: its sums need no reduction
// over lanes.
//
// Long sums are computed as sums of partial sums, so that a term is rounded once per addition in its partial sum and
// in the sum of partial sums, not once per term of the product. Forward, the partial sums are those of strips, at most
// STRIP / LANES terms per lane; in the adjoint, those of ROW_GROUP or FEW_ADJOINT_ROWS rows (COLUMN_GROUP columns of transposed
// strips), which are in turn summed in parts of PART.

#include "strips.inc.h"

// The numbers of vectors whose sums are kept in registers together.
#ifndef MORE_VECTORS
#define MORE_VECTORS VECTORS_AT_ONCE
#endif
#ifndef FORWARD_AHEAD
#define FORWARD_AHEAD(ahead) (ahead)
#endif
#if VECTORS_AT_ONCE == 8
#define EACH_B(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#elif VECTORS_AT_ONCE == 2
#define EACH_B(CASE) CASE(1) CASE(2)
#else
#define EACH_B(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#endif
#if MORE_VECTORS > VECTORS_AT_ONCE
#define EACH_B_OR_MORE(CASE) EACH_B(CASE) CASE(MORE_VECTORS)
#else
#define EACH_B_OR_MORE(CASE) EACH_B(CASE)
#endif

// Whether multiplication and addition are fused.
#define IS_FUSED (VECTORS_AT_ONCE == 8 || (VECTORS_AT_ONCE == 4 && sizeof(vector) == 32))

// Adds a sum to those so far, or stores it if it is the first.
ALWAYS void join(REAL *to, vector sum, int is_first) { store(to, is_first ? sum : load(to) + sum); }

// Runs CASE_OF_B with the type and the number of vectors as constants; EACH lists the numbers.
#define SWITCH_B(b, EACH) \
  switch (b) {            \
    EACH(CASE_OF_B)       \
  }
#define CASE_OF_TYPE(T, b, EACH) \
  case T: {                      \
    enum { TYPE = T };           \
    SWITCH_B(b, EACH)            \
  } break;
#define SWITCH_TYPE(type, b, EACH)                                                                 \
  switch (type) {                                                                                  \
    CASE_OF_TYPE(CK_BF16, b, EACH) CASE_OF_TYPE(CK_F16, b, EACH) CASE_OF_TYPE(CK_F32, b, EACH)     \
    CASE_OF_DOUBLE(b, EACH)                                                                        \
  }

#include "looked_up.inc.h"

// Opens a strip of W for all of the vectors, which use it once or, if they pay for a copy, several times.
static struct strip opened(const struct ck_product *p, int64_t row, int64_t rows, int64_t column,
                           int64_t columns, const uint8_t *next, int reused, REAL *buffer) {
#if LOOKS_UP
  if (is_looked_up(p->w->type) && !reused)
    return open_looked_up(p->w, row, rows, column, columns, next, p->b, buffer);
#endif
  return open_strip(p->w, row, rows, column, columns, next, reused, buffer);
}

// MARK: Forward

// Brings the even ones of 2 LANES numbers to the front.
ALWAYS void separate(REAL *numbers) {
  const vector a = load(numbers), b = load(numbers + LANES);
  store(numbers, EVEN_LANES(a, b));
  store(numbers + LANES, ODD_LANES(a, b));
}

// Packs strip `index` of X (n, b): entry c of vector j at packed[(index b + j) STRIP + lane_of(c)], with zeros up to whole lanes.
static void pack_strip(const struct ck_product *p, int64_t index, void *to) {
  const int64_t b = p->b, stride = p->in_stride, width = ck_strip_width(p->w, p->w->columns);
  const int64_t count = ck_min(width, p->w->columns - index * width);
  const int64_t whole = count / LANES * LANES, lanes = ck_round_up(count, LANES);
  const REAL *x = (const REAL *)p->in + index * width * stride;
  const int in_turn = is_in_place(p->w) ? widened_together(p->w->type) : 1;
  REAL *restrict packed = (REAL *)to + index * b * STRIP;
  int64_t j = 0;
  for (; j + 4 <= b; j += 4)
    for (int64_t c = 0; c < whole; c += LANES)
      transpose4(REAL_TYPE, x + c * stride + j, stride * (int64_t)sizeof(REAL),
                 packed + j * STRIP + c, STRIP);
  // The vectors left over from groups of four, then the entries left over from whole lanes.
  for (; j < b; j++)
    for (int64_t c = 0; c < whole; c++) packed[j * STRIP + c] = x[c * stride + j];
  for (j = 0; j < b; j++)
    for (int64_t c = whole; c < lanes; c++)
      packed[j * STRIP + c] = c < count ? x[c * stride + j] : 0;
  for (j = 0; in_turn == 2 && j < b; j++)
    for (int64_t c = 0; c < lanes; c += 2 * LANES) separate(packed + j * STRIP + c);
#if LOOKS_UP
  for (j = 0; is_looked_up(p->w->type) && j < b; j++) transpose_squares(packed + j * STRIP, lanes);
#endif
}

// Adds to the sums of ROWS rows and B vectors the products of vector `index` of the weights and entries that begin at w and x.
ALWAYS void add_lanes(vector sum[4][MORE_VECTORS], const uint8_t *w, int64_t stride,
                      const REAL *x, const int index, const int32_t type, const int ROWS,
                      const int B) {
  vector weights[4];
  // Has words loaded again for their second half: to keep them would take registers of the sums.
  if (widened_together(type) > 1) __asm__ volatile("" : "+r"(w));
  UNROLL for (int r = 0; r < ROWS; r++)
    weights[r] = widened_in_turn(type, w + r * stride, index, KEEPS_ZERO);
  UNROLL for (int j = 0; j < B; j++) {
    const vector entries = load(x + j * STRIP + index * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) sum[r][j] += weights[r] * entries;
  }
}

// Adds the sums of ROWS rows and B vectors over one strip; s[r, j] is at sums[(r s_stride + j) LANES].
ALWAYS void add_rows(const struct strip *s, const uint8_t *w, const REAL *restrict x,
                     REAL *restrict sums, int64_t s_stride, int is_first, int64_t ahead,
                     const int32_t type, const int ROWS, const int B) {
  const int64_t size = direct_bytes(type);
  vector sum[4][MORE_VECTORS];
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) {
      sum[r][j] = (vector){0};
    }
  }
  // Without fused multiplication and addition, a second vector would take registers that products need.
  const int AT_ONCE = IS_FUSED || size < (int64_t)sizeof(REAL) ? 2 : 1;
  int64_t c = 0;
  for (; c + AT_ONCE * LANES <= s->columns; c += AT_ONCE * LANES) {
    const uint8_t *source = w + c * size;
    UNROLL for (int r = 0; r < ROWS; r++) {
      UNROLL for (int64_t i = 0; i < AT_ONCE * LANES * size; i += PREFETCHED(LANES * size))
        __builtin_prefetch(source + r * s->stride + i + FORWARD_AHEAD(ahead));
    }
    UNROLL for (int i = 0; i < AT_ONCE; i++)
      add_lanes(sum, source, s->stride, x + c, i, type, ROWS, B);
  }
  if (c < s->columns) add_lanes(sum, w + c * size, s->stride, x + c, 0, type, ROWS, B);
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) join(sums + (r * s_stride + j) * LANES, sum[r][j], is_first);
  }
}

// The same for all rows of a strip.
ALWAYS void add_strip(const struct strip *s, const REAL *x, REAL *sums, int64_t s_stride,
                      int is_first, const int32_t type, const int B) {
  // The number of rows at a time: enough sums to keep the multipliers busy. Three rows of four vectors, with their
  // weights and the entries of one vector, are just the sixteen registers of AVX2, as are two rows of six; without fused
  // multiplication and addition, products need registers too.
  const int AT_ONCE = 2 * B <= VECTORS_AT_ONCE ? 4 : IS_FUSED && B <= VECTORS_AT_ONCE ? 3 : 2;
  int64_t r = 0, wait = s->time;
  for (; r + AT_ONCE <= s->rows; r += AT_ONCE)
    add_rows(s, s->weights + r * s->stride, x, sums + r * s_stride * LANES, s_stride, is_first,
             ahead_of_part(s, &wait), type, AT_ONCE, B);
  for (; r < s->rows; r++)
    add_rows(s, s->weights + r * s->stride, x, sums + r * s_stride * LANES, s_stride, is_first,
             ahead_of_part(s, &wait), type, 1, B);
}

static void add_vectors(const struct strip *s, const REAL *x, REAL *sums, int64_t s_stride,
                        int is_first, int64_t b) {
#if LOOKS_UP
  if (s->factors) return add_looked_up(s, x, sums, s_stride, is_first, b);
#endif
#define CASE_OF_B(B) \
  case B: add_strip(s, x, sums, s_stride, is_first, TYPE, B); break;
  SWITCH_TYPE(s->type, b, EACH_B_OR_MORE)
#undef CASE_OF_B
}

// The number of vectors that the forward product takes at once while `left` are left.
ALWAYS int64_t forward_vectors(int64_t left) {
  return left == MORE_VECTORS ? MORE_VECTORS : ck_min(VECTORS_AT_ONCE, left);
}

// The sums over the lanes of four vectors.
ALWAYS quarter lane_sums(const REAL *sums) {
  quarter v[4];
  UNROLL for (int i = 0; i < 4; i++) {
    const REAL *lanes = sums + i * LANES;
    v[i] = load_quarter(REAL_TYPE, lanes);
    UNROLL for (int k = 4; k < LANES; k += 4) v[i] += load_quarter(REAL_TYPE, lanes + k);
  }
#define PAIR(x, y, a, b, c, d) __builtin_shufflevector(x, y, a, b, c, d)
  const quarter a = PAIR(v[0], v[1], 0, 4, 1, 5) + PAIR(v[0], v[1], 2, 6, 3, 7);  // 0, 1, 0, 1
  const quarter b = PAIR(v[2], v[3], 0, 4, 1, 5) + PAIR(v[2], v[3], 2, 6, 3, 7);  // 2, 3, 2, 3
  return PAIR(a, b, 0, 1, 4, 5) + PAIR(a, b, 2, 3, 6, 7);
}

static void write_row(const REAL *restrict sums, const struct ck_product *p, REAL *restrict out) {
  for (int64_t j = 0; j < p->b; j += 4, sums += 4 * LANES) {
    const quarter four = lane_sums(sums);
    UNROLL for (int i = 0; i < 4; i++) {
      if (j + i < p->b) out[j + i] = p->accumulate ? out[j + i] + four[i] : four[i];
    }
  }
}

// Computes rows row …< row + rows of Y ← W X, with X packed.
static void multiply_rows(const struct ck_product *p, const void *packed, int64_t row, int64_t rows,
                          void *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, s_stride = ck_round_up(b, 4), width = ck_strip_width(w, w->columns);
  const REAL *x = packed;
  REAL *buffer = scratch, *sums = buffer + STRIP_NUMBERS;
  for (int64_t column = 0; column < w->columns; column += width, x += b * STRIP) {
    const int64_t columns = ck_min(width, w->columns - column);
    const uint8_t *next = column + width < w->columns ? ck_weights(w, row, column + width)
                          : row + 2 * rows <= w->rows ? ck_weights(w, row + rows, 0)
                                                      : NULL;
    struct strip s = opened(p, row, rows, column, columns, next, is_copied(w), buffer);
    s.times = 0;
    for (int64_t left = b; left > 0; left -= forward_vectors(left)) s.times++;
    for (int64_t j = 0, now; j < b; j += now, s.time++) {
      now = forward_vectors(b - j);
      add_vectors(&s, x + j * STRIP, sums + j * LANES, s_stride, column == 0, now);
    }
  }
  for (int64_t r = 0; r < rows; r++)
    write_row(sums + r * s_stride * LANES, p, (REAL *)p->out + (row + r) * p->out_stride);
}

// MARK: Adjoint

// Adds the sums of COLUMNS · LANES columns and B vectors over the rows of a strip to those so far, or stores them if
// it is the first strip; those of lanes i and vector j are at sums[(i s_stride + j) LANES].
ALWAYS void add_columns(const struct strip *s, int64_t column, const REAL *restrict y,
                        int64_t y_stride, REAL *restrict sums, int64_t s_stride, int is_first,
                        int64_t ahead, const int32_t type, const int COLUMNS, const int B) {
  const int64_t size = direct_bytes(type);
  vector sum[8][MORE_VECTORS];
  UNROLL for (int i = 0; i < COLUMNS; i++) {
    UNROLL for (int j = 0; j < B; j++) sum[i][j] = (vector){0};
  }
  const uint8_t *w = s->weights + column * size;
  const int64_t stride = s->stride;
  for (int64_t r = 0; r < s->rows; r++, w += stride, y += y_stride) {
    vector weights[8];
    UNROLL for (int i = 0; i < COLUMNS; i++) weights[i] = widened_in_turn(type, w, i, 1);
    if (ahead) {
      UNROLL for (int64_t i = 0; i < COLUMNS * LANES * size;
                  i += PREFETCHED(widened_together(type) * LANES * size))
        __builtin_prefetch(w + i + ahead);
    }
    UNROLL for (int j = 0; j < B; j++) {
      UNROLL for (int i = 0; i < COLUMNS; i++) sum[i][j] += weights[i] * y[j];
    }
  }
  UNROLL for (int i = 0; i < COLUMNS; i++) {
    UNROLL for (int j = 0; j < B; j++) join(sums + (i * s_stride + j) * LANES, sum[i][j], is_first);
  }
}

// The same for all columns of a strip.
ALWAYS void add_strip_adjoint(const struct strip *s, const REAL *y, int64_t y_stride, REAL *sums,
                              int64_t s_stride, int is_first, const int32_t type, const int B) {
  const int AT_ONCE = 4 * B <= VECTORS_AT_ONCE ? 8 : 2 * B <= VECTORS_AT_ONCE ? 4 : 2;
  int64_t c = 0, wait = s->time;
  for (; c + AT_ONCE * LANES <= s->columns; c += AT_ONCE * LANES) {
    // Of parts that share a line of the cache, one prefetches.
    const int is_within = c * direct_bytes(type) % 64 != 0;
    add_columns(s, c, y, y_stride, sums + c * s_stride, s_stride, is_first,
                is_within ? 0 : ahead_of_part(s, &wait), type, AT_ONCE, B);
  }
  const int LEAST = widened_together(type);
  for (; c < s->columns; c += LEAST * LANES)
    add_columns(s, c, y, y_stride, sums + c * s_stride, s_stride, is_first,
                ahead_of_part(s, &wait), type, LEAST, B);
}

// The number of vectors that the adjoint takes at once while `left` are left.
ALWAYS int64_t adjoint_vectors(int64_t left) {
  return left > 2 * VECTORS_AT_ONCE || left == MORE_VECTORS ? MORE_VECTORS
                                                            : ck_min(VECTORS_AT_ONCE, left);
}

// The same for all b vectors.
static void add_adjoint(struct strip *s, const REAL *y, int64_t y_stride, REAL *sums, int64_t b,
                        int is_first) {
  s->times = 0;
  for (int64_t left = b; left > 0; left -= adjoint_vectors(left)) s->times++;
  for (int64_t j = 0, now; j < b; j += now, y += now, sums += now * LANES) {
    now = adjoint_vectors(b - j);
#if LOOKS_UP
    if (s->factors) {
      add_looked_up_adjoint(s, y, y_stride, sums, b, is_first, now);
      continue;
    }
#endif
#define CASE_OF_B(B) \
  case B: add_strip_adjoint(s, y, y_stride, sums, b, is_first, TYPE, B); break;
    SWITCH_TYPE(s->type, now, EACH_B_OR_MORE)
#undef CASE_OF_B
    s->time++;
  }
}

// After `done` of `terms` terms: if there are several parts and one has ended, adds its sums to the total, which is
// stored after them.
static void end_part(REAL *restrict sums, int64_t count, int64_t done, int64_t terms) {
  if (terms <= PART || (done % PART && done < terms)) return;
  REAL *restrict total = sums + count;
  for (int64_t i = 0; i < count; i++) total[i] = done <= PART ? sums[i] : total[i] + sums[i];
}

// Where the sums over all `terms` are.
ALWAYS const REAL *ended(const REAL *sums, int64_t count, int64_t terms) {
  return terms <= PART ? sums : sums + count;
}

// Writes to out[i, j] the sums of LANES columns i and LANES vectors j, whose lanes are contiguous.
ALWAYS void write_square(const REAL *sums, REAL *out, int64_t stride, int accumulate) {
  const int64_t bytes = LANES * sizeof(REAL);
  REAL square[LANES * LANES];
  for (int64_t i = 0; i < LANES; i += 4) {
    if (accumulate)
      transpose4(REAL_TYPE, sums + i, bytes, square + i * LANES, LANES);
    else
      transpose4(REAL_TYPE, sums + i, bytes, out + i * stride, stride);
  }
  for (int64_t i = 0; accumulate && i < LANES; i++)
    join(out + i * stride, load(square + i * LANES), 0);
}

// out[i, j] ← the sum of column i and vector j, for from ≤ i < to of `count` columns.
static void write_lanes(const REAL *sums, int64_t from, int64_t to, int64_t count, int together,
                        const struct ck_product *p, REAL *out) {
  const int64_t b = p->b, stride = p->out_stride;
  const int64_t squares = count % LANES || to - from < count ? 0 : b / LANES * LANES;
  // The lanes of a vector are every column, or every second one from an even or an odd one on.
  for (int64_t v = 0; squares && v < count / LANES; v++) {
    const int64_t first = v / together * together * LANES + v % together;
    for (int64_t j = 0; j < squares; j += LANES)
      write_square(sums + (v * b + j) * LANES, out + first * stride + j, together * stride,
                   p->accumulate);
  }
  for (int64_t i = from; squares < b && i < to; i++) {
    const int64_t lane = lane_of(i, together);
    const REAL *sum = sums + lane / LANES * LANES * b + lane % LANES;
    for (int64_t j = squares; j < b; j++)
      out[i * stride + j] = p->accumulate ? out[i * stride + j] + sum[j * LANES] : sum[j * LANES];
  }
}

// The number of rows whose sum the adjoint forms in registers; the same for all b ≤ CK_INDEPENDENT_VECTORS.
static int64_t summed_rows(const struct ck_matrix *w, int64_t b) {
  const int is_cached = w->rows * w->row_bytes <= CACHED_BYTES;
  return b > CK_INDEPENDENT_VECTORS || !is_in_place(w)
             ? ROW_GROUP
             : FEW_ADJOINT_ROWS(direct_bytes(w->type), w->row_bytes, is_cached);
}

// Neighbouring columns of a task, `count` from `column` on, of which those from …< to are written.
struct segment {
  int64_t column, count, from, to;
};

// Divides `count` columns from `first` on into segments; returns their number. Vectors of weights that cross lines of the cache
// take twice as many accesses to it. So those inside begin at a line, and the columns before the first whole line and after the last
// one are summed, as part of a line's worth of columns, apart from them.
static int divide(const struct ck_product *p, int64_t first, int64_t count, int is_reused,
                  struct segment parts[3]) {
  const struct ck_matrix *w = p->w;
  const int64_t before = is_reused || !is_in_place(w) ? 0 : ck_head(p);
  if (!before) {
    parts[0] = (struct segment){first, count, 0, count};
    return 1;
  }
  const int64_t line = CACHE_LINE / direct_bytes(w->type), end = first + count;
  const int64_t head = first ? 0 : ck_min(before, count), tail = (count - head) % line;
  int n = 0;
  if (head) parts[n++] = (struct segment){0, line, 0, head};
  if (count > head + tail)
    parts[n++] = (struct segment){first + head, count - head - tail, 0, count - head - tail};
  if (tail) parts[n++] = (struct segment){end - line, line, line - tail, line};
  return n;
}

// Adds the sums of a segment over rows row …< row + rows to those so far.
static void sum_segment(const struct ck_product *p, const struct segment *part, int64_t row,
                        int64_t rows, int64_t group, int is_reused, REAL *buffer, REAL *sums) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, width = ck_strip_width(w, part->count);
  for (int64_t column = 0; column < part->count; column += width) {
    const int64_t columns = ck_min(width, part->count - column);
    const uint8_t *next =
        column + width < part->count ? ck_weights(w, row, part->column + column + width)
        : row + 2 * rows <= w->rows  ? ck_weights(w, row + rows, part->column)
                                     : NULL;
    const struct strip s =
        opened(p, row, rows, part->column + column, columns, next, is_reused, buffer);
    for (int64_t r = 0; r < rows; r += group) {
      struct strip some = s;
      some.weights += r * s.stride;
      some.rows = ck_min(group, rows - r);
      add_adjoint(&some, (const REAL *)p->in + (row + r) * p->in_stride, p->in_stride,
                  sums + column * b, b, (row + r) % PART == 0);
    }
  }
}

// Computes columns first …< first + count of X ← Wᵀ Y.
static void multiply_adjoint_columns(const struct ck_product *p, int64_t first, int64_t count,
                                     void *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, group = summed_rows(w, b);
  // Only strips that are read in place need to have few rows. Many vectors pay for copies of them, in the vectors' precision and
  // away from the few sets of the cache that rows of most widths share.
  const int together = widened_together(w->type);
  const int is_reused = b > CK_INDEPENDENT_VECTORS || is_copied(w);
  const int64_t at_once = is_reused ? ROW_GROUP : group;
  struct segment parts[3];
  const int n = divide(p, first, count, is_reused, parts);
  int64_t lanes = 0;
  for (int i = 0; i < n; i++) lanes += ck_round_up(parts[i].count, LANES);
  REAL *buffer = scratch, *sums = buffer + STRIP_NUMBERS;
  for (int64_t row = 0; row < w->rows; row += at_once) {
    const int64_t rows = ck_min(at_once, w->rows - row);
    REAL *to = sums;
    for (int i = 0; i < n; to += b * ck_round_up(parts[i++].count, LANES))
      sum_segment(p, &parts[i], row, rows, group, is_reused, buffer, to);
    end_part(sums, b * lanes, row + rows, w->rows);
  }
#if LOOKS_UP
  if (is_looked_up(w->type) && !is_reused)
    transpose_squares((REAL *)ended(sums, b * lanes, w->rows), b * lanes);
#endif
  const REAL *from = ended(sums, b * lanes, w->rows);
  for (int i = 0; i < n; from += b * ck_round_up(parts[i++].count, LANES))
    write_lanes(from, parts[i].from, parts[i].to, parts[i].count, is_reused ? 1 : together, p,
                (REAL *)p->out + parts[i].column * p->out_stride);
}

// MARK: Forward, many vectors

// Transposes a widened strip, ROW_GROUP numbers from one column to the next. Lanes past the last row keep values of
// an earlier strip; their sums are never read.
ALWAYS void transpose_strip(const struct strip *s, const int32_t type, REAL *to) {
  for (int64_t r = 0; r < s->rows; r += LANES)
    for (int64_t c = 0; c < s->columns; c += 4)
      transpose4(type, s->weights + r * s->stride + c * direct_bytes(type), s->stride,
                 to + c * ROW_GROUP + r, ROW_GROUP);
}

// Computes rows row …< row + ROW_GROUP of Y ← W X by transposed strips.
static void multiply_rows_thick(const struct ck_product *p, int64_t row, void *scratch) {
  const struct ck_matrix *w = p->w;
  const int64_t b = p->b, rows = ck_min(ROW_GROUP, w->rows - row), lanes = ck_round_up(rows, LANES);
  REAL *buffer = scratch, *transposed = buffer + STRIP_NUMBERS, *sums = transposed + STRIP_NUMBERS;
  for (int64_t column = 0; column < w->columns; column += STRIP) {
    const int64_t columns = ck_min(STRIP, w->columns - column);
    const uint8_t *next = column + STRIP < w->columns ? ck_weights(w, row, column + STRIP) : NULL;
    // Whole lanes of rows of the vectors' type are transposed from where they are.
    const struct strip as_stored =
        open_strip(w, row, rows, column, columns, next, w->type != REAL_TYPE || lanes != rows, buffer);
    for (int64_t r = 0; as_stored.ahead && r < rows; r++)
      prefetch(as_stored.weights + r * as_stored.stride + as_stored.ahead, columns * sizeof(REAL));
    if (as_stored.type == REAL_TYPE)
      transpose_strip(&as_stored, REAL_TYPE, transposed);
    else
      transpose_strip(&as_stored, CK_F32, transposed);
    for (int64_t c = 0; c < columns; c += COLUMN_GROUP) {
      struct strip s = {(const uint8_t *)(transposed + c * ROW_GROUP), ROW_GROUP * sizeof(REAL),
                        ck_min(COLUMN_GROUP, columns - c), lanes, REAL_TYPE, 0, 1, 0, NULL};
      add_adjoint(&s, (const REAL *)p->in + (column + c) * p->in_stride, p->in_stride, sums, b,
                  (column + c) % PART == 0);
    }
    end_part(sums, b * lanes, column + columns, w->columns);
  }
  write_lanes(ended(sums, b * lanes, w->columns), 0, rows, rows, 1, p,
              (REAL *)p->out + row * p->out_stride);
}

// The table of these functions.
#define PRODUCTS                                              \
  {                                                           \
      .lanes = LANES,                                         \
      .bytes = sizeof(REAL),                                  \
      .pack_strip = pack_strip,                               \
      .multiply_rows = multiply_rows,                         \
      .multiply_rows_thick = multiply_rows_thick,             \
      .multiply_adjoint_columns = multiply_adjoint_columns,   \
  }
