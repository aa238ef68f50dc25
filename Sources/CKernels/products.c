// The products: who computes what.
#include "internal.h"

// Matrices of fewer weights are done before another thread has noticed.
#define WORTH_SHARING 16384

struct job {
  struct ck_product product;
  struct ck_engine *engine;
  const struct ck_kernels *kernels;
  float *packed;
  int64_t unit;  // rows or columns of one task
};

// All tasks of a job; on all threads if there is `work` enough.
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

// What a task needs: a strip widened, perhaps transposed, and the sums.
static float *task_scratch(int64_t sums) {
  return ck_scratch(CK_SCRATCH_SUMS, 2 * STRIP_FLOATS + sums);
}

static void multiply_task(void *context, int64_t index) {
  const struct job *job = context;
  const struct ck_product *p = &job->product;
  const int64_t row = index * job->unit, rows = ck_min(job->unit, p->w->rows - row);
  job->kernels->multiply_rows(p, job->packed, row, rows,
                              task_scratch(job->unit * ck_round_up(p->b, 4) * job->kernels->lanes));
}

static void multiply_thick_task(void *context, int64_t index) {
  const struct job *job = context;
  job->kernels->multiply_rows_thick(&job->product, index * ROW_GROUP,
                                    task_scratch(ROW_GROUP * job->product.b));
}

static void multiply_adjoint_task(void *context, int64_t index) {
  const struct job *job = context;
  const struct ck_product *p = &job->product;
  const int64_t first = index * job->unit, count = ck_min(job->unit, p->w->columns - first);
  job->kernels->multiply_adjoint_columns(
      p, first, count, task_scratch(p->b * ck_round_up(job->unit, job->kernels->lanes)));
}

// Columns per task of the adjoint: the threads' shares are even, made of whole blocks and lanes, and narrow enough for
// the sums to stay in cache.
static int64_t adjoint_columns(const struct ck_product *p, int64_t lanes, int64_t threads) {
  const struct ck_matrix *w = p->w;
  const int64_t block = ck_block_of(w->type).length, unit = block > 2 * lanes ? block : 2 * lanes;
  const int64_t most = ck_min(ADJOINT_COLUMNS, ADJOINT_SUMS / p->b);
  // Half of the most before it is rounded up.
  const int64_t tasks = threads * ck_tiles(w->columns, threads * most / 2);
  return ck_round_up(ck_tiles(w->columns, tasks), unit);
}

static void multiply_portion(struct ck_engine *engine, struct ck_product p) {
  const int64_t weights = p.w->rows * p.w->columns;
  struct job job = {p, engine, ck_engine_kernels(engine), NULL, FEW_ROWS(p.b)};
  if (p.b > CK_INDEPENDENT_VECTORS)
    return share(&job, weights, ck_tiles(p.w->rows, ROW_GROUP), multiply_thick_task);
  const int64_t strips = ck_tiles(p.w->columns, STRIP);
  job.packed = ck_scratch(CK_SCRATCH_PACKED, strips * STRIP * p.b);
  share(&job, strips * STRIP * p.b, strips, pack_task);
  share(&job, weights, ck_tiles(p.w->rows, job.unit), multiply_task);
}

static void multiply_adjoint_portion(struct ck_engine *engine, struct ck_product p) {
  struct job job = {p, engine, ck_engine_kernels(engine), NULL, 0};
  job.unit = adjoint_columns(&p, job.kernels->lanes, ck_engine_threads(engine));
  share(&job, p.w->rows * p.w->columns, ck_tiles(p.w->columns, job.unit), multiply_adjoint_task);
}

// The product with nothing to sum over: zero, or nothing to add.
static void multiply_empty(const struct ck_product *p, int64_t count) {
  if (p->accumulate) return;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < p->b; j++) p->out[i * p->out_stride + j] = 0;
}

static void multiply_all(struct ck_engine *engine, struct ck_product p, int64_t inputs,
                         int64_t outputs,
                         void (*multiply)(struct ck_engine *, struct ck_product)) {
  if (inputs < 1) return multiply_empty(&p, outputs);
  if (outputs < 1) return;
  for (int64_t b = p.b; b > 0; b -= p.b, p.in += p.b, p.out += p.b) {
    p.b = ck_min(b, CK_VECTORS_AT_ONCE);
    multiply(engine, p);
  }
}

void ck_multiply(struct ck_engine *engine, const struct ck_matrix *w, const float *x, int64_t ldx,
                 float *y, int64_t ldy, int64_t b, int accumulate) {
  multiply_all(engine, (struct ck_product){w, x, ldx, y, ldy, b, accumulate}, w->columns, w->rows,
               multiply_portion);
}

void ck_multiply_adjoint(struct ck_engine *engine, const struct ck_matrix *w, const float *y,
                         int64_t ldy, float *x, int64_t ldx, int64_t b, int accumulate) {
  multiply_all(engine, (struct ck_product){w, y, ldy, x, ldx, b, accumulate}, w->rows, w->columns,
               multiply_adjoint_portion);
}
