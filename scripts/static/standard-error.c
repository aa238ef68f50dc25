// Debian's archives of libpng and libjpeg are made to become part of programs: they address stderr as if it lay beside them.
// So a library has a stderr of its own, which is the process's.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

__attribute__((visibility("hidden"))) FILE *stderr;

// Before all other constructors.
__attribute__((constructor(101))) static void find(void) {
  FILE **of_process = dlsym(RTLD_DEFAULT, "stderr");
  if (of_process) stderr = *of_process;
}
