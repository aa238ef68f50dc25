// Krylens as a C library: open a model, form the Jacobian of any of its maps as an operator, multiply with it, and find its
// largest singular triplets.
//
//     krylens_model *model;
//     krylens_jacobian *jacobian;
//     if (krylens_open("model.gguf", NULL, &model) != KRYLENS_OK) return fail(krylens_last_error());
//     krylens_jacobian_open(model, "{\"prompt\": \"The capital of France is\", \"to_layer\": 15}", &jacobian);
//
// Settings and answers. Structured settings and answers are JSON objects in UTF-8. Their keys are the names that result.json
// uses (docs/triplets.md), which are those of the command's options with `_` for `-`. A key the function does not know is
// refused, and the message lists the known ones; null stands for the default. Arrays of numbers are plain C arrays.
//
// Errors. Every function that can fail returns a krylens_status. krylens_last_error() then says what is wrong and what to do, in
// the words of the command, with settings called by their names: one line, or one per prompt where several failed. A function
// that fails leaves its output arguments as they were, except the arrays that products are written to. No argument ends the
// process: NULL, closed or foreign handles, wrong counts, numbers that are not finite, invalid UTF-8 and malformed JSON are
// refused. Only exhausted memory ends it.
//
// Files. The files of an open model must stay as they are: once one is changed, replaced or deleted, calls that use its weights
// fail, since they could have read either version. Open the model again then.
//
// Handles. A krylens_model, krylens_jacobian or krylens_triplets pointer is a name, not an address: it is looked up at every
// call, never dereferenced, and no two handles of a process ever have the same name. A Jacobian keeps its model, so the
// model may be closed first. Handles that are still open when the process exits need no care.
//
// Threads. Functions may be called from any thread, and different handles may be used from different threads at the same
// time. A model and the triplets of a solve are constant: any number of threads may use one of them at once. A Jacobian owns
// the memory its products need, so it serves one thread at a time: a second one gets KRYLENS_BUSY at once and may try
// again. A handle that is closed while another thread uses it lives until that call returns. Products of Jacobians of one model
// share the model's threads: one call at a time has them, and others compute on their own thread alone meanwhile. Numbers
// never depend on the number of threads or on what else is running.
//
// What belongs to the process: OpenBLAS is set to one thread when the library first computes, and only OpenBLAS's own copy
// inside or beside this library is affected; `threads` of a model are threads of its own, which end with its last handle. SIGBUS
// is handled while mapped files are read, so that a file that is cut short is an error; other faults go to the handler
// that was there before. No other signal, environment variable, locale or working directory is changed. Nothing is written but what
// krylens_align writes, and temporary files of models with "random_init" (in TMPDIR).
//
// Processes. After fork() the child cannot use the handles it inherits (KRYLENS_FORKED), since the threads behind them
// stayed in the parent; it may open its own. Do not unload the library (dlclose).
//
// Versions. All functions have the symbol version KRYLENS_1. Functions, status codes and keys may be added; none is renamed or
// removed within libkrylens.so.1 (docs/stability.md).
#ifndef KRYLENS_H
#define KRYLENS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How a call ended.
typedef enum krylens_status {
  /// As asked.
  KRYLENS_OK = 0,
  /// An argument or setting cannot be used; the message names it.
  KRYLENS_INVALID_ARGUMENT = 1,
  /// NULL, a handle that was closed, one of another kind, or none of this library's.
  KRYLENS_INVALID_HANDLE = 2,
  /// Another thread is using the Jacobian.
  KRYLENS_BUSY = 3,
  /// The handle was opened before fork(), and this is the child.
  KRYLENS_FORKED = 4,
  /// The progress callback asked to stop.
  KRYLENS_STOPPED = 5,
  /// The work failed: a file that cannot be read, a model that is not supported, a state that is not finite.
  KRYLENS_FAILED = 6
} krylens_status;

/// An open model.
typedef struct krylens_model krylens_model;
/// The Jacobian of one map, linearized at one prompt: an operator of m outputs and n inputs.
typedef struct krylens_jacobian krylens_jacobian;
/// The singular triplets a solve found, and its report.
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

/// Why the calling thread's last call failed; "" if it did not. Valid until the thread's next call. Not to be freed.
const char *krylens_last_error(void);

/// Frees a text or array that this library returned. NULL is fine.
void krylens_free(void *memory);

// MARK: Models

/// Opens a model: a Hugging Face folder, a .gguf file, or a hub name that lies in the local cache. Weights are mapped, not read.
///
/// Settings (NULL for the defaults): "threads" (1 to 1024; all cores), "random_init" (false: true opens the model as it is before
/// training), "seed" (0; of random weights).
krylens_status krylens_open(const char *path, const char *settings, krylens_model **model);

/// Closes a model; its Jacobians stay open.
krylens_status krylens_model_close(krylens_model *model);

/// What the model is: "source", "family", "model_type", "layers", "width", "vocabulary", "heads", "key_value_heads",
/// "feed_forward_width", "positions" (or null), "parameters", "active_parameters", "stored_types", "input" ("tokens", "decoder" or
/// "image"), "is_causal", "has_tokenizer", "random_init", "seed", "threads", "instruction_set", "notes". Free the text.
krylens_status krylens_model_info(krylens_model *model, char **json);

/// The token ids of a text, exactly as a prompt is tokenized: with the special tokens that the model expects around it.
///
/// The text may be empty, and then so is the result. Free the ids.
krylens_status krylens_tokenize(krylens_model *model, const char *text, int64_t **ids, size_t *count);

/// The text of one token id, as in " Paris"; bytes that are not valid UTF-8 on their own are U+FFFD. Like every C string it
/// ends at its first NUL character, which a vocabulary of bytes has as a token. Free the text.
krylens_status krylens_token_text(krylens_model *model, int64_t id, char **text);

// MARK: Jacobians

/// Runs the model on a prompt and linearizes one of its maps there.
///
/// What it is run on: "prompt" (a text), "token_ids" (an array of ids, used as they are), "image" (the path of a PNG, JPEG or
/// .safetensors file); with "encoder_prompt" or "encoder_token_ids" in models that have an encoder. Arrays of these ("prompt":
/// ["…", "…"]), or several of them, give the average of the map over all that are given.
/// Which map, as `krylens triplets` has it: "from_layer", "to_layer" (a boundary, "final" or "logits"), "from_token" and "to_token"
/// ("last", "all", an index or an array of indices), "site" ("block", "attention", "mlp"), "head", "expert", "linearization" ("full",
/// "frozen-attention", "frozen-norms", "detached"), "path" ("all", "own"), "identity" ("subtract", "keep"), "reduce" ("none", "sum",
/// "mean"), "skip", "tied", "logits" (two ids). Without these it is the last block's residual Jacobian at the last token.
/// "precision" is that of states and products: "single" (the default) or "double".
krylens_status krylens_jacobian_open(
    krylens_model *model, const char *settings, krylens_jacobian **jacobian);

/// Closes a Jacobian.
krylens_status krylens_jacobian_close(krylens_jacobian *jacobian);

/// What the Jacobian is: "shape" ([m, n]), "from_layer", "to_layer", "logits", "from_tokens", "to_tokens" (resolved, from 0),
/// "token_ids", "tokens" (as the vocabulary spells them), "tied", "reduce", "site", "head", "expert", "linearization", "path",
/// "identity_subtracted", "precision", "notes". Of an average "prompts" lists "token_ids" and "tokens" of each. Free the text.
krylens_status krylens_jacobian_info(krylens_jacobian *jacobian, char **json);

/// m and n: the lengths of an output and of an input. Either pointer may be NULL.
krylens_status krylens_jacobian_shape(krylens_jacobian *jacobian, int64_t *outputs, int64_t *inputs);

/// yᵢ = J vᵢ for some vectors, each contiguous, one after another: v (vectors, n), y (vectors, m).
///
/// `v_count` and `y_count` are the lengths of the arrays, vectors · n and vectors · m; others are refused. The arrays must not
/// overlap. Up to 32 vectors share one pass over the weights (fewer of very long ones), and
/// in a map from one token to one token the product of each is the same to the bit however many there are. Products are computed in the
/// Jacobian's precision; float and double are only how vectors come and go. After the first call with this many vectors none allocates.
/// Vectors that are not finite are refused, and so is a product that is not (KRYLENS_FAILED).
krylens_status krylens_jvp_f32(
    krylens_jacobian *jacobian, int64_t vectors, const float *v, size_t v_count, float *y,
    size_t y_count);
/// The same for vectors of doubles.
krylens_status krylens_jvp_f64(
    krylens_jacobian *jacobian, int64_t vectors, const double *v, size_t v_count, double *y,
    size_t y_count);
/// xᵢ = Jᵀ uᵢ for some vectors: u (vectors, m), x (vectors, n); everything else as krylens_jvp_f32.
krylens_status krylens_vjp_f32(
    krylens_jacobian *jacobian, int64_t vectors, const float *u, size_t u_count, float *x,
    size_t x_count);
/// The same for vectors of doubles.
krylens_status krylens_vjp_f64(
    krylens_jacobian *jacobian, int64_t vectors, const double *u, size_t u_count, double *x,
    size_t x_count);

// MARK: Singular triplets

/// Finds the largest singular triplets of a Jacobian. Stopping before all have converged is a result, not an error.
///
/// Settings (NULL for the defaults), as of `krylens triplets`: "top" (10, or all of a smaller map), "solver" ("auto", "arpack",
/// "block", "randomized", "dense"), "tolerance" (1e-5), "certify" ("auto", "proof", "bound", "off" or a probability), "seed" (0),
/// "precision" ("auto", "single", "double"; "auto" of a single Jacobian, "double" of a double one). The same settings find
/// the same numbers as the command, to the bit. `progress` may be NULL.
krylens_status krylens_solve(
    krylens_jacobian *jacobian, const char *settings, krylens_progress progress, void *context,
    krylens_triplets **triplets);

/// Closes the triplets.
krylens_status krylens_triplets_close(krylens_triplets *triplets);

/// How the solve ended: the members that `map` has in the result.json of `krylens triplets` ("solver", "converged", "remedy",
/// "singular_values", "residual_norms", "bound", "vector_bound", "certificate", "clusters", "further", "applications", "passes",
/// "seconds", "precision", "noise", …), and "settings". Free the text.
krylens_status krylens_triplets_info(krylens_triplets *triplets, char **json);

/// How many triplets there are, and m and n. Pointers may be NULL.
krylens_status krylens_triplets_shape(
    krylens_triplets *triplets, int64_t *count, int64_t *outputs, int64_t *inputs);

/// Copies the numbers: s (count), falling; u (count, m) and v (count, n), one singular vector per row; residual_norms (count).
///
/// Each array has its length after it, which is checked; NULL for what is not wanted.
krylens_status krylens_triplets_copy(
    krylens_triplets *triplets, double *s, size_t s_count, double *u, size_t u_count, double *v,
    size_t v_count, double *residual_norms, size_t residual_count);

// MARK: Runs

/// A whole run of `krylens align` into a folder: singular triplets of every block's residual Jacobian, coupling, trajectories.
///
/// Settings, with the defaults of the command: "model" (a path or hub name; required), "prompt" (a text), "prompts" (an array of texts),
/// "token_ids" (an array of ids, or several), "image" (a path, or several), "output" (the folder; by name and time in krylens-runs),
/// "top", "ranks", "rank_share", "layers", "kind", "tokens", "basis_layer", "from_token", "to_token", "shard", "site", "last",
/// "solver", "tolerance", "precision", "certify", "seed", "random_init", "encoder_prompt", "encoder_token_ids", "name",
/// "step", "threads", "max_memory" (bytes), "save_hidden_states", "sign", "normalisation", "form", "score", "diagonal", "like_paper".
/// The files are those the command writes, and so is the rest: a folder of the same run is resumed, one that is complete is left as it
/// is. A run that is stopped keeps what is finished, and the same call resumes from there. Prompts that fail are recorded,
/// and the others continue; it is an error only if none is left. `folder` may be NULL, else free the text.
krylens_status krylens_align(
    const char *settings, krylens_progress progress, void *context, char **folder);

#ifdef __cplusplus
}
#endif

#endif
