// Everything that is compiled once per instruction set. The including file defines
//
//     LANES             floats in a vector: 4, 8 or 16
//     VECTORS_AT_ONCE   vectors whose sums are kept in registers together: 2 · VECTORS_AT_ONCE of them
//     HARDWARE_HALF     whether _Float16 converts in hardware
//     KERNELS           the name of the table
//     DOUBLE_KERNELS           that of the products in double precision, which another file has
//
// after it has included internal.h and before it leaves the functions to a target attribute.

// Vectors wider than registers are handed only to functions of the same file.
#pragma clang diagnostic ignored "-Wpsabi"
#include "Widening/dequantize.inc.h"
#include "Widening/scaled.inc.h"

#define REAL float
#define REAL_TYPE CK_F32
#define CASE_OF_DOUBLE(b)
#include "products.inc.h"
#include "basis.inc.h"

static const struct ck_products products = PRODUCTS;

const struct ck_kernels KERNELS = {
    .single_precision = &products,
    .double_precision = &DOUBLE_KERNELS,
    .dequantize = dequantize,
    .widen = widen,
    .basis_dots = basis_dots,
    .basis_subtract = basis_subtract,
};
