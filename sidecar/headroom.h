/* SPDX-License-Identifier: MIT */
/*
 * headroom - memory for a library that does not notice when it gets none.
 *
 * libconfuse takes a failed allocation for a success: it crashes, or goes on
 * without an option; libseccomp makes a filter with gaps.  What they may need is
 * seen to be there before they are called.
 */
#ifndef SIDECAR_HEADROOM_H
#define SIDECAR_HEADROOM_H

#include <stddef.h>

struct error;

/*
 * The next allocations of small pieces, together this many bytes, are met from
 * what the process has.  0, or -ENOMEM.  For a process that has one thread.
 */
int headroom_make(size_t bytes, struct error *err);

#endif
