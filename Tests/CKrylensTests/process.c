// What concerns a whole process that uses the C library: process MODEL [OPENS]
//
// Refusals of every function, fork, threads, memory over many openings, and an exit with open handles. MODEL is a folder or
// file that "token_ids" 1, 2, 3 can be run on.
#define _GNU_SOURCE
#include <krylens.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(call, wanted) expect(call, wanted, #call, __LINE__)

static void expect(int status, int wanted, const char *call, int line) {
  const int silent = *krylens_last_error() == 0;
  if (status == wanted && silent == (wanted == KRYLENS_OK)) return;
  fprintf(stderr, "line %d: %s: %d where %d was expected (%s)\n", line, call, status, wanted,
          krylens_last_error());
  exit(1);
}

static const char *const settings = "{\"token_ids\": [1, 2, 3], \"to_layer\": 1}";

static void refusals(const char *path) {
  krylens_model *model = NULL;
  krylens_jacobian *jacobian = NULL;
  krylens_triplets *triplets = NULL;
  char *text = NULL;
  int64_t *ids = NULL;
  size_t count = 0;

  EXPECT(krylens_open(NULL, NULL, &model), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_open(path, NULL, NULL), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_open("\xff\xfe", NULL, &model), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_open("", NULL, &model), KRYLENS_FAILED);
  EXPECT(krylens_open("/nowhere/at/all", NULL, &model), KRYLENS_FAILED);
  EXPECT(krylens_open("/etc", NULL, &model), KRYLENS_FAILED);
  EXPECT(krylens_open("/etc/passwd", NULL, &model), KRYLENS_FAILED);
  EXPECT(krylens_open("/dev/null", NULL, &model), KRYLENS_FAILED);
  const char *const bad[] = {
      "", "[]", "null", "{", "{\"threads\": 0}", "{\"threads\": 1.5}", "{\"threads\": \"2\"}",
      "{\"threads\": 1e300}", "{\"threads\": 99999999999999999999}", "{\"threads\": -9223372036854775808}",
      "{\"threads\": 2, \"threads\": 2}", "{\"seed\": -1}", "{\"random_init\": 1}", "{\"top\": 3}",
      "{\"\\u0000\": 1}", "\xff", "{\"threads\": 2} x", "{\"threads\": NaN}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    EXPECT(krylens_open(path, bad[i], &model), KRYLENS_INVALID_ARGUMENT);
  // Deeper than any stack, and longer than a page.
  char *deep = malloc(2000001);
  memset(deep, '[', 2000000), deep[2000000] = 0;
  EXPECT(krylens_open(path, deep, &model), KRYLENS_INVALID_ARGUMENT);
  free(deep);
  if (model) exit(1);

  EXPECT(krylens_model_close(NULL), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_model_info((krylens_model *)&model, &text), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_open(path, "{\"threads\": 2, \"seed\": null}", &model), KRYLENS_OK);
  EXPECT(krylens_model_info(model, NULL), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_model_info(model, &text), KRYLENS_OK);
  krylens_free(text);
  EXPECT(krylens_tokenize(model, NULL, &ids, &count), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_tokenize(model, "a", NULL, &count), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_token_text((krylens_model *)1, 1, &text), KRYLENS_INVALID_HANDLE);

  const char *const wrong[] = {
      "{}", "{\"token_ids\": []}", "{\"token_ids\": [-1]}",
      "{\"token_ids\": [1, 9223372036854775807]}", "{\"token_ids\": [[1], 2]}", "{\"image\": \"x.png\"}",
      "{\"token_ids\": [1], \"from_layer\": -9223372036854775808}",
      "{\"token_ids\": [1], \"from_layer\": 9223372036854775807}",
      "{\"token_ids\": [1], \"to_layer\": -9223372036854775808}",
      "{\"token_ids\": [1], \"to_layer\": 9223372036854775807}", "{\"token_ids\": [1], \"to_layer\": 0}",
      "{\"token_ids\": [1], \"from_token\": -9223372036854775808}",
      "{\"token_ids\": [1], \"to_token\": [5]}", "{\"token_ids\": [1], \"skip\": -1}",
      "{\"token_ids\": [1], \"from_token\": \"all\", \"skip\": 9223372036854775807}",
      "{\"token_ids\": [1], \"head\": -1}", "{\"token_ids\": [1], \"head\": 9223372036854775807}",
      "{\"token_ids\": [1], \"expert\": 0}", "{\"token_ids\": [1], \"logits\": [1]}",
      "{\"token_ids\": [1], \"logits\": [1, 99999999]}", "{\"token_ids\": [1], \"site\": \"both\"}",
      "{\"token_ids\": [1], \"path\": \"own\", \"site\": \"mlp\"}",
      "{\"token_ids\": [1], \"precision\": \"half\"}", "{\"token_ids\": [1], \"encoder_token_ids\": [1]}",
      "{\"token_ids\": [[1], [1, 2]], \"from_token\": \"all\"}", "{\"token_ids\": [1], \"layer\": 1}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    EXPECT(krylens_jacobian_open(model, wrong[i], &jacobian), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jacobian_open(model, settings, NULL), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jacobian_open((krylens_model *)jacobian, settings, &jacobian), KRYLENS_INVALID_HANDLE);
  if (jacobian) exit(1);
  EXPECT(krylens_jacobian_open(model, settings, &jacobian), KRYLENS_OK);
  EXPECT(krylens_model_info((krylens_model *)jacobian, &text), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_jacobian_shape((krylens_jacobian *)model, NULL, NULL), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_model_close(model), KRYLENS_OK);
  EXPECT(krylens_model_close(model), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_jacobian_open(model, settings, &jacobian), KRYLENS_INVALID_HANDLE);

  int64_t m, n;
  EXPECT(krylens_jacobian_shape(jacobian, &m, &n), KRYLENS_OK);
  const size_t length = (size_t)(m > n ? m : n);
  float *v = calloc(2 * length + 1, sizeof *v), *y = calloc(2 * length, sizeof *y);
  const size_t from = (size_t)n, to = (size_t)m;
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, y, to), KRYLENS_OK);  // of zero
  EXPECT(krylens_jvp_f32(jacobian, 0, NULL, 0, NULL, 0), KRYLENS_OK);
  EXPECT(krylens_jvp_f32(jacobian, 0, v, from, y, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, -1, v, from, y, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, INT64_MAX, v, SIZE_MAX, y, SIZE_MAX), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, INT64_MAX / n, v, (size_t)(INT64_MAX / n * n), y, to),
         KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from - 1, y, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, y, to + 1), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, NULL, from, y, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, NULL, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, v, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_jvp_f32(jacobian, 1, (float *)((char *)v + 1), from, y, to), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_vjp_f64(NULL, 1, NULL, 0, NULL, 0), KRYLENS_INVALID_HANDLE);
  v[1] = 0.0f / 0.0f;
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, y, to), KRYLENS_INVALID_ARGUMENT);
  v[1] = 1.0f / 0.0f;
  EXPECT(krylens_vjp_f32(jacobian, 1, v, to, y, from), KRYLENS_INVALID_ARGUMENT);

  const char *const unsolvable[] = {
      "{\"top\": 0}", "{\"top\": -9223372036854775808}", "{\"top\": 9223372036854775807}",
      "{\"tolerance\": 0}", "{\"tolerance\": 1e-400}", "{\"tolerance\": 1}", "{\"certify\": 2}", "{\"certify\": \"no\"}",
      "{\"solver\": \"svd\"}", "{\"solver\": 1}", "{\"seed\": 1.5}", "{\"precision\": true}",
      "{\"k\": 3}"};
  for (size_t i = 0; i < sizeof unsolvable / sizeof *unsolvable; i++)
    EXPECT(krylens_solve(jacobian, unsolvable[i], NULL, NULL, &triplets), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_solve(jacobian, NULL, NULL, NULL, NULL), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_solve(jacobian, "{\"top\": 2}", NULL, NULL, &triplets), KRYLENS_OK);
  double s[3];
  EXPECT(krylens_triplets_copy(triplets, s, 3, NULL, 0, NULL, 0, NULL, 0), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_triplets_copy(triplets, s, 2, NULL, 7, NULL, 0, NULL, 0), KRYLENS_OK);
  EXPECT(krylens_triplets_shape((krylens_triplets *)jacobian, NULL, NULL, NULL), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_triplets_close(triplets), KRYLENS_OK);
  EXPECT(krylens_triplets_close(triplets), KRYLENS_INVALID_HANDLE);
  EXPECT(krylens_jacobian_close(jacobian), KRYLENS_OK);
  EXPECT(krylens_jvp_f32(jacobian, 1, v, from, y, to), KRYLENS_INVALID_HANDLE);
  free(v), free(y);

  EXPECT(krylens_align(NULL, NULL, NULL, NULL), KRYLENS_INVALID_ARGUMENT);
  EXPECT(krylens_align("{\"prompt\": \"a\"}", NULL, NULL, NULL), KRYLENS_INVALID_ARGUMENT);
  krylens_free(NULL);
}

// MARK: Threads

struct work {
  krylens_jacobian *jacobian;
  int64_t m, n;
  atomic_int *busy;
  int status;
};

static void *multiply(void *argument) {
  struct work *work = argument;
  float *v = malloc(sizeof *v * 8 * (size_t)work->n), *y = malloc(sizeof *y * 8 * (size_t)work->m);
  for (int64_t i = 0; i < 8 * work->n; i++) v[i] = (float)(i % 7) - 3;
  for (int i = 0; i < 200; i++) {
    const krylens_status status = krylens_jvp_f32(
        work->jacobian, 8, v, 8 * (size_t)work->n, y, 8 * (size_t)work->m);
    if (status == KRYLENS_BUSY) atomic_fetch_add(work->busy, 1);
    else if (status != KRYLENS_OK) work->status = status;
  }
  free(v), free(y);
  return NULL;
}

static void threads(const char *path) {
  krylens_model *model;
  krylens_jacobian *jacobians[2];
  EXPECT(krylens_open(path, "{\"threads\": 2}", &model), KRYLENS_OK);
  for (int i = 0; i < 2; i++) EXPECT(krylens_jacobian_open(model, settings, &jacobians[i]), KRYLENS_OK);
  int64_t m, n;
  EXPECT(krylens_jacobian_shape(jacobians[0], &m, &n), KRYLENS_OK);
  for (int shared = 0; shared < 2; shared++) {
    atomic_int busy = 0;
    struct work works[2];
    pthread_t workers[2];
    for (int i = 0; i < 2; i++) {
      works[i] = (struct work){jacobians[shared ? 0 : i], m, n, &busy, KRYLENS_OK};
      pthread_create(&workers[i], NULL, multiply, &works[i]);
    }
    for (int i = 0; i < 2; i++) pthread_join(workers[i], NULL);
    EXPECT(works[0].status | works[1].status, KRYLENS_OK);
    if (!shared && busy) exit(fprintf(stderr, "different jacobians were in each other's way\n"));
  }
  for (int i = 0; i < 2; i++) EXPECT(krylens_jacobian_close(jacobians[i]), KRYLENS_OK);
  EXPECT(krylens_model_close(model), KRYLENS_OK);
}

// MARK: Processes

static void child(const char *path, krylens_model *model, krylens_jacobian *jacobian) {
  char *text;
  float number = 0;
  EXPECT(krylens_model_info(model, &text), KRYLENS_FORKED);
  EXPECT(krylens_jvp_f32(jacobian, 1, &number, 1, &number, 1), KRYLENS_FORKED);
  EXPECT(krylens_jacobian_close(jacobian), KRYLENS_FORKED);
  EXPECT(krylens_model_close(model), KRYLENS_FORKED);
  krylens_triplets *triplets;
  EXPECT(krylens_open(path, "{\"threads\": 2}", &model), KRYLENS_OK);
  EXPECT(krylens_jacobian_open(model, settings, &jacobian), KRYLENS_OK);
  EXPECT(krylens_solve(jacobian, "{\"top\": 2}", NULL, NULL, &triplets), KRYLENS_OK);
  exit(0);  // with open handles
}

static void forks(const char *path) {
  krylens_model *model;
  krylens_jacobian *jacobian;
  EXPECT(krylens_open(path, "{\"threads\": 2}", &model), KRYLENS_OK);
  EXPECT(krylens_jacobian_open(model, settings, &jacobian), KRYLENS_OK);
  const pid_t forked = fork();
  if (forked == 0) child(path, model, jacobian);
  int status;
  if (waitpid(forked, &status, 0) < 0 || status) exit(fprintf(stderr, "the child ended with %d\n", status));
  char *text;
  EXPECT(krylens_model_info(model, &text), KRYLENS_OK);
  krylens_free(text);
  EXPECT(krylens_jacobian_close(jacobian), KRYLENS_OK);
  EXPECT(krylens_model_close(model), KRYLENS_OK);
}

// MARK: Memory

static long resident(void) {
  long pages = 0, kept = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &pages, &kept) != 2) exit(1);
  fclose(file);
  return kept * sysconf(_SC_PAGESIZE) / 1024;
}

static void opens(const char *path, int count) {
  long before = 0, most = 0;
  for (int i = 0; i < count; i++) {
    krylens_model *model;
    krylens_jacobian *jacobian;
    EXPECT(krylens_open(path, "{\"threads\": 2}", &model), KRYLENS_OK);
    EXPECT(krylens_jacobian_open(model, settings, &jacobian), KRYLENS_OK);
    EXPECT(krylens_jacobian_close(jacobian), KRYLENS_OK);
    EXPECT(krylens_model_close(model), KRYLENS_OK);
    const long now = resident();
    if (i == count / 20) before = now;
    if (now > most) most = now;
    if (i % (count / 5 + 1) == 0) fprintf(stderr, "%d: %ld kB\n", i, now);
  }
  const long growth = resident() - before;
  printf("%d openings: %ld kB, %ld kB more than after the first twentieth\n", count, resident(), growth);
  if (growth > 5 * 1024) exit(1);
}

int main(int count, char **arguments) {
  if (count < 2) return 64;
  const char *path = arguments[1];
  if (strcmp(krylens_last_error(), "")) return 1;
  refusals(path);
  threads(path);
  forks(path);
  opens(path, count > 2 ? atoi(arguments[2]) : 1000);
  krylens_model *model;
  EXPECT(krylens_open(path, NULL, &model), KRYLENS_OK);
  return 0;  // with an open handle
}
