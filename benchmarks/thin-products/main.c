// Times thin products against OpenBLAS and against just reading the weights.
//
//     thin-products [--json] [--threads T] [--seconds S] [--shape MxN]… [--type NAME]… [--vectors B]…
//
// For every shape, type, number of vectors b and direction: the shortest of repeats that take S seconds in all. A
// plain read of the same bytes by the same threads, OpenBLAS's product of the same shape in single precision (sgemv for
// b = 1), and our product in double precision run in turns with ours, so that other load on the machine affects all alike.
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "CKernels.h"

static const struct {
  const char *name;
  int32_t type;
} types[] = {
    {"F32", CK_F32},   {"BF16", CK_BF16}, {"F16", CK_F16},   {"Q8_0", CK_Q8_0}, {"Q4_0", CK_Q4_0},
    {"Q4_1", CK_Q4_1}, {"Q4_K", CK_Q4_K}, {"Q6_K", CK_Q6_K}, {"Q5_0", CK_Q5_0}, {"Q5_1", CK_Q5_1},
    {"Q5_K", CK_Q5_K}, {"Q2_K", CK_Q2_K}, {"Q3_K", CK_Q3_K}, {"IQ4_XS", CK_IQ4_XS}, {"MXFP4", CK_MXFP4},
    {"IQ3_S", CK_IQ3_S}, {"IQ2_XXS", CK_IQ2_XXS}, {"TQ2_0", CK_TQ2_0},
    // With scales of 128 × 128, of 32 and of 64 neighbours, and of 128 rows.
    {"F8", CK_F8_E4M3}, {"F4", CK_E2M1}, {"NF4", CK_TABLE4}, {"AWQ", CK_INT4_AWQ},
};

// An ordinary eight-bit exponent.
#define EXPONENT 123

// The usual scales of a type whose scales are stored apart from its codes, all of them at `numbers`.
static struct ck_scales scales_of(int32_t type, int64_t columns, const void *numbers) {
  struct ck_scales s = {.data = numbers, .zeros = numbers, .values = numbers, .rounded = CK_F32, .factor = 1};
  switch (type) {
    case CK_F8_E4M3: s.rows = s.columns = 128, s.type = CK_F32; break;
    case CK_E2M1: s.rows = 1, s.columns = 32, s.type = CK_E8M0; break;
    case CK_TABLE4: s.columns = 64, s.width = columns, s.type = CK_F32; break;
    default: s.rows = 128, s.columns = 1, s.type = s.rounded = CK_F16, s.zeros_stride = columns / 2;
  }
  s.stride = (columns + s.columns - 1) / s.columns;
  return s;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// The name of the processor according to the system.
static void processor(char *name, size_t size) {
  snprintf(name, size, "unknown");
#if defined(__APPLE__)
  sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0);
#else
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, "model name", 10) == 0) {
      snprintf(name, size, "%s", strchr(line, ':') + 2);
      name[strcspn(name, "\n\"\\")] = 0;
      break;
    }
  if (file) fclose(file);
#endif
}

// MARK: The contestants

struct contest {
  struct ck_matrix stored;
  const float *floats;  // the same shape in single precision, for OpenBLAS
  int64_t b;
  int adjoint;
  struct ck_engine *engine;
  float *in, *out;
  double *double_in, *double_out;
};

static void ours(struct contest *c) {
  (c->adjoint ? ck_multiply_adjoint : ck_multiply)(c->engine, &c->stored, c->in, c->b, c->out, c->b,
                                                   c->b, 0);
}

static void in_double(struct contest *c) {
  (c->adjoint ? ck_multiply_adjoint_f64 : ck_multiply_f64)(
      c->engine, &c->stored, c->double_in, c->b, c->double_out, c->b, c->b, 0);
}

static void openblas(struct contest *c) {
  const int m = (int)c->stored.rows, n = (int)c->stored.columns, b = (int)c->b;
  const CBLAS_TRANSPOSE op = c->adjoint ? CblasTrans : CblasNoTrans;
  if (b == 1)
    cblas_sgemv(CblasRowMajor, op, m, n, 1, c->floats, n, c->in, 1, 0, c->out, 1);
  else
    cblas_sgemm(CblasRowMajor, op, CblasNoTrans, c->adjoint ? n : m, b, c->adjoint ? m : n, 1,
                c->floats, n, c->in, b, 0, c->out, b);
}

#define READ_TASKS 64
static _Atomic uint64_t sum_of_everything;  // so that no read is optimised away

static void read_task(void *context, int64_t index) {
  const struct ck_matrix *w = context;
  const int64_t words = w->rows * w->row_bytes / 8;
  const uint64_t *data = w->data;
  uint64_t sum = 0;
  for (int64_t i = words * index / READ_TASKS; i < words * (index + 1) / READ_TASKS; i++)
    sum += data[i];
  sum_of_everything += sum;
}
static void read_weights(struct contest *c) {
  ck_parallel_for(c->engine, READ_TASKS, read_task, &c->stored);
}

#define CONTESTANTS 4

// The shortest time of each contestant, in turns.
static void race(struct contest *c, double budget, double best[CONTESTANTS]) {
  void (*const contestants[CONTESTANTS])(struct contest *) = {ours, read_weights, openblas, in_double};
  const double end = seconds() + budget;
  for (int k = 0; k < CONTESTANTS; k++) best[k] = 1e30;
  int rounds = 0;
  do
    for (int k = 0; k < CONTESTANTS; k++)
      // The second of two calls finds threads and caches in the state of a loop of its own.
      for (int twice = 0; twice < 2; twice++) {
        const double start = seconds();
        contestants[k](c);
        const double time = seconds() - start;
        if (time < best[k]) best[k] = time;
      }
  while (++rounds < 3 || seconds() < end);
}

// MARK: The run

static uint64_t random_state = 1;
static uint32_t random_bits(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random_state >> 32);
}

// Weights of any type whose bytes mean ordinary numbers: repeated halves of 1/8, which as bytes are scales, nibbles and
// bfloats too.
static void fill(void *data, int64_t bytes) {
  for (int64_t i = 0; i < bytes / 2; i++) ((uint16_t *)data)[i] = 0x3000;
}

static int is_chosen(const char *name, char **chosen, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(chosen[i], name) == 0) return 1;
  return count == 0;
}

int main(int argc, char **argv) {
  int json = 0, threads = (int)sysconf(_SC_NPROCESSORS_ONLN), shape_count = 0, type_count = 0, b_count = 0;
  double budget = 0.5;
  char *chosen_types[64];
  long shapes[64][2], bs[64];
  for (int i = 1; i < argc; i++) {
    char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--json") == 0) {
      json = 1;
      continue;
    }
    int understood = 1;
    if (strcmp(argv[i], "--threads") == 0)
      understood = (threads = atoi(value)) > 0;
    else if (strcmp(argv[i], "--seconds") == 0)
      understood = (budget = atof(value)) > 0;
    else if (strcmp(argv[i], "--shape") == 0 && shape_count < 64)
      understood = sscanf(value, "%ldx%ld", &shapes[shape_count][0], &shapes[shape_count][1]) == 2 &&
                   shapes[shape_count][0] > 0 && shapes[shape_count][1] > 0;
    else if (strcmp(argv[i], "--type") == 0 && type_count < 64)
      chosen_types[type_count] = value;
    else if (strcmp(argv[i], "--vectors") == 0 && b_count < 64)
      understood = (bs[b_count] = atol(value)) > 0;
    else
      understood = 0;
    if (!understood) {
      fprintf(stderr,
              "usage: thin-products [--json] [--threads T] [--seconds S] [--shape MxN]… [--type NAME]… "
              "[--vectors B]…\n");
      return 64;
    }
    shape_count += strcmp(argv[i], "--shape") == 0;
    type_count += strcmp(argv[i], "--type") == 0;
    b_count += strcmp(argv[i], "--vectors") == 0;
    i++;
  }
  if (shape_count == 0) shapes[0][0] = 14336, shapes[0][1] = 4096, shape_count = 1;
  if (b_count == 0)
    for (long b = 1; b <= 32; b *= 2) bs[b_count++] = b;

  struct ck_engine *engine = ck_engine_create(ck_best_instruction_set(), threads);
  if (!engine) {
    fprintf(stderr, "no memory is left\n");
    return 1;
  }
  openblas_set_num_threads(threads);
  char cpu[128];
  processor(cpu, sizeof cpu);
  static const char *const sets[] = {"portable", "AVX2", "AVX-512"};
  const char *set = sets[ck_engine_instruction_set(engine)];
  if (json)
    printf("{\"processor\": \"%s\", \"threads\": %d, \"instructionSet\": \"%s\", \"openBLAS\": \"%s\", "
           "\"products\": [",
           cpu, ck_engine_threads(engine), set, openblas_get_config());
  else
    printf("%s, %d threads, %s; %s\n", cpu, ck_engine_threads(engine), set, openblas_get_config());

  const char *separator = "";
  for (int s = 0; s < shape_count; s++) {
    const int64_t m = shapes[s][0], n = shapes[s][1], longer = m > n ? m : n;
    long most = 1;
    for (int k = 0; k < b_count; k++) most = bs[k] > most ? bs[k] : most;
    float *floats = malloc((size_t)(m * n) * 4), *stored = malloc((size_t)(m * n) * 4);
    float *in = malloc((size_t)(longer * most) * 4), *out = malloc((size_t)(longer * most) * 4);
    double *double_in = malloc((size_t)(longer * most) * 8);
    double *double_out = malloc((size_t)(longer * most) * 8);
    if (!floats || !stored || !in || !out || !double_in || !double_out) {
      fprintf(stderr, "%ld × %ld does not fit the memory\n", (long)m, (long)n);
      return 1;
    }
    for (int64_t i = 0; i < m * n; i++) floats[i] = (float)random_bits() * 0x1p-32f - 0.5f;
    for (int64_t i = 0; i < longer * most; i++) double_in[i] = in[i] = (float)random_bits() * 0x1p-32f - 0.5f;
    if (!json)
      printf("\n%ld × %ld\n%-7s %3s %-8s %10s %8s %8s %8s %9s %9s\n", (long)m, (long)n, "type", "b", "",
             "µs", "Gw/s", "GFLOP/s", "of read", "OpenBLAS", "in double");
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
      const int64_t length = ck_block_length(types[t].type);
      if (!is_chosen(types[t].name, chosen_types, type_count) || n % length) continue;
      const int64_t row_bytes = n / length * ck_block_bytes(types[t].type);
      fill(stored, m * n * 4);
      if (types[t].type == CK_MXFP4)
        for (int64_t i = 0; i < m * row_bytes; i += 17) ((uint8_t *)stored)[i] = EXPONENT;
      if (types[t].type == CK_E2M1)
        memset((uint8_t *)stored + m * row_bytes, EXPONENT, (size_t)(m * n / 32));
      for (int k = 0; k < b_count; k++)
        for (int adjoint = 0; adjoint < 2; adjoint++) {
          const int is_coded = types[t].type >= CK_F8_E4M3;
          const struct ck_scales scales =
              scales_of(types[t].type, n, (const uint8_t *)stored + m * row_bytes);
          struct contest contest = {{stored, m, n, row_bytes, types[t].type,
                                     is_coded ? &scales : NULL, 0, 0},
                                    floats, bs[k], adjoint, engine, in, out, double_in, double_out};
          double best[CONTESTANTS];
          race(&contest, budget, best);
          const double weights = (double)(m * n);
          const char *direction = adjoint ? "adjoint" : "forward";
          if (json)
            printf("%s\n{\"rows\": %ld, \"columns\": %ld, \"type\": \"%s\", \"vectors\": %ld, "
                   "\"direction\": \"%s\", \"seconds\": %.4g, \"gigaweightsPerSecond\": %.4g, "
                   "\"gigaflops\": %.4g, \"readGigabytesPerSecond\": %.4g, \"fractionOfRead\": %.4g, "
                   "\"openBLASSeconds\": %.4g, \"timesOpenBLAS\": %.4g, \"doubleSeconds\": %.4g}",
                   separator, (long)m, (long)n, types[t].name, bs[k], direction, best[0],
                   weights / best[0] * 1e-9, 2 * weights * (double)bs[k] / best[0] * 1e-9,
                   (double)(m * row_bytes) / best[1] * 1e-9, best[1] / best[0], best[2],
                   best[2] / best[0], best[3]);
          else
            printf("%-7s %3ld %-8s %10.1f %8.2f %8.1f %8.2f %8.2f× %8.2f×\n", types[t].name, bs[k], direction,
                   best[0] * 1e6, weights / best[0] * 1e-9,
                   2 * weights * (double)bs[k] / best[0] * 1e-9, best[1] / best[0], best[2] / best[0],
                   best[3] / best[0]);
          fflush(stdout);
          separator = ",";
        }
    }
    free(floats), free(stored), free(in), free(out);
    free(double_in), free(double_out);
  }
  if (json) printf("\n]}\n");
  ck_engine_destroy(engine);
  return 0;
}
