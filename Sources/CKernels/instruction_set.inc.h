// Everything that is compiled once per instruction set. The including file defines
//
//     LANES             floats in a vector: 4, 8 or 16
//     VECTORS_AT_ONCE   columns of X that one tile keeps in registers: 2 · VECTORS_AT_ONCE accumulators
//     HARDWARE_HALF     whether _Float16 converts in hardware
//     KERNELS           the name of the table
//
// after it has included internal.h and before it leaves the functions to a target attribute.
#include "dequantize.inc.h"
#include "products.inc.h"

const struct ck_kernels KERNELS = {
    .group = GROUP,
    .dequantize = dequantize,
    .multiply_rows = multiply_rows,
    .multiply_adjoint_columns = multiply_adjoint_columns,
};
