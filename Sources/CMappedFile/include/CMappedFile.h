// Mapped files that outlive a truncation.
//
// Touching a page beyond the end of a mapped file, which a page becomes when somebody truncates the file, raises SIGBUS
// and by default ends the process. For ranges registered here the fault is answered with pages of zeros and a flag
// instead: the reader goes on with zeros, and finds out by asking `cmf_is_broken`.
#pragma once
#include <stddef.h>

// One registered range.
typedef struct cmf_guard cmf_guard;

// Guards the mapping of `length` bytes at `start`, which begins on a page. NULL without memory, or if the handler
// cannot be installed. The first call installs it; faults elsewhere go to the handler that was there before.
cmf_guard *cmf_register(void *start, size_t length);

// Whether a page of the range could not be read.
int cmf_is_broken(const cmf_guard *guard);

// Ends the guard. To be called before the range is unmapped.
void cmf_unregister(cmf_guard *guard);

// How many of the `length` bytes at `start`, rounded out to pages, are in memory; -1 if the system does not say.
long long cmf_resident_bytes(const void *start, size_t length);

// Lets the allocator of the process keep freed blocks of up to so many bytes for the next that ask, where it can.
void cmf_keep_freed_memory(int bytes);

// Gives the system back what the allocator holds of freed memory, where the allocator can.
void cmf_return_freed_memory(void);
