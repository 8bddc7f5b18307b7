/* SPDX-License-Identifier: MIT */
/* target - the mail container, seen from a container of our own. */
#include "target.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
	PROCESSES_MAX = 1 << 22, /* PID_MAX_LIMIT */
	CONTAINERS_MAX = 4096,
	/* How often what was found may be gone again before we give up for now. */
	TRIES_MAX = 5,
};

/* A file, a folder or a namespace of this machine. */
struct identity {
	dev_t device;
	ino_t inode;
};

static bool is_same(struct identity a, struct identity b)
{
	return a.device == b.device && a.inode == b.inode;
}

/* The processes of one mount namespace. */
struct container {
	struct identity mounts;
	struct identity root; /* the oldest process's */
	pid_t oldest;
	unsigned long long start;
	struct identity master_root;
	pid_t master; /* 0: none */
};

/* What /proc shows. */
struct view {
	struct container own;
	struct identity user_namespace;
	struct container *others;
	size_t n_others;
	bool sees_others; /* whatever they are */
	pid_t denied;     /* a process that we may not look at, 0: none */
};

static void view_release(struct view *view)
{
	free(view->others);
}

/* What one process is. */
struct found {
	pid_t pid;
	struct identity mounts, user_namespace, root;
	unsigned long long start;
	bool is_chrooted;
	bool is_master;
};

static int identify(pid_t pid, const char *name, struct identity *out)
{
	char path[PROCESS_PATH_MAX];
	struct stat st;

	if (stat(process_path(pid, name, path), &st) < 0)
		return -errno;
	*out = (struct identity){ .device = st.st_dev, .inode = st.st_ino };
	return 0;
}

static bool is_top_of_mount(pid_t pid)
{
	char path[PROCESS_PATH_MAX];
	struct statx st;

	return statx(AT_FDCWD, process_path(pid, "root", path), 0, 0, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* 0; -ESRCH: nothing to look at (gone, ended, the kernel's own); or a reason. */
static int look_at(pid_t pid, struct found *out)
{
	struct process_stat stat;
	int rc = process_read_stat(pid, &stat);

	if (rc == 0 && (stat.state == 'Z' || stat.state == 'X' || stat.kernel_thread))
		return -ESRCH;
	*out = (struct found){ .pid = pid, .start = stat.start };
	if (rc == 0)
		rc = identify(pid, "ns/mnt", &out->mounts);
	if (rc == 0)
		rc = identify(pid, "ns/user", &out->user_namespace);
	if (rc == 0)
		rc = identify(pid, "root", &out->root);
	if (rc < 0)
		return rc == -ENOENT || rc == -ENOTDIR ? -ESRCH : rc;
	out->is_chrooted = !is_top_of_mount(pid);
	rc = process_runs(pid, "master");
	if (rc == 0)
		rc = process_runs(pid, "dovecot");
	out->is_master = rc > 0;
	return rc < 0 ? rc : 0;
}

static void join(struct container *container, const struct found *found)
{
	if (found->is_master && container->master == 0) {
		container->master = found->pid;
		container->master_root = found->root;
	}
	/* Of the same clock tick: the lower number. */
	if (container->oldest != 0 &&
	    (found->start > container->start ||
	     (found->start == container->start && found->pid > container->oldest)))
		return;
	container->oldest = found->pid;
	container->start = found->start;
	container->root = found->root;
}

static int add_process(struct view *view, const struct found *found, struct error *err)
{
	struct container *others;

	/* A service manager's services have mounts of their own, on the same root. */
	if (is_same(found->mounts, view->own.mounts) || is_same(found->root, view->own.root)) {
		if (is_same(found->root, view->own.root))
			join(&view->own, found);
		return 0;
	}
	view->sees_others = true;
	if (found->is_chrooted || !is_same(found->user_namespace, view->user_namespace))
		return 0;
	for (size_t i = 0; i < view->n_others; i++)
		if (is_same(view->others[i].mounts, found->mounts)) {
			join(&view->others[i], found);
			return 0;
		}
	if (view->n_others == CONTAINERS_MAX)
		return error_set(err, -E2BIG, "more than %d containers are visible",
				 CONTAINERS_MAX);
	others = reallocarray(view->others, view->n_others + 1, sizeof(*others));
	if (!others)
		return error_set(err, -ENOMEM, "out of memory");
	view->others = others;
	others += view->n_others++;
	*others = (struct container){ .mounts = found->mounts };
	join(others, found);
	return 0;
}

static int view_init(struct view *view, struct error *err)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	struct found self;
	int rc = look_at(getpid(), &self);
	pid_t pid;

	if (rc < 0)
		return error_code(err, rc, "look at our own process in /proc");
	view->own = (struct container){ .mounts = self.mounts, .root = self.root };
	view->user_namespace = self.user_namespace;
	rc = process_walk_init(&walk, err);
	for (int n = 0; rc == 0 && (pid = process_walk_next(&walk)) > 0; n++) {
		struct found found;

		if (n == PROCESSES_MAX)
			return error_set(err, -E2BIG, "/proc has no end");
		rc = look_at(pid, &found);
		if (rc == 0) {
			rc = add_process(view, &found, err);
		} else if (rc == -EACCES || rc == -EPERM) {
			view->denied = pid;
			rc = 0;
		} else if (rc == -ESRCH) {
			rc = 0;
		} else {
			error_code(err, rc, "look at process %d", (int)pid);
		}
	}
	return rc;
}

static bool is_file(const struct rootfs *root, const char *path)
{
	cleanup_fd int fd = rootfs_open(root, path, O_PATH, 0, NULL);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_mail_host(const char *path)
{
	CLEANUP(rootfs_release) struct rootfs root = ROOTFS_INIT;

	return rootfs_init(&root, path, NULL) == 0 && (is_file(&root, "/etc/postfix/master.cf") ||
						       is_file(&root, "/etc/dovecot/dovecot.conf"));
}

static bool runs_master(const struct container *container)
{
	return container->master != 0 && is_same(container->master_root, container->root);
}

/* 1 and the other container, 0 and NULL, or the error that there are two. */
static int choose_other(const struct view *view, const struct container **out, struct error *err)
{
	const struct container *with_master = NULL, *without = NULL;
	size_t n_without = 0;

	*out = NULL;
	for (size_t i = 0; i < view->n_others; i++) {
		const struct container *other = &view->others[i];
		char root[PROCESS_PATH_MAX];

		if (!is_mail_host(process_path(other->oldest, "root", root)))
			continue;
		if (!runs_master(other)) {
			without = other;
			n_without++;
			continue;
		}
		if (with_master)
			return error_set(err, -EEXIST,
					 "two containers run a mail server, process %d in one and "
					 "process %d in another: say by --pid which one is meant",
					 (int)with_master->master, (int)other->master);
		with_master = other;
	}
	if (with_master)
		*out = with_master;
	else if (n_without == 1)
		*out = without;
	return with_master || n_without > 0;
}

/* Nobody is there: is it that we cannot see? */
static int explain(const struct view *view, struct error *err)
{
	if (view->denied != 0)
		return error_set(err, -EPERM,
				 "no mail server found, but process %d may not be looked at: %s",
				 (int)view->denied,
				 privileges_have(PRIVILEGE_SYS_PTRACE)
					 ? "CAP_SYS_PTRACE is there; a security profile or a user "
					   "namespace forbids it"
					 : "this needs CAP_SYS_PTRACE; add SYS_PTRACE to the "
					   "container's capabilities");
	if (!view->sees_others)
		return error_set(err, -ESRCH,
				 "no process of another container is visible: the pod needs "
				 "\"shareProcessNamespace: true\"");
	return 0;
}

/* 1 found, 0 nobody, or an error; *out_other is NULL for our own root. */
static int choose(const struct view *view, const struct container **out_other, struct error *err)
{
	bool own = is_mail_host("/");
	int rc;

	*out_other = NULL;
	if (own && runs_master(&view->own))
		return 1;
	rc = choose_other(view, out_other, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		return *out_other != NULL;
	return own ? 1 : explain(view, err);
}

/* Hold the container's oldest process.  1; 0 when it is not what it was. */
static int hold(const struct container *other, struct target *out, struct error *err)
{
	struct found now;
	CLEANUP(target_release)
	struct target target = {
		.anchor = other->oldest,
		.pidfd = process_open(other->oldest),
	};

	if (target.pidfd == -ESRCH)
		return 0;
	if (target.pidfd < 0)
		return error_code(err, target.pidfd, "open process %d", (int)other->oldest);
	(void)process_path(target.anchor, "root", target.root);
	if (look_at(target.anchor, &now) < 0 || now.start != other->start ||
	    !is_same(now.mounts, other->mounts) || !is_same(now.root, other->root) ||
	    !is_mail_host(target.root) || !target_is_alive(&target))
		return 0;
	*out = target;
	target.pidfd = -1;
	return 1;
}

int target_find(struct target *out, struct error *err)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		CLEANUP(view_release) struct view view = { 0 };
		const struct container *other = NULL;
		int rc = view_init(&view, err);

		if (rc == 0)
			rc = choose(&view, &other, err);
		if (rc <= 0)
			return rc;
		if (!other) {
			*out = (struct target){ .pidfd = -1, .root = "/" };
			return 1;
		}
		rc = hold(other, out, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void target_release(struct target *target)
{
	if (target->pidfd >= 0)
		close(target->pidfd);
	*target = (struct target)TARGET_INIT;
}

bool target_is_alive(const struct target *target)
{
	return target->pidfd < 0 || process_is_alive(target->pidfd);
}
