// The products in double precision, for tests: one row of W after another, widened a strip at a time.
#include "internal.h"

static void widen(const struct ck_engine *engine, const struct ck_matrix *w, int64_t row,
                  int64_t column, int64_t columns, double *out) {
  if (w->type == CK_F64) {
    memcpy(out, ck_weights(w, row, column), (size_t)columns * 8);
    return;
  }
  float narrow[STRIP];
  ck_engine_kernels(engine)->widen(w, row, 1, column, columns, narrow);
  for (int64_t c = 0; c < columns; c++) out[c] = narrow[c];
}

static void clear(double *out, int64_t stride, int64_t count, int64_t b) {
  for (int64_t i = 0; i < count; i++) memset(out + i * stride, 0, (size_t)b * 8);
}

void ck_multiply_f64(const struct ck_engine *engine, const struct ck_matrix *w, const double *x,
                     int64_t ldx, double *y, int64_t ldy, int64_t b, int accumulate) {
  double strip[STRIP];
  if (!accumulate) clear(y, ldy, w->rows, b);
  for (int64_t r = 0; r < w->rows; r++)
    for (int64_t column = 0; column < w->columns; column += STRIP) {
      const int64_t columns = ck_min(STRIP, w->columns - column);
      widen(engine, w, r, column, columns, strip);
      for (int64_t c = 0; c < columns; c++)
        for (int64_t j = 0; j < b; j++) y[r * ldy + j] += strip[c] * x[(column + c) * ldx + j];
    }
}

void ck_multiply_adjoint_f64(const struct ck_engine *engine, const struct ck_matrix *w,
                             const double *y, int64_t ldy, double *x, int64_t ldx, int64_t b,
                             int accumulate) {
  double strip[STRIP];
  if (!accumulate) clear(x, ldx, w->columns, b);
  for (int64_t r = 0; r < w->rows; r++)
    for (int64_t column = 0; column < w->columns; column += STRIP) {
      const int64_t columns = ck_min(STRIP, w->columns - column);
      widen(engine, w, r, column, columns, strip);
      for (int64_t c = 0; c < columns; c++)
        for (int64_t j = 0; j < b; j++) x[(column + c) * ldx + j] += strip[c] * y[r * ldy + j];
    }
}
