// An engine's pool of persistent threads, and the scratch memory of each thread.
//
// A pool runs one job at a time. Its state is one word: whether a job is open, how many workers are in it, and its
// number. A worker joins an open job by incrementing the count, takes indices until there are none left, and
// decrements the count; the caller does the same work, closes the job, and waits only for the workers in it. A worker
// that sleeps through a job costs nothing.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "internal.h"

// How long a worker spins for the next job before it sleeps: the time between two products of one application.
#define SPIN_NANOSECONDS 100000
#define MAXIMAL_THREADS 256

#define OPEN ((uint64_t)1 << 31)
#define INSIDE (OPEN - 1)
#define NUMBER_SHIFT 32

struct ck_engine {
  _Alignas(128) _Atomic uint64_t state;
  _Alignas(128) _Atomic int64_t next;
  int64_t count;
  void (*body)(void *, int64_t);
  void *context;
  _Alignas(128) atomic_bool busy;
  atomic_int sleepers, leaving;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  // The fields below are constant from the first job on.
  const struct ck_kernels *kernels;
  int32_t instruction_set;
  int threads;
  pthread_t workers[MAXIMAL_THREADS];
};

static _Thread_local struct ck_engine *thread_engine;

struct ck_engine *ck_thread_engine(void) { return thread_engine; }

struct ck_engine *ck_set_thread_engine(struct ck_engine *engine) {
  struct ck_engine *before = thread_engine;
  thread_engine = engine;
  return before;
}

static void relax(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

static int64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take_indices(struct ck_engine *pool) {
  for (int64_t i; (i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->count;)
    pool->body(pool->context, i);
}

// Whether there is work for a worker that has last seen job `number`.
static int calls(struct ck_engine *pool, uint64_t state, uint64_t number) {
  return (state & OPEN && state >> NUMBER_SHIFT != number) || atomic_load(&pool->leaving);
}

static uint64_t wait_for_call(struct ck_engine *pool, uint64_t number) {
  uint64_t state = atomic_load(&pool->state);
  for (int64_t end = nanoseconds() + SPIN_NANOSECONDS; !calls(pool, state, number);) {
    for (int i = 0; i < 32 && !calls(pool, state, number); i++) {
      relax();
      state = atomic_load(&pool->state);
    }
    if (nanoseconds() > end) break;
  }
  if (calls(pool, state, number)) return state;
  // The caller that opens a job reads `sleepers` after changing the state; a worker reads the state after incrementing
  // `sleepers`. So at least one of the two sees the other's change.
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (state = atomic_load(&pool->state), !calls(pool, state, number))
    pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return state;
}

static void wake_sleepers(struct ck_engine *pool) {
  if (atomic_load(&pool->sleepers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *engine) {
  struct ck_engine *pool = thread_engine = engine;
  for (uint64_t number = 0;;) {
    uint64_t state = wait_for_call(pool, number);
    if (atomic_load(&pool->leaving)) return NULL;
    while (state & OPEN && !atomic_compare_exchange_weak(&pool->state, &state, state + 1)) {
    }
    if (!(state & OPEN)) continue;
    number = state >> NUMBER_SHIFT;
    take_indices(pool);
    atomic_fetch_sub(&pool->state, 1);
  }
}

void ck_parallel_for(struct ck_engine *pool, int64_t count,
                     void (*body)(void *context, int64_t index), void *context) {
  // Never wait for a busy pool: it runs either another caller's job or the job that this call is part of.
  if (count < 2 || pool->threads < 2 || atomic_exchange(&pool->busy, 1)) {
    for (int64_t i = 0; i < count; i++) body(context, i);
    return;
  }
  pool->count = count;
  pool->body = body;
  pool->context = context;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  const uint64_t number = (atomic_load(&pool->state) >> NUMBER_SHIFT) + 1;
  atomic_store(&pool->state, number << NUMBER_SHIFT | OPEN);
  wake_sleepers(pool);
  take_indices(pool);
  atomic_fetch_and(&pool->state, ~OPEN);
  for (int i = 0; atomic_load(&pool->state) & INSIDE; i++)
    if (i < 4096) relax(); else sched_yield();
  atomic_store(&pool->busy, 0);
}

int ck_free_threads(const struct ck_engine *pool) {
  return atomic_load_explicit(&pool->busy, memory_order_relaxed) ? 1 : pool->threads;
}

struct ck_engine *ck_engine_create(int32_t instruction_set, int threads) {
  const struct ck_kernels *kernels = ck_kernels_of(instruction_set);
  struct ck_engine *pool =
      kernels ? aligned_alloc(_Alignof(struct ck_engine), sizeof(struct ck_engine)) : NULL;
  if (!pool) return NULL;
  memset(pool, 0, sizeof *pool);
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->kernels = kernels;
  pool->instruction_set = instruction_set;
  pool->threads = 1;
  while (pool->threads < ck_min(threads, MAXIMAL_THREADS) &&
         pthread_create(&pool->workers[pool->threads], NULL, work, pool) == 0)
    pool->threads++;
  return pool;
}

void ck_engine_destroy(struct ck_engine *pool) {
  atomic_store(&pool->leaving, 1);
  wake_sleepers(pool);
  for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i], NULL);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

int32_t ck_engine_instruction_set(const struct ck_engine *engine) {
  return engine->instruction_set;
}
int ck_engine_threads(const struct ck_engine *engine) { return engine->threads; }
const struct ck_kernels *ck_engine_kernels(const struct ck_engine *engine) {
  return engine->kernels;
}

struct scratch {
  void *memory[CK_SCRATCH_SLOTS];
  int64_t bytes[CK_SCRATCH_SLOTS];
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static void free_scratch(void *memory) {
  struct scratch *scratch = memory;
  for (int slot = 0; slot < CK_SCRATCH_SLOTS; slot++) free(scratch->memory[slot]);
}
static void make_scratch_key(void) { pthread_key_create(&scratch_key, free_scratch); }

// Swift's own allocations also end the process on failure; here it ends with a message.
static _Noreturn void end_without_memory(int64_t bytes) {
  char text[160];
  const int length =
      snprintf(text, sizeof text,
               "Error: out of memory (%lld kB more were needed); raise the limit, if there is "
               "one (ulimit -v), or use fewer threads\n",
               (long long)(bytes / 1000 + 1));
  if (write(STDERR_FILENO, text, (size_t)length) < 0) abort();
  _exit(1);
}

void *ck_scratch(enum ck_scratch_slot slot, int64_t bytes) {
  static _Thread_local struct scratch scratch;
  if (scratch.bytes[slot] < bytes) {
    pthread_once(&scratch_once, make_scratch_key);
    pthread_setspecific(scratch_key, &scratch);
    free(scratch.memory[slot]);
    scratch.memory[slot] = aligned_alloc(64, (size_t)ck_round_up(bytes, 64));
    if (!scratch.memory[slot]) end_without_memory(bytes);
    memset(scratch.memory[slot], 0, (size_t)bytes);
    scratch.bytes[slot] = bytes;
  }
  return scratch.memory[slot];
}
