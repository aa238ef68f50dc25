// PNG and JPEG files in memory, decoded to RGB by libpng and libjpeg.
//
// Both libraries report errors by longjmp and by default print and exit; here a call always returns, frees what it
// allocated, and prints nothing. Calls do not share anything.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Bytes of a message, with the null character that ends it.
#define CIM_MESSAGE_LENGTH 200

typedef struct {
  // The file.
  const unsigned char *bytes;
  size_t count;
  // Written by a call without `pixels`; a call with them fails unless the file still has these sides.
  uint32_t width;
  uint32_t height;
  // Room for (height, width, 3) bytes, or NULL to read no further than the sides.
  unsigned char *pixels;
  // Room for CIM_MESSAGE_LENGTH characters: what is wrong with the file, when a call fails.
  char *message;
} cim_image;

// 1, or 0 with a message. The colours are those of Pillow's convert("RGB"): grey is repeated, alpha and colour profiles
// are dropped, of 16 bits a channel the upper 8 count, but 16-bit grey without alpha ends at 255.
int cim_read_png(cim_image *image);

// The same for JPEG. CMYK is taken to be inverted, as Adobe writes it, and converted without a profile. Damage that
// libjpeg would paint over with grey is an error, and so are more than 100 scans.
int cim_read_jpeg(cim_image *image);
