// The types, and which instruction set serves.
#include <stdatomic.h>

#include "internal.h"

static const struct {
  int16_t length, bytes;
} blocks[] = {
    [CK_F32] = {1, 4},      [CK_F16] = {1, 2},      [CK_Q4_0] = {32, 18},   [CK_Q4_1] = {32, 20},
    [CK_Q5_0] = {32, 22},   [CK_Q5_1] = {32, 24},   [CK_Q8_0] = {32, 34},   [CK_Q2_K] = {256, 84},
    [CK_Q3_K] = {256, 110}, [CK_Q4_K] = {256, 144}, [CK_Q5_K] = {256, 176}, [CK_Q6_K] = {256, 210},
    [CK_F64] = {1, 8},      [CK_BF16] = {1, 2},
};

static int is_listed(int32_t type) {
  return type >= 0 && type < (int32_t)(sizeof blocks / sizeof *blocks);
}
int64_t ck_block_length(int32_t type) { return is_listed(type) ? blocks[type].length : 0; }
int64_t ck_block_bytes(int32_t type) { return is_listed(type) ? blocks[type].bytes : 0; }

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
