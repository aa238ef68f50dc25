// PNG and JPEG files in memory, decoded to RGB by libpng and libjpeg.
//
// Both libraries report errors by longjmp, and by default they print and exit. Here a call always returns, frees what it
// allocated, and prints nothing. Calls share no state.
#pragma once
#include <stddef.h>
#include <stdint.h>

// The size of a message in bytes, with its terminating null character.
#define CIM_MESSAGE_LENGTH 200

typedef struct {
  // The file.
  const unsigned char *bytes;
  size_t count;
  // Written by a call without `pixels`. A call with `pixels` fails unless the file still has this size.
  uint32_t width;
  uint32_t height;
  // A buffer of (height, width, 3) bytes, or NULL to read only the size.
  unsigned char *pixels;
  // A buffer of CIM_MESSAGE_LENGTH characters. When a call fails, it says what is wrong with the file.
  char *message;
} cim_image;

// Returns 1, or 0 with a message. The colours are those of Pillow's convert("RGB"): grey is repeated in all channels, and
// alpha and colour profiles are dropped. 16-bit channels are reduced to their upper 8 bits, but 16-bit grey without alpha
// is clipped at 255.
int cim_read_png(cim_image *image);

// The same for JPEG. CMYK is assumed to be inverted, as Adobe writes it, and is converted without a profile. Damage that
// libjpeg would fill with grey is an error, and so are more than 100 scans.
int cim_read_jpeg(cim_image *image);
