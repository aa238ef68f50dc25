// Gram–Schmidt for a block of vectors: the division into tasks.
#include "internal.h"

// The number of entries of the basis that is enough work to wake another thread.
#define WORTH_SHARING 16384
// The number of rows and columns of one task.
#define TASK_ROWS 16
#define TASK_COLUMNS 256

struct job {
  struct ck_basis basis;
  const struct ck_kernels *kernels;
};

static void dots_task(void *context, int64_t index) {
  const struct job *job = context;
  const int64_t row = index * TASK_ROWS;
  job->kernels->basis_dots(&job->basis, row, ck_min(TASK_ROWS, job->basis.count - row));
}

static void subtract_task(void *context, int64_t index) {
  const struct job *job = context;
  const int64_t first = index * TASK_COLUMNS;
  job->kernels->basis_subtract(&job->basis, first,
                               ck_min(TASK_COLUMNS, job->basis.dimension - first));
}

void ck_project_out(struct ck_engine *engine, const double *basis, int64_t count,
                    int64_t dimension, double *y, int64_t b, double *c) {
  struct job job = {{basis, count, dimension, y, b, c}, ck_engine_kernels(engine)};
  if (count < 1 || b < 1) return;
  const int64_t tasks[2] = {ck_tiles(count, TASK_ROWS), ck_tiles(dimension, TASK_COLUMNS)};
  void (*const steps[2])(void *, int64_t) = {dots_task, subtract_task};
  for (int step = 0; step < 2; step++) {
    if (count * dimension >= WORTH_SHARING)
      ck_parallel_for(engine, tasks[step], steps[step], &job);
    else
      for (int64_t i = 0; i < tasks[step]; i++) steps[step](&job, i);
  }
}
