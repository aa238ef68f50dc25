// Everything that is compiled once per instruction set. The including file defines
//
//     LANES             floats in a vector: 4, 8 or 16
//     VECTORS_AT_ONCE   vectors whose sums are kept in registers together: 2 · VECTORS_AT_ONCE of them
//     HARDWARE_HALF     whether _Float16 converts in hardware
//     KERNELS           the name of the table
//
// after it has included internal.h and before it leaves the functions to a target attribute.

// Vectors wider than registers are handed only to functions of the same file.
#pragma clang diagnostic ignored "-Wpsabi"
#include "Widening/dequantize.inc.h"
#include "Widening/scaled.inc.h"
#include "products.inc.h"
#include "basis.inc.h"

const struct ck_kernels KERNELS = {
    .lanes = LANES,
    .dequantize = dequantize,
    .widen = widen,
    .pack_strip = pack_strip,
    .multiply_rows = multiply_rows,
    .multiply_rows_thick = multiply_rows_thick,
    .multiply_adjoint_columns = multiply_adjoint_columns,
    .basis_dots = basis_dots,
    .basis_subtract = basis_subtract,
};
