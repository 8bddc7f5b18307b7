/* SPDX-License-Identifier: MIT */
/* container - what stands for a container. */
#include "container.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CONTINUE "--contain"

struct container {
	const struct sandbox *s;
	const char *program; /* NULL: this one */
	const char *path;    /* of the tmpfs, as this machine names it */
	const char *file;    /* "": none */
	unsigned flags;
};

static void fill_root(const struct container *c)
{
	struct sandbox root;

	snprintf(root.path, sizeof(root.path), "%s%s", c->path,
		 c->flags & CONTAINER_CHROOTED ? "/jail" : "");
	if (c->flags & CONTAINER_CHROOTED && mkdir(root.path, 0755) < 0)
		_exit(3);
	if (c->flags & CONTAINER_LINKED)
		sandbox_link(&root, CONTAINER_OUTSIDE, c->file);
	else if (c->file[0])
		sandbox_write(&root, c->file, "");
	if (chroot(root.path) < 0 || chdir("/") < 0)
		_exit(4);
}

/* Become the container's only process. */
static _Noreturn void contain(const struct container *c)
{
	if (c->flags & CONTAINER_OTHER_USERS)
		sandbox_enter_user_namespace();
	if (unshare(CLONE_NEWNS) < 0 || mount("tmpfs", c->path, "tmpfs", 0, "mode=0755") < 0)
		_exit(2);
	fill_root(c);
	sandbox_ready();
	sandbox_linger(NULL);
}

static void start_in_child(void *ctx)
{
	const struct container *c = ctx;
	char flags[16];

	if (!c->program)
		contain(c);
	snprintf(flags, sizeof(flags), "%u", c->flags);
	execl(sandbox_path(c->s, c->program), "x", CONTINUE, c->path, c->file, flags, (char *)NULL);
	_exit(5);
}

void container_continue(int argc, char **argv)
{
	if (argc != 5 || strcmp(argv[1], CONTINUE) != 0)
		return;
	contain(&(struct container){
		.path = argv[2], .file = argv[3], .flags = (unsigned)atoi(argv[4]) });
}

pid_t container_start(const struct sandbox *s, const char *program, const char *file,
		      unsigned flags)
{
	static int number;
	struct container c = {
		.s = s, .program = program, .file = file ? file : "", .flags = flags
	};
	char inside[32];

	snprintf(inside, sizeof(inside), "/root%d", number++);
	sandbox_make_folder(s, inside);
	c.path = sandbox_path(s, inside);
	if (program && !sandbox_has(s, program))
		sandbox_copy_program(s, program);
	return sandbox_spawn_ready(start_in_child, &c);
}

static void join(void *ctx)
{
	const pid_t pid = *(const pid_t *)ctx;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		_exit(1);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	if (setns(open(path, O_RDONLY | O_CLOEXEC), CLONE_NEWNS) < 0 || fchdir(fd) < 0 ||
	    chroot(".") < 0)
		_exit(1);
	sandbox_ready();
	sandbox_linger(NULL);
}

pid_t container_join(pid_t pid)
{
	return sandbox_spawn_ready(join, &pid);
}
