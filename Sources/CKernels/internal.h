// Declarations shared by the files of this target.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"
#include "Widening/grids.h"

// For functions that are specialised by constant arguments.
#define ALWAYS static inline __attribute__((always_inline))

// The most columns of W processed at a time: a multiple of every block.
#define STRIP 256
// The number of columns of a strip is a multiple of this, or of a larger block: a multiple of the lanes of every instruction set.
#define STRIP_UNIT 32
// The number of rows of W processed at a time; the adjoint sums them before adding them to the sum so far.
#define ROW_GROUP 32
// The same for the adjoint of matrices that are read in place: processors recognise only a few sequences of addresses at once, and
// read 32 rows in turn from memory at half the speed or less (Zen 3). Where a cache should hold the matrix, but others may take
// their share of it, 16 rows cost little; beyond that, four-byte numbers gain from still fewer. Rows that are a multiple of 4096
// bytes apart share sets of a first-level cache, which hold eight lines or twelve: with 16 of them products take 1.25 times as
// long.
#define FEW_ADJOINT_ROWS(bytes, row_bytes, is_cached) \
  ((row_bytes) % 4096 && ((is_cached) || (bytes) <= 2) ? 16 : 8)
// The most bytes of a matrix that is taken to stay in a cache.
#define CACHED_BYTES (4 << 20)
// The number of columns of a transposed strip that are summed in the same way; a divisor of STRIP.
#define COLUMN_GROUP 64
// The number of terms of an adjoint product whose sum is added to the total; a multiple of ROW_GROUP and of STRIP.
#define PART 512
// The distance of widened rows: a power of two would map all of them to the same few sets of the cache.
#define STRIP_STRIDE (STRIP + 16)
#define STRIP_NUMBERS (ROW_GROUP * STRIP_STRIDE)
// The number of rows per task of the forward product: a multiple of those summed together, few enough for a strip of them to stay in
// the first-level cache beside that of the vectors and the sums of the rows' lanes.
#define FEW_ROWS 12
// The number of bytes that one prefetch stands for, where so many are loaded at a time: two for a line of the cache, since processors
// drop some.
#define PREFETCHED(bytes) ((bytes) > 32 ? (bytes) : 32)
// The most bytes of sums in one task of the adjoint: half of a small second-level cache.
#define ADJOINT_SUMS (256 * 1024)
// The most columns in one task of the adjoint: on one thread, and on threads that wait for each other at the end.
#define ADJOINT_COLUMNS 4096
#define SHARED_ADJOINT_COLUMNS 2048

// The bytes of a line of the cache, and the fewest columns for which the adjoint begins at whole lines: with fewer, to sum the
// columns before and after them apart costs as much as it saves.
#define CACHE_LINE 64
#define SKEWED_COLUMNS 1024

// One product, in either direction: `in` and `out` are interleaved and of the kernels' precision, b ≤
// CK_VECTORS_AT_ONCE.
struct ck_product {
  const struct ck_matrix *w;
  const void *in;
  int64_t in_stride;
  void *out;
  int64_t out_stride;
  int64_t b;
  int accumulate;
};

// The arguments of Gram–Schmidt: Y (b, dimension), the rows of a basis (count, dimension), and C (count, b).
struct ck_basis {
  const double *basis;
  int64_t count, dimension;
  double *y;
  int64_t b;
  double *c;
};

// The arguments of a combination: M (rows, columns) ← Σₖ diag(dₖ) Wₖ.
struct ck_combination {
  int64_t terms;
  const struct ck_matrix *const *matrices;
  const float *const *factors;
  int64_t rows, columns;
  float *out;
};

// The products of one instruction set and precision; their vectors have that precision.
struct ck_products {
  int64_t lanes;  // numbers in a vector
  int64_t bytes;  // bytes in a number
  // Packs strip `index` of the input for multiply_rows.
  void (*pack_strip)(const struct ck_product *product, int64_t index, void *packed);
  // Computes rows row …< row + rows of Y ← W X, rows ≤ ROW_GROUP.
  void (*multiply_rows)(const struct ck_product *product, const void *packed, int64_t row,
                        int64_t rows, void *scratch);
  // Computes a whole group of rows for many vectors, from X as it is stored.
  void (*multiply_rows_thick)(const struct ck_product *product, int64_t row, void *scratch);
  // Computes columns first …< first + count of X ← Wᵀ Y; whole blocks of W, count · b numbers ≤ ADJOINT_SUMS.
  void (*multiply_adjoint_columns)(const struct ck_product *product, int64_t first, int64_t count,
                                   void *scratch);
};

// The kernels of one instruction set.
struct ck_kernels {
  const struct ck_products *single_precision, *double_precision;
  // Whether products in single precision with few vectors look weights of a type up in registers.
  int (*looks_up)(int32_t type);
  void (*dequantize)(int32_t type, const void *source, float *restrict out, int64_t count);
  // Widens weights column …< column + columns of some rows, columns ≤ STRIP, rows STRIP_STRIDE apart.
  void (*widen)(const struct ck_matrix *w, int64_t row, int64_t rows, int64_t column,
                int64_t columns, float *restrict out);
  // Computes rows row …< row + rows of M.
  void (*combine_rows)(const struct ck_combination *combination, int64_t row, int64_t rows);
  // Computes rows row …< row + rows of C ← B Yᵀ.
  void (*basis_dots)(const struct ck_basis *basis, int64_t row, int64_t rows);
  // Computes columns first …< first + count of Y ← Y − Cᵀ B.
  void (*basis_subtract)(const struct ck_basis *basis, int64_t first, int64_t count);
};

extern const struct ck_kernels ck_kernels_portable;
extern const struct ck_products ck_doubles_portable;
#if defined(__x86_64__)
extern const struct ck_kernels ck_kernels_avx2, ck_kernels_avx512;
extern const struct ck_products ck_doubles_avx2, ck_doubles_avx512;
#endif

// The kernels of an instruction set; NULL if the processor lacks it.
const struct ck_kernels *ck_kernels_of(int32_t instruction_set);
const struct ck_kernels *ck_engine_kernels(const struct ck_engine *engine);

// The number of threads that a job would run on now: in a call that is part of a job, one and those that have nothing left to do.
int ck_free_threads(const struct ck_engine *engine);

// Scratch memory of the calling thread: at least `bytes` bytes, 64-byte aligned. Its contents are lost when it grows.
// It lives as long as the thread; if it cannot be allocated, the process ends with a message. One slot is for the sums
// of a task, one for the packed input of a product.
enum ck_scratch_slot { CK_SCRATCH_SUMS, CK_SCRATCH_PACKED, CK_SCRATCH_SLOTS };
void *ck_scratch(enum ck_scratch_slot slot, int64_t bytes);

// Weights and bytes per block. A switch, so that they are constants where a known type is inlined.
struct ck_block {
  int64_t length, bytes;
};
ALWAYS struct ck_block ck_block_of(int32_t type) {
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
    case CK_IQ2_XXS: return (struct ck_block){256, 66};
    case CK_IQ2_XS: return (struct ck_block){256, 74};
    case CK_IQ3_XXS: return (struct ck_block){256, 98};
    case CK_IQ1_S: return (struct ck_block){256, 50};
    case CK_IQ4_NL: return (struct ck_block){32, 18};
    case CK_IQ3_S: return (struct ck_block){256, 110};
    case CK_IQ2_S: return (struct ck_block){256, 82};
    case CK_IQ4_XS: return (struct ck_block){256, 136};
    case CK_IQ1_M: return (struct ck_block){256, 56};
    case CK_TQ1_0: return (struct ck_block){256, 54};
    case CK_TQ2_0: return (struct ck_block){256, 66};
    case CK_MXFP4: return (struct ck_block){32, 17};
    case CK_F8_E4M3:
    case CK_F8_E5M2:
    case CK_E8M0:
    case CK_INT8: return (struct ck_block){1, 1};
    case CK_E2M1:
    case CK_TABLE4: return (struct ck_block){2, 1};
    case CK_INT4:
    case CK_INT4_AWQ: return (struct ck_block){8, 4};
    case CK_INT4_ROWS: return (struct ck_block){1, 4};
    default: return (struct ck_block){0, 0};
  }
}

// The address of a row.
ALWAYS const uint8_t *ck_row(const struct ck_matrix *w, int64_t row) {
  if (w->scales) {
    row += w->first_row;
    if (w->type == CK_INT4_ROWS) row /= 8;
  }
  return (const uint8_t *)w->data + row * w->row_bytes;
}

// The address of weight (row, column); `column` starts a block, unless the matrix has scales.
static inline const uint8_t *ck_weights(const struct ck_matrix *w, int64_t row, int64_t column) {
  const struct ck_block block = ck_block_of(w->type);
  if (w->scales) column += w->first_column;
  return ck_row(w, row) + column / block.length * block.bytes;
}

static inline int64_t ck_min(int64_t a, int64_t b) { return a < b ? a : b; }
// The number of parts of `size` in `count`, counting a smaller last one.
static inline int64_t ck_tiles(int64_t count, int64_t size) { return (count + size - 1) / size; }
static inline int64_t ck_round_up(int64_t a, int64_t unit) { return ck_tiles(a, unit) * unit; }
// The columns of the strips that `count` columns of W are divided into: as few strips as possible, and those alike, because
// every strip has the next one prefetched, column by column.
static inline int64_t ck_strip_width(const struct ck_matrix *w, int64_t count) {
  const int64_t block = ck_block_of(w->type).length;
  return ck_round_up(ck_tiles(count, ck_tiles(count, STRIP)), block > STRIP_UNIT ? block : STRIP_UNIT);
}

// The number of columns before the first that begins a line of the cache, if it is the same in all rows, and there are too few
// vectors for copies of W; otherwise 0.
static inline int64_t ck_head(const struct ck_product *p) {
  const struct ck_matrix *w = p->w;
  const struct ck_block block = ck_block_of(w->type);
  const int64_t bytes = (int64_t)(-(uintptr_t)w->data % CACHE_LINE);
  if (block.length > 1 || w->scales || w->row_bytes % CACHE_LINE || bytes % block.bytes ||
      w->columns < SKEWED_COLUMNS || p->b > CK_INDEPENDENT_VECTORS)
    return 0;
  return bytes / block.bytes;
}
