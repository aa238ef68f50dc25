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

// Runs the tasks of one step, on all threads if there is enough work.
static void share(struct ck_engine *engine, struct job *job, int64_t tasks, void (*step)(void *, int64_t)) {
  if (job->basis.count * job->basis.dimension >= WORTH_SHARING)
    ck_parallel_for(engine, tasks, step, job);
  else
    for (int64_t i = 0; i < tasks; i++) step(job, i);
}

void ck_dots(struct ck_engine *engine, const double *basis, int64_t count, int64_t dimension,
             const double *y, int64_t b, double *c) {
  struct job job = {{basis, count, dimension, (double *)y, b, c}, ck_engine_kernels(engine)};
  if (count < 1 || b < 1) return;
  share(engine, &job, ck_tiles(count, TASK_ROWS), dots_task);
}

void ck_project_out(struct ck_engine *engine, const double *basis, int64_t count,
                    int64_t dimension, double *y, int64_t b, double *c) {
  struct job job = {{basis, count, dimension, y, b, c}, ck_engine_kernels(engine)};
  if (count < 1 || b < 1) return;
  share(engine, &job, ck_tiles(count, TASK_ROWS), dots_task);
  share(engine, &job, ck_tiles(dimension, TASK_COLUMNS), subtract_task);
}
