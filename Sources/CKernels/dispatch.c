// Which instruction set serves.
#include <stdatomic.h>

#include "internal.h"

int64_t ck_block_length(int32_t type) { return ck_block_of(type).length; }
int64_t ck_block_bytes(int32_t type) { return ck_block_of(type).bytes; }

static const struct ck_kernels *kernels_of(int32_t set) {
  switch (set) {
    case CK_PORTABLE: return &ck_kernels_portable;
#if defined(__x86_64__)
    case CK_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("f16c")
                 ? &ck_kernels_avx2
                 : NULL;
    case CK_AVX512:
      return kernels_of(CK_AVX2) && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl")
                 ? &ck_kernels_avx512
                 : NULL;
#endif
    default: return NULL;
  }
}

static _Atomic(const struct ck_kernels *) current;

int ck_set_instruction_set(int32_t set) {
  const struct ck_kernels *kernels = kernels_of(set);
  if (kernels) atomic_store(&current, kernels);
  return kernels != NULL;
}

const struct ck_kernels *ck_current_kernels(void) {
  const struct ck_kernels *kernels = atomic_load_explicit(&current, memory_order_acquire);
  if (kernels) return kernels;
  for (int32_t set = CK_AVX512; !ck_set_instruction_set(set); set--) {
  }
  return atomic_load(&current);
}

int32_t ck_instruction_set(void) {
  const struct ck_kernels *kernels = ck_current_kernels();
  int32_t set = CK_AVX512;
  while (kernels_of(set) != kernels) set--;
  return set;
}

void ck_dequantize(int32_t type, const void *source, float *out, int64_t count) {
  ck_current_kernels()->dequantize(type, source, out, count);
}
