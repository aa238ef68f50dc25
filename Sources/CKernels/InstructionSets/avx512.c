// The kernels with AVX-512: vectors of sixteen, thirty-two registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../internal.h"

#define LANES 16
#define VECTORS_AT_ONCE 8
// Eight lines: half of a strip of floats, which one row reads at a time. With all rows' next strips prefetched before any of them is
// read, forward products of floats take 1.1 to 1.2 times as long, those of half as many bytes up to 1.08 times (Emerald Rapids).
#define FORWARD_AHEAD(ahead) ((ahead) ? 512 : 0)
#define HARDWARE_HALF 1
#define KEEPS_ZERO 1
#define KERNELS ck_kernels_avx512
#define DOUBLE_KERNELS ck_doubles_avx512
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#include "../instruction_set.inc.h"
#pragma clang attribute pop
#endif
