// What a static build would otherwise ask of a glibc later than 2.34, though earlier ones have as good: so that what is
// built on a new system runs on an older one.
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

#define HIDDEN __attribute__((visibility("hidden")))

#ifdef __x86_64__
// Since glibc 2.35 under a new version, which differs in errno alone.
double older_hypot(double, double);
float older_hypotf(float, float);
__asm__(".symver older_hypot, hypot@GLIBC_2.2.5");
__asm__(".symver older_hypotf, hypotf@GLIBC_2.2.5");
HIDDEN double hypot(double x, double y) { return older_hypot(x, y); }
HIDDEN float hypotf(float x, float y) { return older_hypotf(x, y); }
#endif

// New in glibc 2.36; std::random_device calls it.
HIDDEN uint32_t arc4random(void) {
  uint32_t bits = 0;
  // Of at most 256 bytes the kernel gives all once it has started.
  while (getrandom(&bits, sizeof bits, 0) != (long)sizeof bits) {
  }
  return bits;
}
