// An engine's pool of persistent threads, and the scratch memory of each thread.
//
// A pool runs one job at a time, and beside it one that is part of it or another caller's, on the threads that have nothing left to
// do in the first. A job's state is one word: whether it is open, how many threads have joined it, and its number. A worker joins an
// open job by incrementing the count, takes indices until there are none left, and decrements the count; the caller does the same
// work, closes the job, and waits only for the threads in it. While it waits, it joins the second job itself, but only if that is part
// of its own: another caller's may need what this one holds, such as a lock or its scratch memory. A worker that sleeps through a job
// costs nothing.
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

struct job {
  _Alignas(128) _Atomic uint64_t state;
  _Alignas(128) _Atomic int64_t next;
  int64_t count;
  void (*body)(void *, int64_t);
  void *context;
  int is_part;  // of the first job
  _Alignas(128) atomic_bool busy;
};

#define JOBS 2

struct ck_engine {
  struct job jobs[JOBS];
  _Alignas(128) atomic_int idle;  // threads that wait, asleep or not
  _Alignas(128) atomic_int sleepers, leaving;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  // The fields below are constant from the first job on.
  const struct ck_kernels *kernels;
  int32_t instruction_set;
  int threads;
  pthread_t workers[MAXIMAL_THREADS];
};

static _Thread_local struct ck_engine *thread_engine;
// The pool whose first job this thread takes part in.
static _Thread_local struct ck_engine *inside;

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

static void take_indices(struct ck_engine *pool, struct job *job) {
  struct ck_engine *before = inside;
  if (job == &pool->jobs[0]) inside = pool;
  for (int64_t i; (i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->count;)
    job->body(job->context, i);
  inside = before;
}

// Whether a job is open that a thread has not taken part in; `number` is that of the last one that it has.
static int is_new(struct job *job, uint64_t number) {
  const uint64_t state = atomic_load(&job->state);
  return state & OPEN && state >> NUMBER_SHIFT != number;
}

// Takes part in a job if it is still open.
static void join(struct ck_engine *pool, struct job *job, uint64_t *number, int only_part) {
  uint64_t state = atomic_load(&job->state);
  while (state & OPEN && !atomic_compare_exchange_weak(&job->state, &state, state + 1)) {
  }
  if (!(state & OPEN)) return;
  // From here on, another job cannot take its place.
  *number = state >> NUMBER_SHIFT;
  if (job->is_part || !only_part) take_indices(pool, job);
  atomic_fetch_sub(&job->state, 1);
}

// The first job that has work for a worker, given the numbers of the last ones it has seen; NULL if there is none.
static struct job *found(struct ck_engine *pool, const uint64_t numbers[JOBS]) {
  for (int i = 0; i < JOBS; i++)
    if (is_new(&pool->jobs[i], numbers[i])) return &pool->jobs[i];
  return NULL;
}

// Waits for a job; NULL if the pool ends.
static struct job *wait_for_job(struct ck_engine *pool, const uint64_t numbers[JOBS]) {
  struct job *job = found(pool, numbers);
  for (int64_t end = nanoseconds() + SPIN_NANOSECONDS; !job && nanoseconds() < end;)
    for (int i = 0; i < 32 && !job; i++) {
      relax();
      job = found(pool, numbers);
    }
  if (job || atomic_load(&pool->leaving)) return job;
  // The caller that opens a job reads `sleepers` after changing the state; a worker reads the state after incrementing
  // `sleepers`. So at least one of the two sees the other's change.
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (job = found(pool, numbers), !job && !atomic_load(&pool->leaving))
    pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return job;
}

static void wake_sleepers(struct ck_engine *pool) {
  if (atomic_load(&pool->sleepers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *engine) {
  struct ck_engine *pool = thread_engine = engine;
  for (uint64_t numbers[JOBS] = {0};;) {
    atomic_fetch_add(&pool->idle, 1);
    struct job *job = wait_for_job(pool, numbers);
    atomic_fetch_sub(&pool->idle, 1);
    if (!job) return NULL;
    join(pool, job, &numbers[job - pool->jobs], 0);
  }
}

// A place for another job, which is then the caller's; NULL if there is none or no thread to help.
static struct job *free_job(struct ck_engine *pool) {
  if (pool->threads < 2) return NULL;
  if (!atomic_exchange(&pool->jobs[0].busy, 1)) return &pool->jobs[0];
  return atomic_load(&pool->idle) > 0 && !atomic_exchange(&pool->jobs[1].busy, 1) ? &pool->jobs[1] : NULL;
}

// Waits until no other thread is in a closed job.
static void wait_for_threads(struct ck_engine *pool, struct job *job) {
  struct job *second = &pool->jobs[1];
  if (!(atomic_load(&job->state) & INSIDE)) return;
  atomic_fetch_add(&pool->idle, 1);
  uint64_t number = 0;
  for (int i = 0; atomic_load(&job->state) & INSIDE; i++)
    if (job != second && is_new(second, number)) {
      atomic_fetch_sub(&pool->idle, 1);
      join(pool, second, &number, 1);
      atomic_fetch_add(&pool->idle, 1);
      i = 0;
    } else if (i < 4096) {
      relax();
    } else {
      sched_yield();
    }
  atomic_fetch_sub(&pool->idle, 1);
}

void ck_parallel_for(struct ck_engine *pool, int64_t count,
                     void (*body)(void *context, int64_t index), void *context) {
  // Never wait for a place: the jobs that have one may be those that this call is part of.
  struct job *job = count < 2 ? NULL : free_job(pool);
  if (!job) {
    for (int64_t i = 0; i < count; i++) body(context, i);
    return;
  }
  job->count = count;
  job->body = body;
  job->context = context;
  job->is_part = inside == pool;
  atomic_store_explicit(&job->next, 0, memory_order_relaxed);
  const uint64_t number = (atomic_load(&job->state) >> NUMBER_SHIFT) + 1;
  atomic_store(&job->state, number << NUMBER_SHIFT | OPEN);
  wake_sleepers(pool);
  take_indices(pool, job);
  atomic_fetch_and(&job->state, ~OPEN);
  wait_for_threads(pool, job);
  atomic_store(&job->busy, 0);
}

int ck_free_threads(const struct ck_engine *pool) {
  if (!atomic_load_explicit(&pool->jobs[0].busy, memory_order_relaxed)) return pool->threads;
  if (atomic_load_explicit(&pool->jobs[1].busy, memory_order_relaxed)) return 1;
  return 1 + atomic_load_explicit(&pool->idle, memory_order_relaxed);
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
