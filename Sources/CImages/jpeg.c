#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
// After jpeglib.h, which decides which messages exist and so their numbers.
#include <jerror.h>

#include "CImages.h"

// Lives in the caller of the function that calls setjmp, so that its contents are defined after a longjmp.
struct reader {
  struct jpeg_decompress_struct codec;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf failed;
  cim_image *image;
};

// A progressive photograph has about ten. A scan can be a few bytes of the file, and costs a pass over all blocks.
static const int most_scans = 100;

static struct reader *reader_of(j_common_ptr codec) { return codec->client_data; }

static void fail(j_common_ptr codec, const char *message) {
  struct reader *r = reader_of(codec);
  snprintf(r->image->message, CIM_MESSAGE_LENGTH, "%s", message);
  longjmp(r->failed, 1);
}

static void on_error(j_common_ptr codec) {
  char text[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, text);
  fail(codec, text);
}

// Warnings have a negative level. Some of them mean that pixels were lost, which is an error here.
static void on_message(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC: on_error(codec);
  }
}

static void on_output(j_common_ptr codec) { (void)codec; }

static void on_progress(j_common_ptr codec) {
  if (((j_decompress_ptr)codec)->input_scan_number > most_scans) fail(codec, "it has too many scans");
}

static void nothing(j_decompress_ptr codec) { (void)codec; }

static boolean at_end(j_decompress_ptr codec) {
  fail((j_common_ptr)codec, "the file ends early");
  return FALSE;
}

static void skip(j_decompress_ptr codec, long count) {
  if (count <= 0) return;
  if ((size_t)count > codec->src->bytes_in_buffer) at_end(codec);
  codec->src->next_input_byte += count;
  codec->src->bytes_in_buffer -= count;
}

static int divided_by_255(int x) { return ((x + 128) + ((x + 128) >> 8)) >> 8; }

// Inverted CMYK to RGB: C = 255 − c, … , and red is (255 − K) − C (255 − K) / 255 = k − (255 − c) k / 255.
static void convert_cmyk(const unsigned char *cmyk, unsigned char *rgb, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int k = cmyk[4 * i + 3];
    for (int c = 0; c < 3; c++) {
      rgb[3 * i + c] = (unsigned char)(k - divided_by_255((255 - cmyk[4 * i + c]) * k));
    }
  }
}

static int read_jpeg(struct reader *r) {
  j_decompress_ptr codec = &r->codec;
  cim_image *image = r->image;
  codec->client_data = r;
  codec->err = jpeg_std_error(&r->errors);
  r->errors.error_exit = on_error;
  r->errors.emit_message = on_message;
  r->errors.output_message = on_output;
  if (setjmp(r->failed)) return 0;

  jpeg_create_decompress(codec);
  r->source = (struct jpeg_source_mgr){
      .next_input_byte = image->bytes,
      .bytes_in_buffer = image->count,
      .init_source = nothing,
      .fill_input_buffer = at_end,
      .skip_input_data = skip,
      .resync_to_restart = jpeg_resync_to_restart,
      .term_source = nothing,
  };
  codec->src = &r->source;
  r->progress.progress_monitor = on_progress;
  codec->progress = &r->progress;
  jpeg_read_header(codec, TRUE);
  if (!image->pixels) {
    image->width = codec->image_width;
    image->height = codec->image_height;
    return 1;
  }
  if (codec->image_width != image->width || codec->image_height != image->height) {
    fail((j_common_ptr)codec, "the file has changed");
  }

  int is_cmyk = codec->num_components == 4;
  if (!is_cmyk && codec->num_components != 1 && codec->num_components != 3) {
    fail((j_common_ptr)codec, "it has neither 1, 3 nor 4 channels");
  }
  codec->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(codec);
  size_t width = image->width;
  unsigned char *inks = NULL;
  if (is_cmyk) inks = codec->mem->alloc_large((j_common_ptr)codec, JPOOL_IMAGE, 4 * width);
  while (codec->output_scanline < codec->output_height) {
    unsigned char *out = image->pixels + codec->output_scanline * 3 * width;
    unsigned char *row = is_cmyk ? inks : out;
    // The source never suspends, so this always reads a row.
    jpeg_read_scanlines(codec, &row, 1);
    if (is_cmyk) convert_cmyk(inks, out, width);
  }
  jpeg_finish_decompress(codec);
  return 1;
}

int cim_read_jpeg(cim_image *image) {
  struct reader r = {.image = image};
  int status = read_jpeg(&r);
  jpeg_destroy_decompress(&r.codec);
  return status;
}
