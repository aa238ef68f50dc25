// The products: the division into tasks.
#include "internal.h"

// A product with fewer weights than this is finished before another thread would wake.
#define WORTH_SHARING 16384

struct job {
  struct ck_product product;
  struct ck_engine *engine;
  const struct ck_products *kernels;
  void *packed;
  int64_t unit;  // rows or columns of one task
};

// Runs all tasks of a job, on all threads if there is enough `work`.
static void share(struct job *job, int64_t work, int64_t count, void (*body)(void *, int64_t)) {
  if (work >= WORTH_SHARING) {
    ck_parallel_for(job->engine, count, body, job);
  } else {
    for (int64_t i = 0; i < count; i++) body(job, i);
  }
}

static void pack_task(void *context, int64_t index) {
  const struct job *job = context;
  job->kernels->pack_strip(&job->product, index, job->packed);
}

// The scratch memory of a task: a widened strip, a transposed one, and the sums.
static void *task_scratch(const struct job *job, int64_t sums) {
  return ck_scratch(CK_SCRATCH_SUMS, (2 * STRIP_NUMBERS + sums) * job->kernels->bytes);
}

static void multiply_task(void *context, int64_t index) {
  const struct job *job = context;
  const struct ck_product *p = &job->product;
  const int64_t row = index * job->unit, rows = ck_min(job->unit, p->w->rows - row);
  const int64_t sums = job->unit * ck_round_up(p->b, 4) * job->kernels->lanes;
  job->kernels->multiply_rows(p, job->packed, row, rows, task_scratch(job, sums));
}

static void multiply_thick_task(void *context, int64_t index) {
  const struct job *job = context;
  job->kernels->multiply_rows_thick(&job->product, index * ROW_GROUP,
                                    task_scratch(job, 2 * ROW_GROUP * job->product.b));
}

static void multiply_adjoint_task(void *context, int64_t index) {
  const struct job *job = context;
  const struct ck_product *p = &job->product;
  // Those after the first begin at a line of the cache.
  const int64_t head = ck_head(p), first = index ? index * job->unit + head : 0;
  const int64_t end = ck_min((index + 1) * job->unit + head, p->w->columns);
  if (first >= end) return;
  const int64_t sums = 2 * p->b * (job->unit + 3 * CACHE_LINE);
  job->kernels->multiply_adjoint_columns(p, first, end - first, task_scratch(job, sums));
}

// The number of columns per task of the adjoint: threads get even shares of whole blocks and lanes, narrow enough for
// the sums to stay in cache.
static int64_t adjoint_columns(const struct ck_product *p, const struct ck_products *kernels,
                               int64_t threads) {
  const int64_t lanes = kernels->lanes;
  const struct ck_matrix *w = p->w;
  const struct ck_block block = ck_block_of(w->type);
  const int64_t least = ck_head(p) ? CACHE_LINE / block.bytes : block.length;
  const int64_t unit = least > 2 * lanes ? least : 2 * lanes;
  const int64_t most = ck_min(threads > 1 ? SHARED_ADJOINT_COLUMNS : ADJOINT_COLUMNS,
                              ADJOINT_SUMS / kernels->bytes / p->b);
  // Half of the maximum, since it is rounded up afterwards.
  const int64_t tasks = threads * ck_tiles(w->columns, threads * most / 2);
  return ck_round_up(ck_tiles(w->columns, tasks), unit);
}

static void multiply_portion(struct job job) {
  const struct ck_product *p = &job.product;
  const int64_t weights = p->w->rows * p->w->columns;
  job.unit = FEW_ROWS;
  if (p->b > CK_INDEPENDENT_VECTORS)
    return share(&job, weights, ck_tiles(p->w->rows, ROW_GROUP), multiply_thick_task);
  const int64_t strips = ck_tiles(p->w->columns, STRIP), packed = strips * STRIP * p->b;
  job.packed = ck_scratch(CK_SCRATCH_PACKED, packed * job.kernels->bytes);
  share(&job, packed, strips, pack_task);
  share(&job, weights, ck_tiles(p->w->rows, job.unit), multiply_task);
}

static void multiply_adjoint_portion(struct job job) {
  const struct ck_product *p = &job.product;
  job.unit = adjoint_columns(p, job.kernels, ck_free_threads(job.engine));
  share(&job, p->w->rows * p->w->columns, ck_tiles(p->w->columns, job.unit), multiply_adjoint_task);
}

// The product with no terms: writes zeros, or adds nothing.
static void multiply_empty(const struct ck_product *p, int64_t bytes, int64_t count) {
  if (p->accumulate) return;
  for (int64_t i = 0; i < count; i++)
    memset((char *)p->out + i * p->out_stride * bytes, 0, (size_t)(p->b * bytes));
}

static void multiply_all(struct ck_engine *engine, const struct ck_products *kernels,
                         struct ck_product p, int is_adjoint) {
  const int64_t inputs = is_adjoint ? p.w->rows : p.w->columns;
  const int64_t outputs = is_adjoint ? p.w->columns : p.w->rows;
  if (inputs < 1) return multiply_empty(&p, kernels->bytes, outputs);
  if (outputs < 1) return;
  for (int64_t left = p.b; left > 0; left -= p.b) {
    p.b = ck_min(left, CK_VECTORS_AT_ONCE);
    const struct job job = {p, engine, kernels, NULL, 0};
    (is_adjoint ? multiply_adjoint_portion : multiply_portion)(job);
    p.in = (const char *)p.in + p.b * kernels->bytes;
    p.out = (char *)p.out + p.b * kernels->bytes;
  }
}

void ck_multiply(struct ck_engine *engine, const struct ck_matrix *w, const float *x, int64_t ldx,
                 float *y, int64_t ldy, int64_t b, int accumulate) {
  multiply_all(engine, ck_engine_kernels(engine)->single_precision,
               (struct ck_product){w, x, ldx, y, ldy, b, accumulate}, 0);
}

void ck_multiply_adjoint(struct ck_engine *engine, const struct ck_matrix *w, const float *y,
                         int64_t ldy, float *x, int64_t ldx, int64_t b, int accumulate) {
  multiply_all(engine, ck_engine_kernels(engine)->single_precision,
               (struct ck_product){w, y, ldy, x, ldx, b, accumulate}, 1);
}

void ck_multiply_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *x,
                     int64_t ldx, double *y, int64_t ldy, int64_t b, int accumulate) {
  multiply_all(engine, ck_engine_kernels(engine)->double_precision,
               (struct ck_product){w, x, ldx, y, ldy, b, accumulate}, 0);
}

void ck_multiply_adjoint_f64(struct ck_engine *engine, const struct ck_matrix *w, const double *y,
                             int64_t ldy, double *x, int64_t ldx, int64_t b, int accumulate) {
  multiply_all(engine, ck_engine_kernels(engine)->double_precision,
               (struct ck_product){w, y, ldy, x, ldx, b, accumulate}, 1);
}
