// The C entry points of Debian's PARPACK (libparpack2-dev; the header is libarpack2-dev's).
#pragma once
#include <parpack.h>
