// The kernels for the compiler's default instruction set: vectors of four, which is SSE2 on x86-64 and NEON on arm64.
#include "../internal.h"

#define LANES 4
#define VECTORS_AT_ONCE 4
#if defined(__aarch64__)
#define HARDWARE_HALF 1
#else
#define HARDWARE_HALF 0
#endif
#define KEEPS_ZERO 1
#define KERNELS ck_kernels_portable
#define DOUBLE_KERNELS ck_doubles_portable
#include "../instruction_set.inc.h"
