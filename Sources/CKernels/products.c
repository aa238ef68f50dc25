// The products: who computes what.
#include "internal.h"

#include <cblas.h>
#include <pthread.h>

// Matrices of fewer weights are done before another thread has noticed.
#define WORTH_SHARING 16384

static void share(const struct ck_matrix *w, int64_t count, void (*body)(void *, int64_t),
                  void *context) {
  if (w->rows * w->columns >= WORTH_SHARING) {
    ck_parallel_for(count, body, context);
  } else {
    for (int64_t i = 0; i < count; i++) body(context, i);
  }
}

// MARK: Thin blocks

struct job {
  struct ck_product product;
  const struct ck_kernels *kernels;
  int64_t columns;  // of one task of the adjoint
};

static void multiply_task(void *context, int64_t index) {
  const struct job *job = context;
  job->kernels->multiply_rows(&job->product, index * job->kernels->group, ck_scratch());
}

static void multiply_adjoint_task(void *context, int64_t index) {
  const struct job *job = context;
  const int64_t first = index * job->columns;
  const int64_t count = ck_min(job->columns, job->product.w->columns - first);
  job->kernels->multiply_adjoint_columns(&job->product, first, count, ck_scratch());
}

// Columns per task of the adjoint: the threads' shares are even, made of whole blocks and groups, and narrow enough for
// the sums to stay in cache: at most half of ADJOINT_COLUMNS before they are rounded up.
static int64_t adjoint_columns(const struct ck_matrix *w, int64_t group) {
  const int64_t block = ck_block_of(w->type).length, unit = block > group ? block : group;
  const int64_t threads = ck_threads();
  const int64_t tasks = threads * ck_tiles(w->columns, threads * ADJOINT_COLUMNS / 2);
  return ck_round_up(ck_tiles(w->columns, tasks), unit);
}

// MARK: Thick blocks

// One operand of sgemm, widened: rows × columns of W. Fixed sizes, so that the sums do not depend on the threads.
#define PANEL_ROWS 128
#define PANEL_COLUMNS 1024
_Static_assert(PANEL_ROWS *PANEL_COLUMNS <= SCRATCH_FLOATS, "a panel fits the scratch memory");

// OpenBLAS has threads of its own, which would compete with the pool's: one while our products run, and what it had
// before when the last of them ends.
static struct {
  pthread_mutex_t mutex;
  int products, threads;
} blas = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void enter_blas(void) {
  pthread_mutex_lock(&blas.mutex);
  if (blas.products++ == 0) {
    blas.threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
  }
  pthread_mutex_unlock(&blas.mutex);
}

static void leave_blas(void) {
  pthread_mutex_lock(&blas.mutex);
  if (--blas.products == 0) openblas_set_num_threads(blas.threads);
  pthread_mutex_unlock(&blas.mutex);
}

// out ← op(W[row …, column …]) in + beta out for one panel of W.
static void multiply_panel(const struct ck_product *p, CBLAS_TRANSPOSE transpose, int64_t row,
                           int64_t rows, int64_t column, int64_t columns, float beta) {
  float *panel = ck_scratch();
  for (int64_t r = 0; r < rows; r++)
    ck_dequantize(p->w->type, ck_weights(p->w, row + r, column), panel + r * PANEL_COLUMNS, columns);
  const int adjoint = transpose == CblasTrans;
  const float *in = p->in + (adjoint ? row : column) * p->in_stride;
  float *out = p->out + (adjoint ? column : row) * p->out_stride;
  cblas_sgemm(CblasRowMajor, transpose, CblasNoTrans, (blasint)(adjoint ? columns : rows),
              (blasint)p->b, (blasint)(adjoint ? rows : columns), 1, panel, PANEL_COLUMNS, in,
              (blasint)p->in_stride, beta, out, (blasint)p->out_stride);
}

static void multiply_thick_task(void *context, int64_t index) {
  const struct ck_product *p = context;
  const int64_t row = index * PANEL_ROWS, rows = ck_min(PANEL_ROWS, p->w->rows - row);
  for (int64_t column = 0; column < p->w->columns; column += PANEL_COLUMNS)
    multiply_panel(p, CblasNoTrans, row, rows, column,
                   ck_min(PANEL_COLUMNS, p->w->columns - column), column || p->accumulate);
}

static void multiply_adjoint_thick_task(void *context, int64_t index) {
  const struct ck_product *p = context;
  const int64_t column = index * PANEL_COLUMNS;
  const int64_t columns = ck_min(PANEL_COLUMNS, p->w->columns - column);
  for (int64_t row = 0; row < p->w->rows; row += PANEL_ROWS)
    multiply_panel(p, CblasTrans, row, ck_min(PANEL_ROWS, p->w->rows - row), column, columns,
                   row || p->accumulate);
}

static void share_thick(struct ck_product *p, int64_t count, void (*task)(void *, int64_t)) {
  enter_blas();
  share(p->w, count, task, p);
  leave_blas();
}

// MARK: Any block

// The product with nothing to sum over: zero, or nothing to add.
static void multiply_empty(const struct ck_product *p, int64_t count) {
  if (p->accumulate) return;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < p->b; j++) p->out[i * p->out_stride + j] = 0;
}

void ck_multiply(const struct ck_matrix *w, const float *x, int64_t ldx, float *y, int64_t ldy,
                 int64_t b, int accumulate) {
  struct job job = {{w, x, ldx, y, ldy, b, accumulate}, ck_current_kernels(), 0};
  if (w->columns < 1) {
    multiply_empty(&job.product, w->rows);
  } else if (b > THIN) {
    share_thick(&job.product, ck_tiles(w->rows, PANEL_ROWS), multiply_thick_task);
  } else if (b > 0) {
    share(w, ck_tiles(w->rows, job.kernels->group), multiply_task, &job);
  }
}

void ck_multiply_adjoint(const struct ck_matrix *w, const float *y, int64_t ldy, float *x,
                         int64_t ldx, int64_t b, int accumulate) {
  struct job job = {{w, y, ldy, x, ldx, b, accumulate}, ck_current_kernels(), 0};
  if (w->rows < 1) {
    multiply_empty(&job.product, w->columns);
  } else if (b > THIN) {
    share_thick(&job.product, ck_tiles(w->columns, PANEL_COLUMNS), multiply_adjoint_thick_task);
  } else if (b > 0 && w->columns > 0) {
    job.columns = adjoint_columns(w, job.kernels->group);
    share(w, ck_tiles(w->columns, job.columns), multiply_adjoint_task, &job);
  }
}
