// Krylens as a C library: open a model, form the Jacobian of any of its maps as an operator, multiply with it, and find its
// largest singular triplets.
//
//     krylens_model *model;
//     krylens_jacobian *jacobian;
//     if (krylens_open("model.gguf", NULL, &model) != KRYLENS_OK) return fail(krylens_last_error());
//     krylens_jacobian_open(model, "{\"prompt\": \"The capital of France is\", \"to_layer\": 15}", &jacobian);
//
// Settings and results. Structured settings and results are JSON objects in UTF-8. Their keys are the names that result.json
// uses (docs/triplets.md), which are those of the command's options with `_` for `-`. A key that the function does not support
// is refused, and the message lists the supported ones; null selects the default. Arrays of numbers are plain C arrays.
//
// Errors. Every function that can fail returns a krylens_status. krylens_last_error() then returns the error and its remedy, in
// the wording of the command but with settings referred to by name: one line, or one per prompt if several failed. A function
// that fails leaves its output arguments as they were, except the arrays that products are written to. No argument ends the
// process: NULL, closed or foreign handles, wrong counts, numbers that are not finite, invalid UTF-8 and malformed JSON are
// refused. The process ends only if memory is exhausted.
//
// Files. The files of an open model must not change: after one is modified, replaced or deleted, calls that use its weights
// fail, since they could have read either version. The model must then be opened again.
//
// Handles. A krylens_model, krylens_jacobian or krylens_triplets pointer is an identifier, not an address: it is looked up at
// every call and never dereferenced, and a process never uses an identifier twice. A Jacobian keeps its model alive, so the
// model may be closed first. Handles may still be open when the process exits.
//
// Threads. Functions may be called from any thread, and different handles may be used from different threads at the same
// time. A model and the triplets of a solve are immutable: any number of threads may use one of them at once. A Jacobian owns
// the memory of its products, so only one thread at a time can use it: for a second one, calls return KRYLENS_BUSY at once and
// may be repeated. An object whose handle is closed while another thread uses it lives until that call returns. Products of
// Jacobians of one model share the model's threads: one call at a time uses them, and other calls meanwhile compute on their
// calling thread alone. Numbers never depend on the number of threads or on other calls.
//
// Process-wide state. OpenBLAS is set to one thread when the library first computes; only the copy of OpenBLAS inside or beside
// this library is affected. The `threads` of a model are its own threads, which end with its last handle. SIGBUS is handled
// while mapped files are read, so that a truncated file is an error; other faults go to the handler that was installed
// before. No other signal, environment variable, locale or working directory is changed. The only files written are those of
// krylens_align, and temporary files of models with "random_init" (in TMPDIR).
//
// Processes. After fork() the child cannot use the handles it inherits (KRYLENS_FORKED), since their threads exist only in the
// parent; it may open its own. Do not unload the library (dlclose).
//
// Versions. All functions have the symbol version KRYLENS_1. Functions, status codes and keys may be added, but none is renamed
// or removed within libkrylens.so.1 (docs/stability.md).
#ifndef KRYLENS_H
#define KRYLENS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The outcome of a call.
typedef enum krylens_status {
  /// The call succeeded.
  KRYLENS_OK = 0,
  /// An argument or setting is invalid; the message names it.
  KRYLENS_INVALID_ARGUMENT = 1,
  /// The handle is NULL, closed, of another kind, or not of this library.
  KRYLENS_INVALID_HANDLE = 2,
  /// Another thread is using the Jacobian.
  KRYLENS_BUSY = 3,
  /// The handle was opened before fork() by the parent process.
  KRYLENS_FORKED = 4,
  /// The progress callback requested a stop.
  KRYLENS_STOPPED = 5,
  /// The work failed: a file cannot be read, the model is not supported, a state is not finite.
  KRYLENS_FAILED = 6
} krylens_status;

/// An open model.
typedef struct krylens_model krylens_model;
/// The Jacobian of one map at a prompt, or its average over several prompts: an operator of m outputs and n inputs.
typedef struct krylens_jacobian krylens_jacobian;
/// The singular triplets that a solve found, and its report.
typedef struct krylens_triplets krylens_triplets;

/// Reports progress and may stop the work.
///
/// `phase` is "solving" or "coupling", `done` of `total` units are finished (for a solve: passes over the weights, and `total` is
/// an estimate that is raised when it is exceeded), and `seconds_left` is an estimate, NaN as long as there is none. Always
/// called on the thread that called the function, at least once per pass of a solve and once per block of a run.
/// A nonzero return value stops the work at the next opportunity: the function returns KRYLENS_STOPPED. The callback may
/// call functions of this library on other handles; the Jacobian being solved answers KRYLENS_BUSY. It must return: neither
/// longjmp nor an exception may leave it.
typedef int (*krylens_progress)(
    void *context, const char *phase, int64_t done, int64_t total, double seconds_left);

// MARK: The library

/// The version, as in "1.0.0". Not to be freed.
const char *krylens_version(void);

/// The message of the calling thread's last call if it failed, "" otherwise. Valid until the thread's next call. Not to be freed.
const char *krylens_last_error(void);

/// Frees a text or array that this library returned. NULL is allowed.
void krylens_free(void *memory);

// MARK: Models

/// Opens a model: a Hugging Face folder, a .gguf file, or the hub name of a model in the local cache. Weights are mapped, not read.
///
/// Settings (NULL for the defaults): "threads" (1 to 1024; default all cores), "random_init" (default false; true opens the
/// architecture with random weights as before training), "seed" (of random weights; default 0).
krylens_status krylens_open(const char *path, const char *settings, krylens_model **model);

/// Closes a model; its Jacobians stay open.
krylens_status krylens_model_close(krylens_model *model);

/// Describes a model: "source", "family", "model_type", "layers", "width", "vocabulary", "heads", "key_value_heads",
/// "feed_forward_width", "positions" (or null), "parameters", "active_parameters", "stored_types", "input" ("tokens", "decoder" or
/// "image"), "is_causal", "has_tokenizer", "random_init", "seed", "threads", "instruction_set", "notes". Free the text.
krylens_status krylens_model_info(krylens_model *model, char **json);

/// The token ids of a text, tokenized like a prompt: with the special tokens that the model expects around it.
///
/// The ids of an empty text are empty. Free the ids.
krylens_status krylens_tokenize(krylens_model *model, const char *text, int64_t **ids, size_t *count);

/// The text of one token id, as in " Paris"; bytes that are not valid UTF-8 on their own become U+FFFD. Like every C string, it
/// ends at its first NUL character, which byte vocabularies have as a token. Free the text.
krylens_status krylens_token_text(krylens_model *model, int64_t id, char **text);

// MARK: Jacobians

/// Runs the model on a prompt and linearizes one of its maps there.
///
/// The input: "prompt" (a text), "token_ids" (an array of ids, used as they are), "image" (the path of a PNG, JPEG or
/// .safetensors file); with "encoder_prompt" or "encoder_token_ids" in models that have an encoder. Arrays of these ("prompt":
/// ["…", "…"]), or several of them, give the average of the map over all inputs.
/// The map, as in `krylens triplets`: "from_layer", "to_layer" (a boundary, "final" or "logits"), "from_token" and "to_token"
/// ("last", "all", an index or an array of indices), "site" ("block", "attention", "mlp"), "head", "expert", "linearization" ("full",
/// "frozen-attention", "frozen-norms", "detached"), "path" ("all", "own"), "identity" ("subtract", "keep"), "reduce" ("none", "sum",
/// "mean"), "skip", "tied", "logits" (two ids). Without these it is the last block's residual Jacobian at the last token.
/// "precision" is that of states and products: "single" (the default) or "double".
krylens_status krylens_jacobian_open(
    krylens_model *model, const char *settings, krylens_jacobian **jacobian);

/// Closes a Jacobian.
krylens_status krylens_jacobian_close(krylens_jacobian *jacobian);

/// Describes a Jacobian: "shape" ([m, n]), "from_layer", "to_layer", "logits", "from_tokens", "to_tokens" (resolved, counted from
/// 0), "token_ids", "tokens" (as the vocabulary spells them), "tied", "reduce", "site", "head", "expert", "linearization", "path",
/// "identity_subtracted", "precision", "notes". For an average, "prompts" lists "token_ids" and "tokens" of each. Free the text.
krylens_status krylens_jacobian_info(krylens_jacobian *jacobian, char **json);

/// m and n: the lengths of an output and of an input. Either pointer may be NULL.
krylens_status krylens_jacobian_shape(krylens_jacobian *jacobian, int64_t *outputs, int64_t *inputs);

/// yᵢ = J vᵢ for a block of vectors stored one after another: v (vectors, n), y (vectors, m).
///
/// `v_count` and `y_count` are the lengths of the arrays and must be vectors · n and vectors · m. The arrays must not
/// overlap. Up to 32 vectors share one pass over the weights (fewer if they are very long), and for a map from one token to one
/// token, the product of each is the same to the bit for any number of vectors. Products are computed in the Jacobian's
/// precision; float and double are only the types of the arrays. Only a call with more vectors than any before it allocates
/// memory. Vectors that are not finite are refused, and a product that is not finite is an error (KRYLENS_FAILED).
krylens_status krylens_jvp_f32(
    krylens_jacobian *jacobian, int64_t vectors, const float *v, size_t v_count, float *y,
    size_t y_count);
/// The same for vectors of doubles.
krylens_status krylens_jvp_f64(
    krylens_jacobian *jacobian, int64_t vectors, const double *v, size_t v_count, double *y,
    size_t y_count);
/// xᵢ = Jᵀ uᵢ for a block of vectors: u (vectors, m), x (vectors, n); otherwise as krylens_jvp_f32.
krylens_status krylens_vjp_f32(
    krylens_jacobian *jacobian, int64_t vectors, const float *u, size_t u_count, float *x,
    size_t x_count);
/// The same for vectors of doubles.
krylens_status krylens_vjp_f64(
    krylens_jacobian *jacobian, int64_t vectors, const double *u, size_t u_count, double *x,
    size_t x_count);

// MARK: Singular triplets

/// Finds the largest singular triplets of a Jacobian. A solve that ends before all have converged is a result, not an error.
///
/// Settings (NULL for the defaults), as in `krylens triplets`: "top" (10, or all of a smaller map), "solver" ("auto", "arpack",
/// "block", "randomized", "dense"), "block_size" (of the block solver, 1 to 32; by default what is fastest on this machine),
/// "tolerance" (1e-5), "certify" ("auto", "proof", "bound", "off" or a probability), "seed" (0),
/// "precision" ("auto", "single", "double"; default "auto" for a Jacobian in single precision, "double" for one in double). The
/// numbers are those of the command with the same settings, to the bit. `progress` may be NULL.
krylens_status krylens_solve(
    krylens_jacobian *jacobian, const char *settings, krylens_progress progress, void *context,
    krylens_triplets **triplets);

/// Closes the triplets.
krylens_status krylens_triplets_close(krylens_triplets *triplets);

/// The report of a solve: the members of `map` in the result.json of `krylens triplets` ("solver", "converged", "remedy",
/// "singular_values", "residual_norms", "bound", "vector_bound", "certificate", "clusters", "further", "applications", "passes",
/// "seconds", "precision", "noise", …), and "settings". Free the text.
krylens_status krylens_triplets_info(krylens_triplets *triplets, char **json);

/// The number of triplets, and m and n. Pointers may be NULL.
krylens_status krylens_triplets_shape(
    krylens_triplets *triplets, int64_t *count, int64_t *outputs, int64_t *inputs);

/// Copies the numbers: s (count), in descending order; u (count, m) and v (count, n), one singular vector per row;
/// residual_norms (count).
///
/// Each array is followed by its length, which is checked. Arrays may be NULL.
krylens_status krylens_triplets_copy(
    krylens_triplets *triplets, double *s, size_t s_count, double *u, size_t u_count, double *v,
    size_t v_count, double *residual_norms, size_t residual_count);

// MARK: Runs

/// Makes a run of `krylens align` into a folder: singular triplets of every block's residual Jacobian, coupling, trajectories.
///
/// Settings, with the defaults of the command: "model" (a path or hub name; required), "prompt" (a text), "prompts" (an array of texts),
/// "token_ids" (an array of ids, or several), "image" (a path, or several), "output" (the folder; by default named by model and
/// time in krylens-runs),
/// "top", "ranks", "rank_share", "layers", "kind", "tokens", "basis_layer", "from_token", "to_token", "shard", "site", "last",
/// "solver", "block_size", "tolerance", "precision", "certify", "seed", "random_init", "encoder_prompt", "encoder_token_ids", "name",
/// "step", "threads", "max_memory" (bytes), "save_hidden_states", "sign", "normalisation", "form", "score", "diagonal", "like_paper".
/// The files are those that the command writes. As with the command, an unfinished folder of the same run is resumed, and a complete
/// one is left as it is. A run that is stopped keeps its finished units, and the same call resumes it. Prompts that fail are
/// recorded, and the others continue; it is an error only if all fail. `folder` may be NULL; otherwise free the text.
krylens_status krylens_align(
    const char *settings, krylens_progress progress, void *context, char **folder);

#ifdef __cplusplus
}
#endif

#endif
