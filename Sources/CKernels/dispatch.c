// The selection of an instruction set.
#include "internal.h"

int64_t ck_block_length(int32_t type) { return ck_block_of(type).length; }
int64_t ck_block_bytes(int32_t type) { return ck_block_of(type).bytes; }

const struct ck_kernels *ck_kernels_of(int32_t set) {
  switch (set) {
    case CK_PORTABLE: return &ck_kernels_portable;
#if defined(__x86_64__)
    case CK_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("f16c")
                 ? &ck_kernels_avx2
                 : NULL;
    case CK_AVX512:
      return ck_kernels_of(CK_AVX2) && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl")
                 ? &ck_kernels_avx512
                 : NULL;
#endif
    default: return NULL;
  }
}

int32_t ck_best_instruction_set(void) {
  int32_t set = CK_AVX512;
  while (!ck_kernels_of(set)) set--;
  return set;
}

int ck_looks_up(const struct ck_engine *engine, int32_t type) {
  return ck_engine_kernels(engine)->looks_up(type);
}

void ck_dequantize(const struct ck_engine *engine, int32_t type, const void *source, float *out,
                   int64_t count) {
  ck_engine_kernels(engine)->dequantize(type, source, out, count);
}

void ck_widen(const struct ck_engine *engine, const struct ck_matrix *w, int64_t row,
              int64_t column, int64_t columns, float *out) {
  for (int64_t count; columns > 0; column += count, out += count, columns -= count) {
    count = ck_min(columns, STRIP);
    ck_engine_kernels(engine)->widen(w, row, 1, column, count, out);
  }
}
