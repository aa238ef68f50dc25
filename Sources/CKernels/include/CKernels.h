// Products of one stored weight matrix with a thin block of vectors.
//
//     ck_multiply          Y ← W X      (or Y ← Y + W X)      W (m, n), X (n, b), Y (m, b)
//     ck_multiply_adjoint  X ← Wᵀ Y     (or X ← X + Wᵀ Y)
//
// X and Y are interleaved: element i of vector j is at [i·ld + j], ld ≥ b. W is used as it is stored: row by row,
// `row_bytes` from one row to the next, at any alignment, in any of the types below. Both directions read W once.
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
  // Types that occur in other files; codes have their scales stored beside them.
  CK_F8_E4M3 = 256,
  CK_F8_E5M2 = 257,
  CK_E8M0 = 258,       // 2^(e − 127), for scales
  CK_INT8 = 259,       // signed
  CK_E2M1 = 260,       // sign, two exponent bits, one mantissa bit; two per byte, low nibble first
  CK_TABLE4 = 261,     // index into sixteen values; two per byte, high nibble first
  CK_INT4 = 262,       // eight neighbours in a row per 32-bit word, low nibble first
  CK_INT4_AWQ = 263,   // the same in the order 0, 2, 4, 6, 1, 3, 5, 7
  CK_INT4_ROWS = 264,  // eight neighbours in a column per word
};

// The scales of codes, stored beside them: weight (r, c) = (code − zero) · scale, rounded to `rounded`. There is one
// scale, and optionally one zero point, per block of weights; blocks are counted from the first row and column of the
// stored matrix. No pointer needs to be aligned.
struct ck_scales {
  const void *data;     // row after row of blocks
  int32_t type;         // plain, or CK_E8M0
  int32_t rounded;      // CK_F32, CK_F16 or CK_BF16
  int64_t stride;       // scales from one row of blocks to the next
  int64_t rows, columns;  // weights of a block: one column for CK_INT4_AWQ and CK_INT4_ROWS
  int64_t width;        // if not 0, a block is `columns` consecutive weights of rows of this width
  float factor;         // the factor that weights are multiplied by last
  const void *groups;   // the row of blocks of each row, 32-bit; NULL: row / rows
  // Zero points of the 4-bit integer types, packed in words: along the columns like the codes, except for CK_INT4,
  // where they run along the rows.
  const void *zeros;    // NULL: 8
  int64_t zeros_stride;  // bytes from one row of words to the next
  int32_t zeros_less_one;  // stored minus one, modulo 16
  const void *values;   // sixteen floats, for CK_TABLE4
  // If not NULL, scales are bytes that stand for nested_values[byte] · nested[index / nested_run] + nested_offset.
  const void *nested, *nested_values;
  int64_t nested_run;
  float nested_offset;
};

struct ck_matrix {
  const void *data;
  int64_t rows, columns;
  int64_t row_bytes;
  int32_t type;  // enum ck_type
  // NULL if the stored numbers are the weights. Otherwise `data` is the start of the stored matrix, and this is the
  // part of it from `first_row` and `first_column` on.
  const struct ck_scales *scales;
  int64_t first_row, first_column;
};

// The number of weights and of bytes in a block of a type; 0 for an unknown type.
int64_t ck_block_length(int32_t type);
int64_t ck_block_bytes(int32_t type);

// The instruction sets that the kernels are compiled for. Within one of them, sums are reproducible to the bit.
enum ck_instruction_set { CK_PORTABLE = 0, CK_AVX2 = 1, CK_AVX512 = 2 };

// The best instruction set of this processor.
int32_t ck_best_instruction_set(void);

// An engine: the kernels of one instruction set and a pool of threads. It is immutable, and any number of threads may
// compute with it at the same time.
struct ck_engine;

// Creates an engine with the given number of threads, including the caller's, or as many as the system can start. NULL
// if the processor lacks the instruction set or memory is exhausted.
struct ck_engine *ck_engine_create(int32_t instruction_set, int threads);
// Ends the threads. Must not be called while anything computes with the engine, nor on one of its threads.
void ck_engine_destroy(struct ck_engine *engine);
int32_t ck_engine_instruction_set(const struct ck_engine *engine);
int ck_engine_threads(const struct ck_engine *engine);

// The engine of the calling thread: the threads of a pool always have the pool's engine; any other thread has the one
// set last, initially NULL. Setting it returns the previous one.
struct ck_engine *ck_thread_engine(void);
struct ck_engine *ck_set_thread_engine(struct ck_engine *engine);

// Calls body(context, 0), …, body(context, count − 1), in any order, on the engine's threads. Inside such a body, or
// while another thread uses the pool, only threads that have nothing else to do help the caller.
void ck_parallel_for(struct ck_engine *engine, int64_t count,
                     void (*body)(void *context, int64_t index), void *context);

// Widens `count` weights (a multiple of the block length) stored at `source`. Bit for bit the reference
// dequantisation (the Python package gguf), with every instruction set.
void ck_dequantize(const struct ck_engine *engine, int32_t type, const void *source, float *out,
                   int64_t count);

// Widens weights column …< column + columns of a row; only whole blocks unless the matrix has scales.
void ck_widen(const struct ck_engine *engine, const struct ck_matrix *w, int64_t row,
              int64_t column, int64_t columns, float *out);

// Up to this number of vectors, a vector's product does not depend on how many others are computed with it.
#define CK_INDEPENDENT_VECTORS 32
// The kernels process up to this number of vectors at once; more are split into portions of this size.
#define CK_VECTORS_AT_ONCE 128

// The product of a vector is the same to the bit for any number of threads and any other vectors, and for b ≤
// CK_INDEPENDENT_VECTORS also for any number of vectors. Nothing larger than the vectors is copied: W is widened in
// registers, or a strip at a time. Each of n terms is rounded at most 84 + n / 256 times, with any instruction set:
// |error| ≤ (84 + n / 256) u Σ |w| |x|, u = 2⁻²⁴, up to terms in u².
void ck_multiply(struct ck_engine *engine, const struct ck_matrix *w, const float *x, int64_t ldx,
                 float *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint(struct ck_engine *engine, const struct ck_matrix *w, const float *y,
                         int64_t ldy, float *x, int64_t ldx, int64_t b, int accumulate);

// The same in double precision. Each weight is the float that it widens to, except that F64 is used as stored.
void ck_multiply_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *x,
                     int64_t ldx, double *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *y,
                             int64_t ldy, double *x, int64_t ldx, int64_t b, int accumulate);

// Whether products in single precision with up to eight vectors widen weights of a type in registers, by a table of sixteen values, which
// takes less time than to read them widened from a cache that many other cores share.
int ck_looks_up(const struct ck_engine *engine, int32_t type);

// M ← Σₖ diag(dₖ) Wₖ for matrices of one shape (m, n), with m factors in each dₖ. M is contiguous. The result is the same
// to the bit for any number of threads. Whole rows only: n is a multiple of every stored type's block.
void ck_combine(struct ck_engine *engine, int64_t terms, const struct ck_matrix *const *matrices,
                const float *const *factors, float *out);

// C (count, b) ← B Yᵀ, the products of the rows of B (count, dimension) and of Y (b, dimension), all in double precision and
// contiguous. The result is the same to the bit for any number of threads.
void ck_dots(struct ck_engine *engine, const double *basis, int64_t count, int64_t dimension,
             const double *y, int64_t b, double *c);

// One step of Gram–Schmidt for b vectors, the rows of Y (b, dimension), against the rows of B (count, dimension), all
// in double precision and contiguous:
//
//     C (count, b) ← B Yᵀ,   Y ← Y − Cᵀ B.
//
// The result is the same to the bit for any number of threads.
void ck_project_out(struct ck_engine *engine, const double *basis, int64_t count,
                    int64_t dimension, double *y, int64_t b, double *c);
