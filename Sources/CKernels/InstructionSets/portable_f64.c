// Products in double precision for the default instruction set: vectors of four, each two registers of SSE2 or NEON.
#include "../internal.h"

#define LANES 4
#define VECTORS_AT_ONCE 2
#if defined(__aarch64__)
#define HARDWARE_HALF 1
#else
#define HARDWARE_HALF 0
#endif
#define KEEPS_ZERO 1
#define KERNELS ck_kernels_portable
#define DOUBLE_KERNELS ck_doubles_portable
#include "../double_precision.inc.h"
