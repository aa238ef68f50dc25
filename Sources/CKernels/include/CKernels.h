// Products of one stored weight matrix with a thin block of vectors.
//
//     ck_multiply          Y ← W X      (or Y ← Y + W X)      W (m, n), X (n, b), Y (m, b)
//     ck_multiply_adjoint  X ← Wᵀ Y     (or X ← X + Wᵀ Y)
//
// X and Y are interleaved: element i of vector j lies at [i·ld + j], ld ≥ b. W stays as it is stored: row by row, each
// row `row_bytes` after the one before, at any alignment, in any of the types below. Both directions read W once.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Stored types, numbered as in GGUF files (https://github.com/ggml-org/ggml, ggml.h).
enum ck_type {
  CK_F32 = 0,
  CK_F16 = 1,
  CK_Q4_0 = 2,
  CK_Q4_1 = 3,
  CK_Q5_0 = 6,
  CK_Q5_1 = 7,
  CK_Q8_0 = 8,
  CK_Q2_K = 10,
  CK_Q3_K = 11,
  CK_Q4_K = 12,
  CK_Q5_K = 13,
  CK_Q6_K = 14,
  CK_IQ2_XXS = 16,
  CK_IQ2_XS = 17,
  CK_IQ3_XXS = 18,
  CK_IQ1_S = 19,
  CK_IQ4_NL = 20,
  CK_IQ3_S = 21,
  CK_IQ2_S = 22,
  CK_IQ4_XS = 23,
  CK_F64 = 28,
  CK_IQ1_M = 29,
  CK_BF16 = 30,
  CK_TQ1_0 = 34,
  CK_TQ2_0 = 35,
  CK_MXFP4 = 39,
};

struct ck_matrix {
  const void *data;
  int64_t rows, columns;
  int64_t row_bytes;
  int32_t type;  // enum ck_type
};

// Weights per block of a type and bytes per block; 0 for a type that is not known.
int64_t ck_block_length(int32_t type);
int64_t ck_block_bytes(int32_t type);

// The instruction sets the kernels are compiled for. Sums are the same to the bit within one of them.
enum ck_instruction_set { CK_PORTABLE = 0, CK_AVX2 = 1, CK_AVX512 = 2 };

// The best one the processor has.
int32_t ck_best_instruction_set(void);

// What computes: the kernels of one instruction set and a pool of threads. Nothing about it changes once it is made, and
// any number of threads may compute with it at once.
struct ck_engine;

// An engine of so many threads, the caller's included, or of as many as the system gives. NULL if the processor does not
// have the instruction set, or if no memory is left.
struct ck_engine *ck_engine_create(int32_t instruction_set, int threads);
// Ends the threads. Not while anything computes with the engine, and not on one of its threads.
void ck_engine_destroy(struct ck_engine *engine);
int32_t ck_engine_instruction_set(const struct ck_engine *engine);
int ck_engine_threads(const struct ck_engine *engine);

// The engine the calling thread works with: a pool's threads have theirs for life, any other the one it was given last,
// NULL at first. Setting it returns the one before.
struct ck_engine *ck_thread_engine(void);
struct ck_engine *ck_set_thread_engine(struct ck_engine *engine);

// body(context, 0), …, body(context, count − 1), in any order, on the engine's threads. Inside such a body, or while
// another thread uses the pool, the caller does it all alone.
void ck_parallel_for(struct ck_engine *engine, int64_t count,
                     void (*body)(void *context, int64_t index), void *context);

// Widens `count` weights (a multiple of the block length) that start at `source`. Bit for bit the reference
// dequantisation (the Python package gguf), with every instruction set.
void ck_dequantize(const struct ck_engine *engine, int32_t type, const void *source, float *out,
                   int64_t count);

// Up to this many vectors, a vector's product does not depend on how many others travel with it.
#define CK_INDEPENDENT_VECTORS 32
// The kernels take up to this many vectors at once; more come in portions of so many.
#define CK_VECTORS_AT_ONCE 128

// A vector's product is the same to the bit for any number of threads and whatever the other vectors are, and if
// b ≤ CK_INDEPENDENT_VECTORS, however many they are. Nothing larger than the vectors is copied: W is widened in registers,
// or a strip at a time.
void ck_multiply(struct ck_engine *engine, const struct ck_matrix *w, const float *x, int64_t ldx,
                 float *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint(struct ck_engine *engine, const struct ck_matrix *w, const float *y,
                         int64_t ldy, float *x, int64_t ldx, int64_t b, int accumulate);

// The same in double precision, for tests: one thread, no SIMD of its own.
void ck_multiply_f64(const struct ck_engine *engine, const struct ck_matrix *w, const double *x,
                     int64_t ldx, double *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint_f64(const struct ck_engine *engine, const struct ck_matrix *w,
                             const double *y, int64_t ldy, double *x, int64_t ldx, int64_t b,
                             int accumulate);

// One step of Gram–Schmidt for b vectors, the rows of Y (b, dimension), against the rows of B (count, dimension), all in
// double precision and one after another:
//
//     C (count, b) ← B Yᵀ,   Y ← Y − Cᵀ B.
//
// The same to the bit for any number of threads.
void ck_project_out(struct ck_engine *engine, const double *basis, int64_t count,
                    int64_t dimension, double *y, int64_t b, double *c);
