// Gram–Schmidt for a block of vectors: who computes what.
#include "internal.h"

// Numbers of the basis that are worth another thread's waking.
#define WORTH_SHARING 16384
// Rows and columns of one task.
#define TASK_ROWS 16
#define TASK_COLUMNS 256

static void dots_task(void *context, int64_t index) {
  const struct ck_basis *p = context;
  const int64_t row = index * TASK_ROWS;
  ck_current_kernels()->basis_dots(p, row, ck_min(TASK_ROWS, p->count - row));
}

static void subtract_task(void *context, int64_t index) {
  const struct ck_basis *p = context;
  const int64_t first = index * TASK_COLUMNS;
  ck_current_kernels()->basis_subtract(p, first, ck_min(TASK_COLUMNS, p->dimension - first));
}

void ck_project_out(const double *basis, int64_t count, int64_t dimension, double *y, int64_t b,
                    double *c) {
  struct ck_basis p = {basis, count, dimension, y, b, c};
  if (count < 1 || b < 1) return;
  const int64_t tasks[2] = {ck_tiles(count, TASK_ROWS), ck_tiles(dimension, TASK_COLUMNS)};
  void (*const steps[2])(void *, int64_t) = {dots_task, subtract_task};
  for (int step = 0; step < 2; step++) {
    if (count * dimension >= WORTH_SHARING)
      ck_parallel_for(tasks[step], steps[step], &p);
    else
      for (int64_t i = 0; i < tasks[step]; i++) steps[step](&p, i);
  }
}
