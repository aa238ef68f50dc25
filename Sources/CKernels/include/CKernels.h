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
  // Types of other files; what is a code has its scales beside it.
  CK_F8_E4M3 = 256,
  CK_F8_E5M2 = 257,
  CK_E8M0 = 258,       // 2^(e − 127), for scales
  CK_INT8 = 259,       // signed
  CK_E2M1 = 260,       // a sign, two bits of exponent, one of mantissa; two to a byte, the low nibble first
  CK_TABLE4 = 261,     // an index into sixteen values; two to a byte, the high nibble first
  CK_INT4 = 262,       // eight neighbours of a row to a word of 32 bits, the low nibble first
  CK_INT4_AWQ = 263,   // the same in the order 0, 2, 4, 6, 1, 3, 5, 7
  CK_INT4_ROWS = 264,  // eight neighbours of a column to a word
};

// What codes stand for whose scales are stored beside them: weight (r, c) = (code − zero) · scale, rounded to `rounded`. There
// is a scale, and perhaps a zero, for each block of weights, counted from the first row and column of what is stored. Nothing
// need be aligned.
struct ck_scales {
  const void *data;     // row after row of blocks
  int32_t type;         // plain, or CK_E8M0
  int32_t rounded;      // CK_F32, CK_F16 or CK_BF16
  int64_t stride;       // scales from one row of blocks to the next
  int64_t rows, columns;  // weights of a block: one column for CK_INT4_AWQ and CK_INT4_ROWS
  int64_t width;        // not 0: a block is `columns` weights after another, through all rows of so many columns
  float factor;         // what weights are multiplied by at last
  const void *groups;   // for each row its row of blocks, in 32 bits; NULL: row / rows
  // Of the types of integers of four bits, packed in words: along the columns as codes are, but for CK_INT4 along the rows.
  const void *zeros;    // NULL: 8
  int64_t zeros_stride;  // bytes from one row of words to the next
  int32_t zeros_less_one;  // what is stored is one less, modulo 16
  const void *values;   // sixteen floats, for CK_TABLE4
  // Not NULL: scales are bytes that stand for nested_values[byte] · nested[index / nested_run] + nested_offset.
  const void *nested, *nested_values;
  int64_t nested_run;
  float nested_offset;
};

struct ck_matrix {
  const void *data;
  int64_t rows, columns;
  int64_t row_bytes;
  int32_t type;  // enum ck_type
  // NULL where the stored numbers are the weights. Else `data` is the beginning of what is stored, and this the part of it
  // from a row and a column on.
  const struct ck_scales *scales;
  int64_t first_row, first_column;
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

// Widens weights column …< column + columns of a row; whole blocks unless the matrix has scales.
void ck_widen(const struct ck_engine *engine, const struct ck_matrix *w, int64_t row,
              int64_t column, int64_t columns, float *out);

// Up to this many vectors, a vector's product does not depend on how many others travel with it.
#define CK_INDEPENDENT_VECTORS 32
// The kernels take up to this many vectors at once; more come in portions of so many.
#define CK_VECTORS_AT_ONCE 128

// A vector's product is the same to the bit for any number of threads and whatever the other vectors are, and if
// b ≤ CK_INDEPENDENT_VECTORS, however many they are. Nothing larger than the vectors is copied: W is widened in registers,
// or a strip at a time. Each of n terms is rounded at most 84 + n / 256 times, whatever the instruction set:
// |error| ≤ (84 + n / 256) u Σ |w| |x|, u = 2⁻²⁴, up to terms in u².
void ck_multiply(struct ck_engine *engine, const struct ck_matrix *w, const float *x, int64_t ldx,
                 float *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint(struct ck_engine *engine, const struct ck_matrix *w, const float *y,
                         int64_t ldy, float *x, int64_t ldx, int64_t b, int accumulate);

// The same in double precision from the same weights: each as the float it widens to, those of F64 as they are stored.
void ck_multiply_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *x,
                     int64_t ldx, double *y, int64_t ldy, int64_t b, int accumulate);
void ck_multiply_adjoint_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *y,
                             int64_t ldy, double *x, int64_t ldx, int64_t b, int accumulate);

// One step of Gram–Schmidt for b vectors, the rows of Y (b, dimension), against the rows of B (count, dimension), all in
// double precision and one after another:
//
//     C (count, b) ← B Yᵀ,   Y ← Y − Cᵀ B.
//
// The same to the bit for any number of threads.
void ck_project_out(struct ck_engine *engine, const double *basis, int64_t count,
                    int64_t dimension, double *y, int64_t b, double *c);
