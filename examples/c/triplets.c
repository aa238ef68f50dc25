// The largest singular triplets of one Jacobian, and a product with it: triplets MODEL PROMPT [LAYER]
//
// PROMPT is a text, or token ids: 1,5,7.
//
//     cc -o triplets triplets.c -lkrylens
#include <krylens.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(krylens_status status) {
  if (status == KRYLENS_OK) return;
  fprintf(stderr, "Error: %s\n", krylens_last_error());
  exit(status == KRYLENS_STOPPED ? 130 : 1);
}

// Called before every pass over the weights; anything but 0 would stop the solve.
static int show(void *context, const char *phase, int64_t done, int64_t total, double left) {
  (void)left;
  *(int64_t *)context = done;
  fprintf(stderr, "\r%s %lld/%lld", phase, (long long)done, (long long)total);
  return 0;
}

// Writes a text as a JSON string.
static void quote(char *json, size_t size, const char *text) {
  size_t n = 0;
  json[n++] = '"';
  for (; *text && n + 8 < size; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\' || c < 0x20)
      n += (size_t)snprintf(json + n, size - n, "\\u%04x", c);
    else
      json[n++] = (char)c;
  }
  json[n++] = '"';
  json[n] = 0;
}

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT [LAYER]\n", arguments[0]);
    return 64;
  }
  krylens_model *model;
  check(krylens_open(arguments[1], NULL, &model));

  char prompt[4096], settings[4400];
  const int is_ids = strspn(arguments[2], "0123456789,") == strlen(arguments[2]);
  if (is_ids)
    snprintf(prompt, sizeof prompt, "[%s]", arguments[2]);
  else
    quote(prompt, sizeof prompt, arguments[2]);
  snprintf(settings, sizeof settings, "{\"%s\": %s, \"to_layer\": %d}", is_ids ? "token_ids" : "prompt",
           prompt, count > 3 ? atoi(arguments[3]) : 1);
  krylens_jacobian *jacobian;
  check(krylens_jacobian_open(model, settings, &jacobian));
  check(krylens_model_close(model));  // the Jacobian keeps it

  int64_t m, n, k, passes = 0;
  check(krylens_jacobian_shape(jacobian, &m, &n));

  krylens_triplets *triplets;
  check(krylens_solve(jacobian, "{\"top\": 5}", show, &passes, &triplets));
  fputc('\n', stderr);
  check(krylens_triplets_shape(triplets, &k, NULL, NULL));
  double *s = malloc(sizeof(double) * (size_t)k), *residuals = malloc(sizeof(double) * (size_t)k);
  double *v = malloc(sizeof(double) * (size_t)(k * n)), *y = malloc(sizeof(double) * (size_t)(k * m));
  if (!s || !residuals || !v || !y) return 1;
  check(krylens_triplets_copy(triplets, s, (size_t)k, NULL, 0, v, (size_t)(k * n), residuals, (size_t)k));
  check(krylens_triplets_close(triplets));

  // ‖J vₖ‖ is σₖ again.
  check(krylens_jvp_f64(jacobian, k, v, (size_t)(k * n), y, (size_t)(k * m)));
  for (int64_t i = 0; i < k; i++) {
    double square = 0;
    for (int64_t j = 0; j < m; j++) square += y[i * m + j] * y[i * m + j];
    printf("%.17g  residual %.1e  |J v| %.9g\n", s[i], residuals[i], sqrt(square));
  }
  check(krylens_jacobian_close(jacobian));
  free(s), free(residuals), free(v), free(y);
  return 0;
}
