// The kernels with AVX2, FMA and F16C: vectors of eight, sixteen registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../internal.h"

#define LANES 8
#define VECTORS_AT_ONCE 4
#define MORE_VECTORS 6
#define HARDWARE_HALF 1
#define KEEPS_ZERO 0
#define KERNELS ck_kernels_avx2
#define DOUBLE_KERNELS ck_doubles_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../instruction_set.inc.h"
#pragma clang attribute pop
#endif
