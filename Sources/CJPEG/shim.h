// libjpeg, for use by CImages alone: its errors are longjmps, which must not cross Swift frames.
#pragma once
#include <stdio.h>

#include <jpeglib.h>
// After jpeglib.h, which decides which messages exist and so their numbers.
#include <jerror.h>
