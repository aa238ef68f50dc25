// All code that is compiled once per instruction set. The including file defines
//
//     LANES             floats in a vector: 4, 8 or 16
//     VECTORS_AT_ONCE   vectors whose sums are kept in registers together, in 2 · VECTORS_AT_ONCE registers
//     MORE_VECTORS      if defined, a larger number, kept at once by the adjoint where there are many, and by both where just so many
//                       are left: with two registers of sums for each, these hide the latency of an addition that
//                       2 · VECTORS_AT_ONCE registers just do not
//     FORWARD_AHEAD     if defined, how far ahead in its row the forward product prefetches, given the distance `ahead` to the next
//                       strip, which it prefetches otherwise, or 0 for none
//     HARDWARE_HALF     whether _Float16 converts in hardware
//     KEEPS_ZERO        whether there is a register for a zero beside the sums of the forward product; without one, a zero is made
//                       where it is used, which compilers have to be told
//     KERNELS           the name of the table
//     DOUBLE_KERNELS    the name of the table of products in double precision, defined in another file
//
// after including internal.h, and then restricts the functions to a target by an attribute.

// Vectors wider than registers are passed only to functions of the same file.
#pragma clang diagnostic ignored "-Wpsabi"
#include "Widening/dequantize.inc.h"
#include "Widening/scaled.inc.h"

#define REAL float
#define REAL_TYPE CK_F32
#define CASE_OF_DOUBLE(b, EACH)
#include "products.inc.h"
#include "basis.inc.h"
#include "combination.inc.h"

static const struct ck_products products = PRODUCTS;

const struct ck_kernels KERNELS = {
    .single_precision = &products,
    .double_precision = &DOUBLE_KERNELS,
    .looks_up = is_looked_up,
    .dequantize = dequantize,
    .widen = widen,
    .combine_rows = combine_rows,
    .basis_dots = basis_dots,
    .basis_subtract = basis_subtract,
};
