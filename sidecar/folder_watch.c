/* SPDX-License-Identifier: MIT */
/* folder_watch - learn by inotify(7) that a file in some folder may be another. */
#include "folder_watch.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
	READ_BYTES = 16 * 1024, /* an event has up to 16 + NAME_MAX + 1 */
	READS_MAX = 1024,       /* more than the kernel queues; the rest when poll says so */
	LOOKUPS_MAX = 16,       /* of one path that changes while it is looked up */
};

/* Never what reading makes (OPEN, ACCESS, CLOSE_NOWRITE): kubelet reads all, and so do we. */
#define APPEARS (IN_CREATE | IN_MOVED_TO)
#define OF_ITSELF (IN_DELETE_SELF | IN_MOVE_SELF)
#define CHANGES (APPEARS | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE)
/* A descriptor for the same folder may serve several requests: masks add up. */
#define ADDING (IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD)
/* The watch is of no use any more, or its path names something else. */
#define ENDS (OF_ITSELF | IN_UNMOUNT | IN_IGNORED)

/* ---- from a path to a watch ---- */

static bool is_missing(int code)
{
	return code == -ENOENT || code == -ENOTDIR || code == -ELOOP;
}

/* Open the folder, or the nearest that leads to it; then *out is the first name missing. */
static int open_nearest(const struct folder *folder, struct folder_part *out)
{
	char path[PATH_MAX];
	size_t len = strlen(folder->path);

	memcpy(path, folder->path, len + 1);
	*out = (struct folder_part){ 0 };
	for (;;) {
		int fd = rootfs_open(folder->root, path, O_PATH | O_DIRECTORY, 0, NULL);
		size_t end;

		while (len > 0 && path[len - 1] == '/')
			len--;
		if (fd >= 0 || !is_missing(fd) || len == 0)
			return fd;
		for (end = len; len > 0 && path[len - 1] != '/'; len--)
			continue;
		*out = (struct folder_part){ .at = len, .len = end - len };
		path[len] = '\0';
	}
}

/*
 * Where other machines, or the host of a virtual one, change files, the
 * kernel here has nothing to tell.
 */
static bool is_deaf_file_system(int fd)
{
	static const unsigned long deaf[] = {
		NFS_SUPER_MAGIC,  FUSE_SUPER_MAGIC, V9FS_MAGIC,      CEPH_SUPER_MAGIC,
		CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC,
		AFS_FS_MAGIC,     CODA_SUPER_MAGIC,
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++) {
		/* f_type is signed, and 32 bits of it count */
		if ((uint32_t)st.f_type == (uint32_t)deaf[i])
			return true;
	}
	return false;
}

/*
 * By its descriptor: inotify_add_watch(2) knows no "beneath", and a path of
 * its own could lead out of the root.
 */
static int add_watch(const struct folder_watch *watch, int fd, uint32_t mask)
{
	char path[sizeof("/proc/self/fd/-2147483648")];
	int added;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	added = inotify_add_watch(watch->fd, path, mask);
	return added < 0 ? -errno : added;
}

static void set_deaf(struct folder *folder, int code)
{
	folder->watch = -1;
	folder->deafness = code == -ENOSPC ? FOLDER_WATCH_LIMIT : FOLDER_FAILED;
	folder->code = code;
}

/* One look-up.  Whether it found what the folder was attached to before. */
static bool attach_once(const struct folder_watch *watch, struct folder *folder)
{
	struct folder_part missing;
	cleanup_fd int fd = open_nearest(folder, &missing);
	uint32_t mask = ADDING | OF_ITSELF | APPEARS;
	bool same;
	int added;

	if (missing.len == 0)
		mask |= CHANGES | (folder->pid_file ? IN_MODIFY : 0);
	added = fd < 0 ? fd : add_watch(watch, fd, mask);
	if (added < 0) {
		set_deaf(folder, added);
		return true;
	}
	same = folder->watch == added && folder->awaited.at == missing.at &&
	       folder->awaited.len == missing.len;
	folder->watch = added;
	folder->awaited = missing;
	folder->deafness = is_deaf_file_system(fd) ? FOLDER_FILE_SYSTEM : FOLDER_HEARS;
	return same;
}

/*
 * Watch what the path names now.  What is made or renamed between looking and
 * watching is not told, so look until that finds the same again.
 */
static void attach(const struct folder_watch *watch, struct folder *folder)
{
	int before = folder->watch;
	bool stood = before >= 0 && folder->awaited.len == 0, same = false, stands;

	folder->watch_before = before;
	folder->watch_between = -1;
	folder->lost = false;
	if (watch->fd < 0) {
		folder->deafness = FOLDER_NO_INOTIFY;
		return;
	}
	for (int i = 0; i < LOOKUPS_MAX && !same; i++) {
		int last = folder->watch;

		same = attach_once(watch, folder);
		/* Should there be more than one, their first event shows that they are nobody's. */
		if (i > 0 && last != folder->watch)
			folder->watch_between = last;
	}
	stands = folder->watch >= 0 && folder->awaited.len == 0;
	if (stood != stands || (stands && folder->watch != before) || !same)
		folder->touched = true;
}

/* Once a folder's old watch is nobody's, the kernel need not keep it. */
static void drop_unused(const struct folder_watch *watch, int old)
{
	if (old >= 0 && folder_set_find(&watch->set, old) == watch->set.n)
		(void)inotify_rm_watch(watch->fd, old); /* EINVAL: the kernel ended it */
}

static void attach_lost(struct folder_watch *watch)
{
	bool any = false;

	for (size_t i = 0; i < watch->set.n; i++) {
		watch->set.folders[i].watch_before = watch->set.folders[i].watch_between = -1;
		if (watch->set.folders[i].lost) {
			attach(watch, &watch->set.folders[i]);
			any = true;
		}
	}
	if (!any)
		return;
	folder_set_sort(&watch->set);
	for (size_t i = 0; i < watch->set.n; i++) {
		drop_unused(watch, watch->set.folders[i].watch_before);
		drop_unused(watch, watch->set.folders[i].watch_between);
	}
}

static bool any_touched(const struct folder_watch *watch)
{
	for (size_t i = 0; i < watch->set.n; i++) {
		if (watch->set.folders[i].touched)
			return true;
	}
	return false;
}

/* ---- events ---- */

static void tell(struct folder *folder, uint32_t mask, const char *name)
{
	/* Another request's share of a watch in common */
	if ((mask & IN_MODIFY) && !folder->pid_file)
		return;
	if (mask & ENDS) {
		folder->lost = true;
		folder->touched = folder->touched || folder->awaited.len == 0;
	} else if (folder->awaited.len > 0) {
		folder->lost = folder->lost || folder_awaits(folder, name);
	} else if (folder_name_counts(folder, name)) {
		folder->touched = true;
	}
}

static void tell_all_of_overflow(struct folder_watch *watch)
{
	watch->n_overflows++;
	for (size_t i = 0; i < watch->set.n; i++)
		watch->set.folders[i].touched = watch->set.folders[i].lost = true;
}

/* Whether a watch ended or is to be moved. */
static bool take_event(struct folder_watch *watch, const struct inotify_event *event)
{
	size_t i = folder_set_find(&watch->set, event->wd);
	const char *name = event->len > 0 ? event->name : "";
	bool lost = false;

	if (event->mask & IN_Q_OVERFLOW) {
		tell_all_of_overflow(watch);
		return true;
	}
	/* Nobody's: left from a path that changed while it was looked up. */
	if (i == watch->set.n && !(event->mask & IN_IGNORED))
		(void)inotify_rm_watch(watch->fd, event->wd);
	for (; i < watch->set.n && watch->set.by_watch[i]->watch == event->wd; i++) {
		tell(watch->set.by_watch[i], event->mask, name);
		lost = lost || watch->set.by_watch[i]->lost;
	}
	return lost;
}

static bool take_events(struct folder_watch *watch, const char *bytes, size_t n)
{
	bool lost = false;

	while (n >= sizeof(struct inotify_event)) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)bytes;
		size_t size = sizeof(*event) + event->len;

		lost = take_event(watch, event) || lost;
		bytes += size;
		n -= size;
	}
	return lost;
}

/* ---- the interface ---- */

/* EMFILE has two causes; whoever reads the message can cure only the right one. */
static int explain_no_instance(struct error *err)
{
	int code = -errno;
	cleanup_fd int probe = -1;

	if (code != -EMFILE)
		return error_code(err, code, "make an inotify instance");
	probe = open("/", O_PATH | O_CLOEXEC);
	if (probe < 0 && errno == EMFILE)
		return error_set(err, code,
				 "make an inotify instance: no file descriptor is left; raise the "
				 "limit (ulimit -n)");
	return error_set(err, code,
			 "make an inotify instance: this user has as many as "
			 "fs.inotify.max_user_instances allows (in a user namespace: "
			 "user.max_inotify_instances); raise it on the node");
}

int folder_watch_init(struct folder_watch *watch, struct error *err)
{
	*watch = (struct folder_watch)FOLDER_WATCH_INIT;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return watch->fd < 0 ? explain_no_instance(err) : 0;
}

void folder_watch_release(struct folder_watch *watch)
{
	folder_set_release(&watch->set);
	if (watch->fd >= 0)
		close(watch->fd);
	*watch = (struct folder_watch)FOLDER_WATCH_INIT;
}

int folder_watch_fd(const struct folder_watch *watch)
{
	return watch->fd;
}

/* What was touched and not taken yet stays so, whoever asks for the folder now. */
static void hand_over_touched(const struct folder_set *old, struct folder *folder)
{
	size_t i = folder->watch < 0 ? old->n : folder_set_find(old, folder->watch);

	folder->touched = false;
	for (; i < old->n && old->by_watch[i]->watch == folder->watch; i++)
		folder->touched = folder->touched || old->by_watch[i]->touched;
}

bool folder_watch_is_of(const struct folder_watch *watch, const struct folder_request requests[],
			size_t n)
{
	return folder_set_is_of(&watch->set, requests, n);
}

int folder_watch_set(struct folder_watch *watch, const struct folder_request requests[], size_t n,
		     struct error *err)
{
	CLEANUP(folder_set_release) struct folder_set old = FOLDER_SET_INIT;
	struct folder_set new;
	int rc;

	if (folder_watch_is_of(watch, requests, n))
		return 0;
	rc = folder_set_init(&new, requests, n, err);
	if (rc < 0)
		return rc;
	old = watch->set;
	watch->set = new;
	attach_lost(watch);
	for (size_t i = 0; i < watch->set.n; i++)
		hand_over_touched(&old, &watch->set.folders[i]);
	for (size_t i = 0; i < old.n; i++)
		drop_unused(watch, old.folders[i].watch);
	return 0;
}

int folder_watch_renew(struct folder_watch *watch)
{
	for (size_t i = 0; i < watch->set.n; i++)
		watch->set.folders[i].lost = true;
	attach_lost(watch);
	return any_touched(watch);
}

int folder_watch_read(struct folder_watch *watch, struct error *err)
{
	_Alignas(struct inotify_event) char bytes[READ_BYTES];
	bool lost = false;
	ssize_t n = 0;

	for (int i = 0; watch->fd >= 0 && i < READS_MAX; i++) {
		n = read(watch->fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		lost = take_events(watch, bytes, (size_t)n) || lost;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return error_errno(err, "read inotify events");
	if (lost)
		attach_lost(watch);
	return any_touched(watch);
}

bool folder_watch_take(struct folder_watch *watch, size_t i)
{
	bool touched = i < watch->set.n && watch->set.folders[i].touched;

	if (touched)
		watch->set.folders[i].touched = false;
	return touched;
}

int folder_watch_is_deaf(const struct folder_watch *watch, size_t i, struct buf *reason)
{
	static const char *const reasons[] = {
		[FOLDER_NO_INOTIFY] = "there is no inotify instance",
		[FOLDER_WATCH_LIMIT] = "fs.inotify.max_user_watches (in a user namespace: "
				       "user.max_inotify_watches) is used up; raise it on the node",
		[FOLDER_FILE_SYSTEM] = "its file system does not tell what other machines change",
	};
	const struct folder *folder = i < watch->set.n ? &watch->set.folders[i] : NULL;

	if (!folder || folder->deafness == FOLDER_HEARS)
		return 0;
	if (reason && folder->deafness == FOLDER_FAILED)
		buf_add_format(reason, "%s: cannot be watched: %s", folder->path,
			       strerror(-folder->code));
	else if (reason)
		buf_add_format(reason, "%s: %s", folder->path, reasons[folder->deafness]);
	return 1;
}

void folder_watch_count(const struct folder_watch *watch, struct folder_watch_counts *out)
{
	*out = (struct folder_watch_counts){ .overflows = watch->n_overflows };
	for (size_t i = 0; i < watch->set.n; i++) {
		int before = i > 0 ? watch->set.by_watch[i - 1]->watch : -1;

		out->watches += watch->set.by_watch[i]->watch > before;
		out->deaf += watch->set.folders[i].deafness != FOLDER_HEARS;
	}
}
