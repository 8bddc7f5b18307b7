/* SPDX-License-Identifier: MIT */
/*
 * sandbox - a folder of the test's own as the mail host's root, in namespaces
 * of its own.
 *
 * The tests need root, as a program that edits a mail server's files does; a
 * run without it is a failure, never a skip.
 */
#ifndef TESTS_SIDECAR_SANDBOX_H
#define TESTS_SIDECAR_SANDBOX_H

#include "tests/unit/unit.h"

#include "sidecar/rootfs.h"

#include <stdbool.h>
#include <sys/types.h>

/* Mounts from now on are this process's alone.  Ends the program unless root. */
void sandbox_enter_private_mounts(void);

/* A network of this process's own, in which only loopback is up.  Likewise. */
void sandbox_enter_private_network(void);

/* A user namespace of this process's own, whose root it is.  Likewise. */
void sandbox_enter_user_namespace(void);

struct sandbox {
	char path[64];		/* of the folder, as this machine names it */
	struct rootfs root;	/* the folder as a root */
	struct rootfs own;	/* this machine's "/" */
};

/* cmocka's set-up and tear-down: *state is a struct sandbox, on a tmpfs when mounts are private. */
int sandbox_set_up(void **state);
int sandbox_tear_down(void **state);

/* "/x" inside the sandbox, as this machine names it.  Valid until the eighth call from now. */
const char *sandbox_path(const struct sandbox *s, const char *inside);

/*
 * What follows makes no allocation of its own, so that it may be called while
 * allocations fail.  Make a file, and the folders that lead to it.
 */
void sandbox_write(const struct sandbox *s, const char *inside, const char *text);
void sandbox_write_span(const struct sandbox *s, const char *inside, struct span text);
void sandbox_make_folder(const struct sandbox *s, const char *inside);
void sandbox_link(const struct sandbox *s, const char *target, const char *inside);

/* rename(2). */
void sandbox_move(const struct sandbox *s, const char *from, const char *to);

/* Mount a file over a file, or a folder over a folder. */
void sandbox_bind(const struct sandbox *s, const char *from, const char *to);

/* Copy the test's own program, to be executed by another name. */
void sandbox_copy_program(const struct sandbox *s, const char *inside);

/* Add the file's bytes to out; fails the test when there is none. */
void sandbox_read(const struct sandbox *s, const char *inside, struct buf *out);
void sandbox_assert_text(const struct sandbox *s, const char *inside, const char *text);
bool sandbox_has(const struct sandbox *s, const char *inside);

/* The names in a folder are exactly these, sorted, with one blank between. */
void sandbox_assert_names(const struct sandbox *s, const char *inside, const char *names);

/* Run `function` in a child; its exit status, or 128 + signal. */
int sandbox_in_child(void (*function)(void *ctx), void *ctx);

/* Let `function` run in a child; end it with sandbox_end(). */
pid_t sandbox_spawn(void (*function)(void *ctx), void *ctx);

/* As above, and wait until the child has called sandbox_ready(). */
pid_t sandbox_spawn_ready(void (*function)(void *ctx), void *ctx);

/* For such a child, also when it has executed another program by now. */
void sandbox_ready(void);

/* For a child: wait to be ended. */
_Noreturn void sandbox_linger(void *unused);

/* Whether the child has come to its end by itself; fails the test when that is a failure. */
bool sandbox_has_ended(pid_t pid);
void sandbox_end(pid_t pid);

/* Milliseconds of a clock that only goes forward. */
long sandbox_now_ms(void);

#endif
