// libpng, for use by CImages alone: its errors are longjmps, which must not cross Swift frames.
#pragma once
#include <png.h>
