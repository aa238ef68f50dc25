// libpng, for CImages alone: its errors are jumps, which no Swift code may be crossed by.
#pragma once
#include <png.h>
