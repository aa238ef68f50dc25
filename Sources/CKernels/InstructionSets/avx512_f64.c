// Products in double precision with AVX-512: vectors of eight, thirty-two registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../internal.h"

#define LANES 8
#define VECTORS_AT_ONCE 8
#define HARDWARE_HALF 1
#define KEEPS_ZERO 1
#define KERNELS ck_kernels_avx512
#define DOUBLE_KERNELS ck_doubles_avx512
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#include "../double_precision.inc.h"
#pragma clang attribute pop
#endif
