// Products in double precision, compiled once per instruction set. Weights are widened to floats as in single
// precision, and these to doubles as they are loaded. The including file defines the macros listed in
// instruction_set.inc.h, with LANES and VECTORS_AT_ONCE counted in doubles.
#pragma clang diagnostic ignored "-Wpsabi"

static void dequantize(int32_t type, const void *source, float *restrict out, int64_t count) {
  KERNELS.dequantize(type, source, out, count);
}
static void widen(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                  int64_t columns, float *restrict out) {
  KERNELS.widen(w, row, rows, column, columns, out);
}

#define REAL double
#define REAL_TYPE CK_F64
#define CASE_OF_DOUBLE(b, EACH) CASE_OF_TYPE(CK_F64, b, EACH)
#include "products.inc.h"

const struct ck_products DOUBLE_KERNELS = PRODUCTS;
