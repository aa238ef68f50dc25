// Mapped files that survive truncation.
//
// When another process truncates a mapped file, touching a page beyond the new end raises SIGBUS, which by default ends
// the process. For ranges registered here, the handler maps pages of zeros instead and sets a flag: the reader continues
// with zeros, and learns of the fault from `cmf_is_broken`.
#pragma once
#include <stddef.h>

// One registered range.
typedef struct cmf_guard cmf_guard;

// Guards the mapping of `length` bytes at `start`, a page boundary. Returns NULL if memory runs out or the handler cannot
// be installed. The first call installs the handler; faults outside the ranges go to the handler that was installed before.
cmf_guard *cmf_register(void *start, size_t length);

// Whether a page of the range could not be read.
int cmf_is_broken(const cmf_guard *guard);

// Removes the guard. Call it before the range is unmapped.
void cmf_unregister(cmf_guard *guard);

// How many of the `length` bytes at `start`, extended to whole pages, are in memory; -1 if the system does not say.
long long cmf_resident_bytes(const void *start, size_t length);

// Reads one byte of each page of the `length` bytes at `start`.
void cmf_touch(const void *start, size_t length);

// Lets the process's allocator keep freed blocks of up to `bytes` bytes for later allocations, of all threads, with glibc.
void cmf_keep_freed_memory(int bytes);

// Returns the freed memory that the allocator holds to the system, with glibc.
void cmf_return_freed_memory(void);
