#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "CMappedFile.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

// The guards form a list that only grows, at its head, because the handler may run in any thread at any moment and takes
// no lock. An unregistered guard is not freed; it is marked as free (length 0) and reused.
struct cmf_guard {
  _Atomic uintptr_t start;
  _Atomic size_t length;
  atomic_int broken;
  struct cmf_guard *next;
};

static struct cmf_guard *_Atomic guards;
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;  // held by register and unregister, never by the handler
static struct sigaction previous;
static int installed;
static size_t page_size;

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
  uintptr_t address = (uintptr_t)info->si_addr;
  for (struct cmf_guard *g = atomic_load(&guards); g; g = g->next) {
    size_t length = atomic_load(&g->length);
    uintptr_t start = atomic_load(&g->start);
    if (!length || address < start || address - start >= length) continue;
    int saved = errno;
    atomic_store(&g->broken, 1);
    // What follows the fault is most likely lost as well, so the rest of the range is replaced in one call. mmap is not on
    // POSIX's list of async-signal-safe functions, but it is a plain system call on the supported systems.
    uintptr_t page = address & ~(uintptr_t)(page_size - 1);
    void *zeros = mmap((void *)page, length - (page - start), PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = saved;
    if (zeros != MAP_FAILED) return;
    break;
  }
  if (previous.sa_flags & SA_SIGINFO && previous.sa_sigaction) {
    previous.sa_sigaction(signal_number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
  } else {
    // Restore the default action: the instruction faults again on return, and the process ends.
    signal(signal_number, SIG_DFL);
  }
}

static int install(void) {
  if (installed) return 1;
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {0};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // `previous` must be complete before the first fault can reach the handler.
  if (sigaction(SIGBUS, NULL, &previous) || sigaction(SIGBUS, &action, NULL)) return 0;
  return installed = 1;
}

cmf_guard *cmf_register(void *start, size_t length) {
  pthread_mutex_lock(&registering);
  struct cmf_guard *g = NULL;
  if (install()) {
    for (g = atomic_load(&guards); g && atomic_load(&g->length); g = g->next) continue;
    int fresh = !g;
    if (fresh) g = calloc(1, sizeof *g);
    if (g) {
      atomic_store(&g->broken, 0);
      atomic_store(&g->start, (uintptr_t)start);
      atomic_store(&g->length, length);  // last: from now on the handler sees the guard
      if (fresh) {
        g->next = atomic_load(&guards);
        atomic_store(&guards, g);
      }
    }
  }
  pthread_mutex_unlock(&registering);
  return g;
}

int cmf_is_broken(const cmf_guard *guard) { return atomic_load(&((cmf_guard *)guard)->broken); }

void cmf_unregister(cmf_guard *guard) {
  pthread_mutex_lock(&registering);
  atomic_store(&guard->length, 0);
  pthread_mutex_unlock(&registering);
}

long long cmf_resident_bytes(const void *start, size_t length) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uintptr_t first = (uintptr_t)start & ~(uintptr_t)(page - 1);
  uintptr_t end = ((uintptr_t)start + length + page - 1) & ~(uintptr_t)(page - 1);
  size_t pages = (end - first) / page;
  if (!pages) return 0;
#ifdef __APPLE__
  char *present = malloc(pages);
#else
  unsigned char *present = malloc(pages);
#endif
  if (!present) return -1;
  long long resident = -1;
  if (!mincore((void *)first, end - first, present)) {
    resident = 0;
    for (size_t i = 0; i < pages; i++) resident += (present[i] & 1) * (long long)page;
  }
  free(present);
  return resident;
}

void cmf_touch(const void *start, size_t length) {
  if (!length) return;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const volatile char *bytes = start;
  for (size_t i = 0; i < length; i += page) (void)bytes[i];
  (void)bytes[length - 1];
}

void cmf_keep_freed_memory(int bytes) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, bytes);
  mallopt(M_TRIM_THRESHOLD, 2 * bytes);
  mallopt(M_ARENA_MAX, 1);
#else
  (void)bytes;
#endif
}

void cmf_return_freed_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
