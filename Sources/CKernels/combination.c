// Combinations of stored matrices: the division into tasks.
#include "internal.h"

// The number of rows of one task.
#define TASK_ROWS 16

struct job {
  struct ck_combination combination;
  const struct ck_kernels *kernels;
};

static void combine_task(void *context, int64_t index) {
  const struct job *job = context;
  const int64_t row = index * TASK_ROWS;
  job->kernels->combine_rows(&job->combination, row, ck_min(TASK_ROWS, job->combination.rows - row));
}

void ck_combine(struct ck_engine *engine, int64_t terms, const struct ck_matrix *const *matrices,
                const float *const *factors, float *out) {
  const int64_t rows = matrices[0]->rows, columns = matrices[0]->columns;
  struct job job = {{terms, matrices, factors, rows, columns, out}, ck_engine_kernels(engine)};
  ck_parallel_for(engine, ck_tiles(rows, TASK_ROWS), combine_task, &job);
}
