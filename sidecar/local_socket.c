/* SPDX-License-Identifier: MIT */
/* local_socket - the address of a socket in the file system (unix(7)). */
#include "local_socket.h"

#include "patchers/base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int local_socket_name(const char *path, struct sockaddr_un *out, struct error *err)
{
	size_t len = strlen(path);

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(out->sun_path))
		return error_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(out->sun_path, path, len + 1);
	return 0;
}
