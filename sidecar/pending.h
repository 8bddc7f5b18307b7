/* SPDX-License-Identifier: MIT */
/*
 * pending - whether a server's files were written but its twins not proven yet.
 *
 * A file per server in HOST_WORK_DIRECTORY, made before the first byte is
 * written and removed when the new state is verified, or the old one back.  A
 * run that was killed in between, or told not to reload, leaves it; the next
 * one then reloads and verifies although no file differs.
 */
#ifndef SIDECAR_PENDING_H
#define SIDECAR_PENDING_H

#include <stdbool.h>

struct error;
struct rootfs;

bool pending_is_set(const struct rootfs *root, const char *server);

/* HOST_WORK_DIRECTORY must be there. */
int pending_set(const struct rootfs *root, const char *server, struct error *err);

/* Nothing happens when it is not set. */
void pending_clear(const struct rootfs *root, const char *server);

#endif
