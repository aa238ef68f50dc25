// The C entry points of Debian's ARPACK (libarpack2-dev): dsaupd_c and dseupd_c are the ones used.
#pragma once
#include <arpack.h>
