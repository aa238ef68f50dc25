// The C entry points of Debian's ARPACK (libarpack2-dev).
#pragma once
#include <arpack.h>
