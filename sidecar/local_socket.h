/* SPDX-License-Identifier: MIT */
/* local_socket - the address of a socket in the file system (unix(7)). */
#ifndef SIDECAR_LOCAL_SOCKET_H
#define SIDECAR_LOCAL_SOCKET_H

#include <sys/un.h>

struct error;

/* 0, or -ENAMETOOLONG for a path that a struct sockaddr_un cannot hold. */
int local_socket_name(const char *path, struct sockaddr_un *out, struct error *err);

#endif
