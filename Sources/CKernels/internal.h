// What the files of this target share.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

// Columns of W that are widened at a time: a multiple of every block.
#define STRIP 256
// Columns whose products are summed before their sum joins the sum so far: what stays in the nearest cache.
#define RUN 128
// Rows of W that one pass of the adjoint takes; they too are summed before their sum joins.
#define ADJOINT_ROWS 32
// Widened rows lie this far apart: a power of two would put them all into the same few sets of the cache.
#define STRIP_STRIDE (STRIP + 16)
// The kernels serve up to this many vectors; more go to sgemm.
#define THIN 32
// The most columns one task of the adjoint may have.
#define ADJOINT_COLUMNS 2048

// One product, in either direction: `in` and `out` are interleaved, b ≤ THIN.
struct ck_product {
  const struct ck_matrix *w;
  const float *in;
  int64_t in_stride;
  float *out;
  int64_t out_stride;
  int64_t b;
  int accumulate;
};

// The kernels of one instruction set.
struct ck_kernels {
  int64_t group;  // rows (forward) or columns (adjoint) that are computed side by side
  void (*dequantize)(int32_t type, const void *source, float *restrict out, int64_t count);
  // Rows row …< row + group of Y ← W X.
  void (*multiply_rows)(const struct ck_product *product, int64_t row, float *scratch);
  // Columns first …< first + count of X ← Wᵀ Y; whole blocks of W, count ≤ ADJOINT_COLUMNS.
  void (*multiply_adjoint_columns)(const struct ck_product *product, int64_t first, int64_t count,
                                   float *scratch);
};

extern const struct ck_kernels ck_kernels_portable;
#if defined(__x86_64__)
extern const struct ck_kernels ck_kernels_avx2, ck_kernels_avx512;
#endif

// The kernels in use.
const struct ck_kernels *ck_current_kernels(void);

// Floats of scratch memory that every thread has: enough for ADJOINT_COLUMNS sums of THIN vectors and the widened
// rows beside them, or for one operand of sgemm.
#define SCRATCH_FLOATS (160 * 1024)
// The calling thread's scratch memory, 64-byte aligned. Lives as long as the thread.
float *ck_scratch(void);

// Weights per block and bytes per block. In a switch, so that a known type's are constants.
struct ck_block {
  int64_t length, bytes;
};
static inline struct ck_block ck_block_of(int32_t type) {
  switch (type) {
    case CK_F32: return (struct ck_block){1, 4};
    case CK_F64: return (struct ck_block){1, 8};
    case CK_F16:
    case CK_BF16: return (struct ck_block){1, 2};
    case CK_Q4_0: return (struct ck_block){32, 18};
    case CK_Q4_1: return (struct ck_block){32, 20};
    case CK_Q5_0: return (struct ck_block){32, 22};
    case CK_Q5_1: return (struct ck_block){32, 24};
    case CK_Q8_0: return (struct ck_block){32, 34};
    case CK_Q2_K: return (struct ck_block){256, 84};
    case CK_Q3_K: return (struct ck_block){256, 110};
    case CK_Q4_K: return (struct ck_block){256, 144};
    case CK_Q5_K: return (struct ck_block){256, 176};
    case CK_Q6_K: return (struct ck_block){256, 210};
    default: return (struct ck_block){0, 0};
  }
}

// Where weight (row, column) begins; `column` begins a block.
static inline const uint8_t *ck_weights(const struct ck_matrix *w, int64_t row, int64_t column) {
  const struct ck_block block = ck_block_of(w->type);
  return (const uint8_t *)w->data + row * w->row_bytes + column / block.length * block.bytes;
}

static inline int64_t ck_min(int64_t a, int64_t b) { return a < b ? a : b; }
// Parts of `size` that `count` makes, the last perhaps smaller.
static inline int64_t ck_tiles(int64_t count, int64_t size) { return (count + size - 1) / size; }
static inline int64_t ck_round_up(int64_t a, int64_t unit) { return ck_tiles(a, unit) * unit; }
