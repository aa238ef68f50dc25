// Products with an orthonormal basis in double precision, the two halves of Gram–Schmidt for a block of vectors.
// Compiled once per instruction set: included by instruction_set.inc.h.

#define DOUBLES (LANES / 2)
typedef double doubles __attribute__((vector_size(8 * DOUBLES)));

ALWAYS doubles load_doubles(const double *source) {
  doubles v;
  memcpy(&v, source, sizeof v);
  return v;
}
ALWAYS void store_doubles(double *out, doubles v) { memcpy(out, &v, sizeof v); }
ALWAYS double lane_sum(doubles v) {
  double sum = v[0];
  UNROLL for (int i = 1; i < DOUBLES; i++) sum += v[i];
  return sum;
}

// C (ROWS, B) ← C + rows of the basis times vectors, summed over `columns` entries.
ALWAYS void add_dots(const struct ck_basis *p, const double *basis, const double *y, int64_t columns,
                     double *c, const int ROWS, const int B) {
  const int64_t n = p->dimension, b = p->b;
  doubles sum[2][VECTORS_AT_ONCE];
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) sum[r][j] = (doubles){0};
  }
  int64_t i = 0;
  for (; i + DOUBLES <= columns; i += DOUBLES) {
    doubles row[2];
    UNROLL for (int r = 0; r < ROWS; r++) row[r] = load_doubles(basis + r * n + i);
    UNROLL for (int j = 0; j < B; j++) {
      const doubles entries = load_doubles(y + j * n + i);
      UNROLL for (int r = 0; r < ROWS; r++) sum[r][j] += row[r] * entries;
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++) {
    UNROLL for (int j = 0; j < B; j++) {
      double dot = lane_sum(sum[r][j]);
      for (int64_t k = i; k < columns; k++) dot += basis[r * n + k] * y[j * n + k];
      c[r * b + j] += dot;
    }
  }
}

// Y (B, WIDTH · DOUBLES) ← Y − Cᵀ times rows of the basis.
ALWAYS void subtract_rows(const struct ck_basis *p, const double *basis, int64_t rows,
                          const double *c, double *y, const int WIDTH, const int B) {
  const int64_t n = p->dimension, b = p->b;
  doubles sum[VECTORS_AT_ONCE][2];
  UNROLL for (int j = 0; j < B; j++) {
    UNROLL for (int i = 0; i < WIDTH; i++) sum[j][i] = load_doubles(y + j * n + i * DOUBLES);
  }
  for (int64_t r = 0; r < rows; r++) {
    doubles row[2];
    UNROLL for (int i = 0; i < WIDTH; i++) row[i] = load_doubles(basis + r * n + i * DOUBLES);
    UNROLL for (int j = 0; j < B; j++) {
      UNROLL for (int i = 0; i < WIDTH; i++) sum[j][i] -= row[i] * c[r * b + j];
    }
  }
  UNROLL for (int j = 0; j < B; j++) {
    UNROLL for (int i = 0; i < WIDTH; i++) store_doubles(y + j * n + i * DOUBLES, sum[j][i]);
  }
}

// Rows row …< row + rows of C ← B Yᵀ.
static void basis_dots(const struct ck_basis *p, int64_t row, int64_t rows) {
  const int64_t n = p->dimension, b = p->b;
  memset(p->c + row * b, 0, (size_t)(rows * b) * 8);
  for (int64_t first = 0; first < n; first += STRIP)
    for (int64_t j = 0; j < b; j += VECTORS_AT_ONCE) {
      const int64_t columns = ck_min(STRIP, n - first);
      const double *y = p->y + j * n + first;
      int64_t r = row;
      for (; r < row + rows; r += 2) {
        const double *basis = p->basis + r * n + first;
        double *c = p->c + r * b + j;
#define CASE_OF_B(B)                                   \
  case B:                                              \
    if (r + 1 < row + rows)                            \
      add_dots(p, basis, y, columns, c, 2, B);         \
    else                                               \
      add_dots(p, basis, y, columns, c, 1, B);         \
    break;
        SWITCH_B(ck_min(VECTORS_AT_ONCE, b - j), EACH_B)
#undef CASE_OF_B
      }
    }
}

// Columns first …< first + count of Y ← Y − Cᵀ B.
static void basis_subtract(const struct ck_basis *p, int64_t first, int64_t count) {
  const int64_t n = p->dimension, b = p->b;
  for (int64_t row = 0; row < p->count; row += ROW_GROUP) {
    const int64_t rows = ck_min(ROW_GROUP, p->count - row);
    for (int64_t j = 0; j < b; j += VECTORS_AT_ONCE) {
      const double *c = p->c + row * b + j;
      double *y = p->y + j * n + first;
      const double *basis = p->basis + row * n + first;
      int64_t i = 0;
#define CASE_OF_B(B)                                                     \
  case B:                                                                \
    for (; i + 2 * DOUBLES <= count; i += 2 * DOUBLES)                   \
      subtract_rows(p, basis + i, rows, c, y + i, 2, B);                 \
    for (; i + DOUBLES <= count; i += DOUBLES)                           \
      subtract_rows(p, basis + i, rows, c, y + i, 1, B);                 \
    break;
      SWITCH_B(ck_min(VECTORS_AT_ONCE, b - j), EACH_B)
#undef CASE_OF_B
      for (; i < count; i++)
        for (int64_t k = 0; k < ck_min(VECTORS_AT_ONCE, b - j); k++)
          for (int64_t r = 0; r < rows; r++) y[k * n + i] -= basis[r * n + i] * c[r * b + k];
    }
  }
}
