/* SPDX-License-Identifier: MIT */
/*
 * follow - a running server is told of its files, and follows them.
 *
 * Reloads are counted in the server, and logged.
 */
#ifndef SIDECAR_FOLLOW_H
#define SIDECAR_FOLLOW_H

#include "listening.h"

struct error;
struct server;

/*
 * Tell it (SIGHUP to its master), and wait until the processes that greeted before
 * are gone, and the ports that its files do not name any more are closed: what
 * answers as before would prove nothing, and it holds the sockets, too.  Who has a
 * client stays for longer than we wait, but takes no other.  That something
 * remains after the wait is said, and no error; errors are those of
 * master_process_reload().
 */
int follow_reload(struct server *server, struct error *err);

/* The same after its former files were put back: the ports of new twins are waited for. */
int follow_reload_back(struct server *server, struct error *err);

/*
 * Of one that does not run by its pid file, or is not to be told yet: whether it has one of the
 * ports, or may soon have again, as by the files of before.  That is said, and goes to
 * server->still_open.
 */
void follow_untold(struct server *server, struct listening_ports ports);

/*
 * Wait until it listens for every twin, and ask each by PROXY v2 LOCAL; what came of
 * it is in the twins, and `verified` in the server.  0, -EIO with what does not
 * answer, -ENOMEM, or an error of probe_run().
 */
int follow_verify(struct server *server, struct error *err);

#endif
