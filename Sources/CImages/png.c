#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "CImages.h"

// Lives in the caller of the function that calls setjmp, so that its contents are defined after a longjmp.
struct reader {
  cim_image *image;
  png_structp png;
  png_infop info;
  const unsigned char *next;
  size_t left;
};

static void on_error(png_structp png, png_const_charp message) {
  struct reader *r = png_get_error_ptr(png);
  snprintf(r->image->message, CIM_MESSAGE_LENGTH, "%s", message);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void take(png_structp png, png_bytep out, size_t count) {
  struct reader *r = png_get_io_ptr(png);
  if (count > r->left) png_error(png, "the file ends early");
  memcpy(out, r->next, count);
  r->next += count;
  r->left -= count;
}

// 16-bit samples, big endian, to 8 bits: min(v, 255).
static void clip(png_structp png, png_row_infop row, png_bytep samples) {
  (void)png;
  for (size_t i = 0; i < row->rowbytes / 2; i++) {
    samples[i] = samples[2 * i] ? 255 : samples[2 * i + 1];
  }
}

static void ask_for_rgb(struct reader *r) {
  int depth = png_get_bit_depth(r->png, r->info), colour = png_get_color_type(r->png, r->info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
  if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(r->png);
  if (colour == PNG_COLOR_TYPE_GRAY && depth == 16) {
    png_set_read_user_transform_fn(r->png, clip);
    png_set_user_transform_info(r->png, NULL, 8, 3);
  } else if (depth == 16) {
    png_set_strip_16(r->png);
  }
  if (!(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(r->png);
  png_set_strip_alpha(r->png);
}

static int read_png(struct reader *r) {
  cim_image *image = r->image;
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
  if (r->png) r->info = png_create_info_struct(r->png);
  if (!r->info) {
    snprintf(image->message, CIM_MESSAGE_LENGTH, "libpng cannot be initialised");
    return 0;
  }
  if (setjmp(png_jmpbuf(r->png))) return 0;

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  // A fuzzer cannot guess checksums: every file it changes would be refused here.
  png_set_crc_action(r->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
  png_set_option(r->png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
#endif
  png_set_read_fn(r->png, r, take);
  // The caller limits the sides. Only the chunks that pixels need are read: no texts or profiles are decompressed.
  png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(r->png, r->info);
  uint32_t width = png_get_image_width(r->png, r->info);
  uint32_t height = png_get_image_height(r->png, r->info);
  if (!image->pixels) {
    image->width = width;
    image->height = height;
    return 1;
  }
  if (width != image->width || height != image->height) png_error(r->png, "the file has changed");

  ask_for_rgb(r);
  int passes = png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  size_t stride = 3 * (size_t)width;
  if (png_get_rowbytes(r->png, r->info) != stride) png_error(r->png, "it cannot be converted to RGB");
  while (passes--) {
    for (size_t row = 0; row < height; row++) {
      png_read_row(r->png, image->pixels + row * stride, NULL);
    }
  }
  png_read_end(r->png, NULL);
  return 1;
}

int cim_read_png(cim_image *image) {
  struct reader r = {.image = image, .next = image->bytes, .left = image->count};
  int status = read_png(&r);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  return status;
}
