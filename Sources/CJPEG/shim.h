// libjpeg, for CImages alone: its errors are jumps, which no Swift code may be crossed by.
#pragma once
#include <stdio.h>

#include <jpeglib.h>
// Behind jpeglib.h, which decides what messages there are and so their numbers.
#include <jerror.h>
