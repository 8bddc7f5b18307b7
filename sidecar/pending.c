/* SPDX-License-Identifier: MIT */
/* pending - whether a server's files were written but its twins not proven yet. */
#include "pending.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"
#include "server.h"

#include <fcntl.h>
#include <stdio.h>

enum { PATH_BYTES = 64 };

static const char *path_of(const char *server, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, HOST_WORK_DIRECTORY "/pending-%.20s", server);
	return out;
}

bool pending_is_set(const struct rootfs *root, const char *server)
{
	char path[PATH_BYTES];

	/* When it cannot be told: asking the server once more does no harm. */
	return rootfs_exists(root, path_of(server, path), NULL) != 0;
}

int pending_set(const struct rootfs *root, const char *server, struct error *err)
{
	char path[PATH_BYTES];
	cleanup_fd int fd = rootfs_open_file(root, path_of(server, path),
					     O_WRONLY | O_CREAT | O_NOFOLLOW, 0600, err);

	return fd < 0 ? fd : 0;
}

void pending_clear(const struct rootfs *root, const char *server)
{
	CLEANUP(rootfs_place_release) struct rootfs_place place = ROOTFS_PLACE_INIT;
	char path[PATH_BYTES];

	/* Left behind it only costs a reload. */
	if (rootfs_locate(root, path_of(server, path), false, &place, NULL) == 0)
		(void)unlinkat(place.dir_fd, place.name, 0);
}
