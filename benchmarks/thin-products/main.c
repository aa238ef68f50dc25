// Times thin products against OpenBLAS and against just reading the weights.
//
//     thin-products [--json] [--instruction-set portable|avx2|avx512] [--threads T] [--seconds S] [--shape MxN]…
//                   [--type NAME]… [--vectors B]…
//     thin-products --instructions
//
// The second form times instructions alone, of one core: those that multiply floats, and those that multiply numbers of fewer bits.
//
// For every shape, type, number of vectors b and direction: the shortest of repeats that take S seconds in all. A
// plain read of the same bytes by the same threads, OpenBLAS's product of the same shape in single precision, and our
// product in double precision run in turns with ours, so that other load on the machine affects all alike. The columns:
//
//     µs, Gw/s, GFLOP/s   our time, weights per second, and 2 m n b per second
//     of read             the time of the read ÷ our time
//     sgemm               GFLOP/s of OpenBLAS's product of the same shape (sgemv for b = 1), the faster of two: with
//                         the vectors interleaved, as ours are, and one after another
//     of sgemm            its time ÷ our time: what counts for many vectors
//     of limit            for b ≤ 32, the longer of two times ÷ our time: that of the read, and that of the arithmetic
//                         at the peak, which is the best sgemm of a large square
//     in double           the time of the product in double precision ÷ our time
//
// OpenBLAS uses its kernels for the same instruction set. It chooses them when it is loaded, from OPENBLAS_CORETYPE,
// and does not know every processor; so the program sets this variable, unless it is set, and starts itself again.
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
#include "instructions.h"

// The types, those that are timed unless others are chosen first.
#define USUAL_TYPES 8
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

// The instruction sets, and the name of OpenBLAS's kernels for each, where it can be told.
static const struct {
  const char *option, *name, *openblas_core;
} instruction_sets[] = {
#if defined(__x86_64__)
    {"portable", "portable", "Prescott"},
#else
    {"portable", "portable", NULL},
#endif
    {"avx2", "AVX2", "Haswell"},
    {"avx512", "AVX-512", "SkylakeX"},
};
#define INSTRUCTION_SETS (int)(sizeof instruction_sets / sizeof *instruction_sets)

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

// The same product with the vectors one after another, (b, n) and (b, m).
static void openblas_contiguous(struct contest *c) {
  const int m = (int)c->stored.rows, n = (int)c->stored.columns, b = (int)c->b;
  const int inputs = c->adjoint ? m : n, outputs = c->adjoint ? n : m;
  if (b > 1)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, c->adjoint ? CblasNoTrans : CblasTrans, b, outputs,
                inputs, 1, c->in, inputs, c->floats, n, 0, c->out, outputs);
  else
    openblas(c);
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

enum { OURS, READ, SGEMM, CONTIGUOUS, DOUBLE, CONTESTANTS };

// The shortest time of each contestant, in turns.
static void race(struct contest *c, double budget, double best[CONTESTANTS]) {
  void (*const contestants[CONTESTANTS])(struct contest *) = {
      ours, read_weights, openblas, openblas_contiguous, in_double};
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

// Starts the program again with OpenBLAS told to use kernels for the instruction set, unless it has been told already.
static void choose_openblas_core(int set, char **argv) {
  const char *core = instruction_sets[set].openblas_core;
  if (!core || getenv("OPENBLAS_CORETYPE")) return;
  setenv("OPENBLAS_CORETYPE", core, 1);
  execvp(argv[0], argv);
  perror(argv[0]);
  exit(1);
}

// The best speed of OpenBLAS's product of large squares so far, GFLOP/s.
#define SQUARE 2048
static double peak(double budget) {
  static double best = 1e30;
  float *numbers = malloc((size_t)3 * SQUARE * SQUARE * 4);
  if (!numbers) return 0;
  for (int64_t i = 0; i < 3 * SQUARE * SQUARE; i++) numbers[i] = (float)(i % 101) - 50;
  const double end = seconds() + budget;
  do {
    const double start = seconds();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SQUARE, SQUARE, SQUARE, 1, numbers, SQUARE,
                numbers + SQUARE * SQUARE, SQUARE, 0, numbers + 2 * SQUARE * SQUARE, SQUARE);
    const double time = seconds() - start;
    if (time < best) best = time;
  } while (seconds() < end);
  free(numbers);
  return 2.0 * SQUARE * SQUARE * SQUARE / best * 1e-9;
}

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
  return 0;
}

static const char usage[] =
    "usage: thin-products [--json] [--instruction-set portable|avx2|avx512] [--threads T] [--seconds S] "
    "[--shape MxN]… [--type NAME]… [--vectors B]…\n       thin-products --instructions\n";

struct options {
  int json, instruction_set, threads, shape_count, type_count, b_count;
  double budget;
  char *types[64];
  long shapes[64][2], bs[64];
};

static int instruction_set_named(const char *name) {
  int set = INSTRUCTION_SETS - 1;
  while (set >= 0 && strcmp(instruction_sets[set].option, name) != 0) set--;
  return set;
}

// Reads one option with its value; returns whether it is valid.
static int read_option(struct options *o, const char *name, char *value) {
  if (strcmp(name, "--instruction-set") == 0)
    return (o->instruction_set = instruction_set_named(value)) >= 0;
  if (strcmp(name, "--threads") == 0) return (o->threads = atoi(value)) > 0;
  if (strcmp(name, "--seconds") == 0) return (o->budget = atof(value)) > 0;
  if (strcmp(name, "--type") == 0 && o->type_count < 64) {
    o->types[o->type_count++] = value;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
      if (strcmp(types[t].name, value) == 0) return 1;
    return 0;
  }
  if (strcmp(name, "--vectors") == 0 && o->b_count < 64) return (o->bs[o->b_count++] = atol(value)) > 0;
  long *shape = o->shapes[o->shape_count];
  return strcmp(name, "--shape") == 0 && o->shape_count++ < 63 &&
         sscanf(value, "%ldx%ld", &shape[0], &shape[1]) == 2 && shape[0] > 0 && shape[1] > 0;
}

static void print_row(const struct contest *c, const char *name, const double best[CONTESTANTS],
                      double peak, int json, const char *separator) {
  const int64_t m = c->stored.rows, n = c->stored.columns, b = c->b;
  const double weights = (double)(m * n), flops = 2 * weights * (double)b;
  const double sgemm = best[CONTIGUOUS] < best[SGEMM] ? best[CONTIGUOUS] : best[SGEMM];
  const double arithmetic = flops / peak * 1e-9;
  const double limit = (arithmetic > best[READ] ? arithmetic : best[READ]) / best[OURS];
  const char *direction = c->adjoint ? "adjoint" : "forward";
  if (!json) {
    printf("%-7s %3ld %-8s %9.1f %7.2f %8.1f %8.2f %8.1f %8.2f ", name, (long)b, direction,
           best[OURS] * 1e6, weights / best[OURS] * 1e-9, flops / best[OURS] * 1e-9,
           best[READ] / best[OURS], flops / sgemm * 1e-9, sgemm / best[OURS]);
    if (b <= CK_INDEPENDENT_VECTORS) printf("%8.2f", limit); else printf("%8s", "");
    printf(" %8.2f×\n", best[DOUBLE] / best[OURS]);
  } else {
    printf("%s\n{\"rows\": %ld, \"columns\": %ld, \"type\": \"%s\", \"vectors\": %ld, "
           "\"direction\": \"%s\", \"seconds\": %.4g, \"gigaweightsPerSecond\": %.4g, "
           "\"gigaflops\": %.4g, \"readGigabytesPerSecond\": %.4g, \"fractionOfRead\": %.4g, "
           "\"openBLASSeconds\": %.4g, \"timesOpenBLAS\": %.4g, \"doubleSeconds\": %.4g, "
           "\"bestSgemmSeconds\": %.4g, \"fractionOfBestSgemm\": %.4g, \"peakGigaflops\": %.4g, "
           "\"fractionOfLimit\": %.4g}",
           separator, (long)m, (long)n, name, (long)b, direction, best[OURS],
           weights / best[OURS] * 1e-9, flops / best[OURS] * 1e-9,
           (double)(m * c->stored.row_bytes) / best[READ] * 1e-9, best[READ] / best[OURS], best[SGEMM],
           best[SGEMM] / best[OURS], best[DOUBLE], sgemm, sgemm / best[OURS], peak, limit);
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  struct options o = {.instruction_set = ck_best_instruction_set(),
                      .threads = (int)sysconf(_SC_NPROCESSORS_ONLN), .budget = 0.5};
  if (argc == 2 && strcmp(argv[1], "--instructions") == 0) {
    print_instructions();
    return 0;
  }
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      o.json = 1;
    } else if (i + 1 == argc || !read_option(&o, argv[i], argv[i + 1])) {
      fputs(usage, stderr);
      return 64;
    } else {
      i++;
    }
  }
  if (o.shape_count == 0) o.shapes[0][0] = 14336, o.shapes[0][1] = 4096, o.shape_count = 1;
  if (o.b_count == 0)
    for (long b = 1; b <= CK_VECTORS_AT_ONCE; b *= 2) o.bs[o.b_count++] = b;
  if (o.type_count == 0)
    for (; o.type_count < USUAL_TYPES; o.type_count++) o.types[o.type_count] = (char *)types[o.type_count].name;

  const char *set = instruction_sets[o.instruction_set].name;
  struct ck_engine *engine = ck_engine_create(o.instruction_set, o.threads);
  if (!engine) {
    fprintf(stderr, "this processor lacks %s, or no memory is left\n", set);
    return 1;
  }
  choose_openblas_core(o.instruction_set, argv);
  openblas_set_num_threads(o.threads);
  char cpu[128];
  processor(cpu, sizeof cpu);
  const int threads = ck_engine_threads(engine);
  const char *core = openblas_get_corename();
  if (o.json)
    printf("{\"processor\": \"%s\", \"threads\": %d, \"instructionSet\": \"%s\", \"openBLAS\": \"%s\", "
           "\"openBLASCore\": \"%s\", \"products\": [",
           cpu, threads, set, openblas_get_config(), core);
  else
    printf("%s, %d threads, %s; %s, kernels for %s\n", cpu, threads, set, openblas_get_config(), core);

  const char *separator = "";
  for (int s = 0; s < o.shape_count; s++) {
    const int64_t m = o.shapes[s][0], n = o.shapes[s][1], longer = m > n ? m : n;
    long most = 1;
    for (int k = 0; k < o.b_count; k++) most = o.bs[k] > most ? o.bs[k] : most;
    float *floats = malloc((size_t)(m * n) * 4), *stored = malloc((size_t)(m * n) * 4);
    float *in = malloc((size_t)(longer * most) * 4), *out = malloc((size_t)(longer * most) * 4);
    double *double_in = malloc((size_t)(longer * most) * 8);
    double *double_out = malloc((size_t)(longer * most) * 8);
    const double square = peak(2 * o.budget);
    if (!floats || !stored || !in || !out || !double_in || !double_out || !square) {
      fprintf(stderr, "%ld × %ld does not fit the memory\n", (long)m, (long)n);
      return 1;
    }
    for (int64_t i = 0; i < m * n; i++) floats[i] = (float)random_bits() * 0x1p-32f - 0.5f;
    for (int64_t i = 0; i < longer * most; i++) double_in[i] = in[i] = (float)random_bits() * 0x1p-32f - 0.5f;
    if (!o.json)
      printf("\n%ld × %ld; peak, sgemm of %d × %d: %.1f GFLOP/s\n"
             "%-7s %3s %-8s %10s %7s %8s %8s %8s %8s %8s %9s\n",
             (long)m, (long)n, SQUARE, SQUARE, square, "type", "b", "", "µs", "Gw/s", "GFLOP/s",
             "of read", "sgemm", "of sgemm", "of limit", "in double");
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
      const int64_t length = ck_block_length(types[t].type);
      if (!is_chosen(types[t].name, o.types, o.type_count) || n % length) continue;
      const int64_t row_bytes = n / length * ck_block_bytes(types[t].type);
      fill(stored, m * n * 4);
      if (types[t].type == CK_MXFP4)
        for (int64_t i = 0; i < m * row_bytes; i += 17) ((uint8_t *)stored)[i] = EXPONENT;
      if (types[t].type == CK_E2M1)
        memset((uint8_t *)stored + m * row_bytes, EXPONENT, (size_t)(m * n / 32));
      const int is_coded = types[t].type >= CK_F8_E4M3;
      const struct ck_scales scales = scales_of(types[t].type, n, (const uint8_t *)stored + m * row_bytes);
      for (int k = 0; k < o.b_count; k++)
        for (int adjoint = 0; adjoint < 2; adjoint++) {
          struct contest contest = {{stored, m, n, row_bytes, types[t].type,
                                     is_coded ? &scales : NULL, 0, 0},
                                    floats, o.bs[k], adjoint, engine, in, out, double_in, double_out};
          double best[CONTESTANTS];
          race(&contest, o.budget, best);
          print_row(&contest, types[t].name, best, square, o.json, separator);
          separator = ",";
        }
    }
    free(floats), free(stored), free(in), free(out);
    free(double_in), free(double_out);
  }
  if (o.json) printf("\n]}\n");
  ck_engine_destroy(engine);
  return 0;
}
