// Products in double precision with AVX2 and FMA: vectors of four, sixteen registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../internal.h"

#define LANES 4
#define VECTORS_AT_ONCE 4
#define MORE_VECTORS 6
#define HARDWARE_HALF 1
#define KEEPS_ZERO 0
#define KERNELS ck_kernels_avx2
#define DOUBLE_KERNELS ck_doubles_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../double_precision.inc.h"
#pragma clang attribute pop
#endif
