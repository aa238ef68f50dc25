// A first, plain version of every product: one row at a time, widened to a buffer.
#include "CKernels.h"

#include <stdlib.h>
#include <string.h>

int64_t ck_block_length(int32_t type) {
  return type == CK_F32 || type == CK_F64 || type == CK_F16 || type == CK_BF16 ? 1 : 0;
}
int64_t ck_block_bytes(int32_t type) {
  return type == CK_F32 ? 4 : type == CK_F64 ? 8 : type == CK_F16 || type == CK_BF16 ? 2 : 0;
}
void ck_dequantize(int32_t type, const void *source, float *out, int64_t count) {
  if (type == CK_F32) memcpy(out, source, count * 4);
  if (type == CK_F64)
    for (int64_t i = 0; i < count; i++) {
      double d;
      memcpy(&d, (const char *)source + 8 * i, 8);
      out[i] = (float)d;
    }
  if (type == CK_BF16)
    for (int64_t i = 0; i < count; i++) {
      uint16_t h;
      memcpy(&h, (const char *)source + 2 * i, 2);
      uint32_t w = (uint32_t)h << 16;
      memcpy(out + i, &w, 4);
    }
}
static int pool_threads = 1;
void ck_set_threads(int threads) { pool_threads = threads; }
int ck_threads(void) { return pool_threads; }

static void widen64(const struct ck_matrix *w, int64_t r, double *out, float *scratch) {
  const char *row = (const char *)w->data + r * w->row_bytes;
  if (w->type == CK_F64) {
    memcpy(out, row, w->columns * 8);
    return;
  }
  ck_dequantize(w->type, row, scratch, w->columns);
  for (int64_t i = 0; i < w->columns; i++) out[i] = scratch[i];
}

#define DEFINE(NAME, T)                                                                             \
  void ck_multiply##NAME(const struct ck_matrix *w, const T *x, int64_t ldx, T *y, int64_t ldy,     \
                         int64_t b, int accumulate) {                                               \
    double *row = malloc(w->columns * 8);                                                           \
    float *scratch = malloc(w->columns * 4);                                                        \
    for (int64_t r = 0; r < w->rows; r++) {                                                         \
      widen64(w, r, row, scratch);                                                                  \
      for (int64_t j = 0; j < b; j++) {                                                             \
        T s = 0;                                                                                    \
        for (int64_t c = 0; c < w->columns; c++) s += (T)row[c] * x[c * ldx + j];                   \
        y[r * ldy + j] = accumulate ? y[r * ldy + j] + s : s;                                       \
      }                                                                                             \
    }                                                                                               \
    free(row);                                                                                      \
    free(scratch);                                                                                  \
  }                                                                                                 \
  void ck_multiply_adjoint##NAME(const struct ck_matrix *w, const T *y, int64_t ldy, T *x,          \
                                 int64_t ldx, int64_t b, int accumulate) {                          \
    double *row = malloc(w->columns * 8);                                                           \
    float *scratch = malloc(w->columns * 4);                                                        \
    if (!accumulate)                                                                                \
      for (int64_t c = 0; c < w->columns; c++)                                                      \
        for (int64_t j = 0; j < b; j++) x[c * ldx + j] = 0;                                         \
    for (int64_t r = 0; r < w->rows; r++) {                                                         \
      widen64(w, r, row, scratch);                                                                  \
      for (int64_t c = 0; c < w->columns; c++)                                                      \
        for (int64_t j = 0; j < b; j++) x[c * ldx + j] += (T)row[c] * y[r * ldy + j];               \
    }                                                                                               \
    free(row);                                                                                      \
    free(scratch);                                                                                  \
  }
DEFINE(, float)
DEFINE(_f64, double)
