// How many products of numbers per second one core forms, by instruction: what products of weights with few bits could gain from
// instructions that multiply such numbers directly.
//
// The vectors have 24 bits, and keeping these takes several such products: a number is the sum of three bfloat16s of 8 bits each, or
// of three bytes. So an instruction pays only where it is that many times as fast as the multiplication and addition of floats.
#include "instructions.h"

#include <stdio.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <time.h>

// Sums that do not wait for each other: enough to hide the latency of an instruction on every port that has it.
#define SUMS 12
#define ROUNDS 1000000
#define REPEATS 5

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Two vectors of numbers that are near 1 as floats and as bfloat16s and have bits of both kinds, since a processor may be faster with
// zeros.
#define NUMBERS                                                                                      \
  {_mm512_set4_epi32(0x3f8b3f95, 0x3f6d3f87, 0x3f993f73, 0x3f813f6b),                                \
   _mm512_set4_epi32(0x3f713f83, 0x3f9d3f75, 0x3f853f8d, 0x3f773f91)}

// Defines a function that returns the instructions per second, the most of some repeats.
#define RATE(NAME, TARGET, VECTOR, INSTRUCTION)                                  \
  __attribute__((target(TARGET))) static double NAME(void) {                     \
    const __m512i numbers[2] = NUMBERS;                                          \
    VECTOR sum[SUMS];                                                            \
    for (int k = 0; k < SUMS; k++) sum[k] = (VECTOR)numbers[k % 2];              \
    double best = 0;                                                             \
    for (int repeat = 0; repeat < REPEATS; repeat++) {                           \
      const double start = seconds();                                            \
      for (int i = 0; i < ROUNDS; i++)                                           \
        _Pragma("clang loop unroll(full)") for (int k = 0; k < SUMS; k++) {      \
          const __m512i a = numbers[k % 2], b = numbers[(k + 1) % 2];            \
          sum[k] = INSTRUCTION;                                                  \
          __asm__ volatile("" : "+v"(sum[k]));                                   \
        }                                                                        \
      const double rate = (double)ROUNDS * SUMS / (seconds() - start);           \
      if (rate > best) best = rate;                                              \
    }                                                                            \
    return best;                                                                 \
  }
RATE(floats, "avx512f", __m512, _mm512_fmadd_ps((__m512)a, (__m512)b, sum[k]))
RATE(bfloats, "avx512f,avx512bf16", __m512, _mm512_dpbf16_ps(sum[k], (__m512bh)a, (__m512bh)b))
RATE(words, "avx512f,avx512vnni", __m512i, _mm512_dpwssd_epi32(sum[k], a, b))
RATE(bytes, "avx512f,avx512vnni", __m512i, _mm512_dpbusd_epi32(sum[k], a, b))

static void print(const char *name, double rate, int products, int parts, double reference) {
  const double all = rate * products * 1e-9;
  printf("%-12s %10.1f %8d %10.1f %12.2f\n", name, all, parts, all / parts, all / parts / reference);
}

void print_instructions(void) {
  if (!__builtin_cpu_supports("avx512f")) {
    puts("this processor has no AVX-512");
    return;
  }
  const double reference = floats() * 16e-9;
  printf("one core   products, G/s    parts  per part  of VFMADD231PS\n");
  print("VFMADD231PS", reference / 16e-9, 16, 1, reference);
  if (__builtin_cpu_supports("avx512bf16")) print("VDPBF16PS", bfloats(), 32, 3, reference);
  if (__builtin_cpu_supports("avx512vnni")) {
    print("VPDPWSSD", words(), 32, 2, reference);
    print("VPDPBUSD", bytes(), 64, 3, reference);
  }
}
#else
void print_instructions(void) { puts("this processor has no AVX-512"); }
#endif
