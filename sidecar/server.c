/* SPDX-License-Identifier: MIT */
/* server - one mail server as the reconciler sees it. */
#include "server.h"

#include "overrides.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "ports.h"
#include "textfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { CANDIDATE_AGE_S = 5, SERVICES_BYTES_MAX = 4 << 20, CANDIDATES_MAX = 10000 };

int host_init(struct host *host, const char *root, struct error *err)
{
	int rc = rootfs_init(&host->root, root, err);

	if (rc < 0)
		return rc;
	rc = textfile_read(&host->root, "/etc/services", &host->services, err);
	if (rc == -ENOMEM)
		return rc;
	if (host->services.len > SERVICES_BYTES_MAX) /* it is gone through for each port */
		buf_clear(&host->services);
	host->port_names.services_file = buf_span(&host->services);
	return 0;
}

void host_release(struct host *host)
{
	buf_release(&host->services);
	rootfs_release(&host->root);
}

static void release_change(struct file_change *change)
{
	free(change->path);
	buf_release(&change->old_text);
	buf_release(&change->new_text);
}

void server_release(struct server *server)
{
	for (size_t i = 0; i < server->n_changes; i++)
		release_change(&server->changes[i]);
	release_change(&server->record);
	buf_release(&server->settled);
	for (size_t i = 0; i < server->n_folders; i++)
		free(server->folders[i].path);
	free(server->folders);
	for (size_t i = 0; i < server->n_twins; i++) {
		free(server->twins[i].listener);
		free(server->twins[i].stock);
		free(server->twins[i].address);
	}
	free(server->twins);
	free(server->closing);
	free(server->made_directory);
	master_process_release(&server->master);
	if (server->own)
		server->kind->release_own(server->own);
	*server = (struct server){ .master = MASTER_PROCESS_INIT };
}

void server_drop_changes(struct server *server)
{
	for (size_t i = 0; i < server->n_changes; i++)
		release_change(&server->changes[i]);
	release_change(&server->record);
	server->n_changes = 0;
	server->record = (struct file_change){ 0 };
	server->has_record = false;
}

/* 1 and *out, or 0 when both sides are equal. */
static int make_change(const char *path, bool old_exists, struct buf *old_text, bool new_exists,
		       struct buf *new_text, struct file_change *out, struct error *err)
{
	if (old_exists == new_exists && span_equal(buf_span(old_text), buf_span(new_text)))
		return 0;
	*out = (struct file_change){ .path = strdup(path) };
	if (!out->path)
		return error_set(err, -ENOMEM, "out of memory");
	out->old_exists = old_exists;
	out->new_exists = new_exists;
	out->old_text = *old_text;
	out->new_text = *new_text;
	*old_text = *new_text = (struct buf)BUF_INIT;
	return 1;
}

int server_add_change(struct server *server, const char *path, bool old_exists,
		      struct buf *old_text, bool new_exists, struct buf *new_text,
		      struct error *err)
{
	struct file_change change;
	int rc = make_change(path, old_exists, old_text, new_exists, new_text, &change, err);

	if (rc <= 0)
		return rc;
	if (server->n_changes == SERVER_CHANGES_MAX) {
		release_change(&change);
		return error_set(err, -E2BIG, "too many files to change");
	}
	server->changes[server->n_changes++] = change;
	return 0;
}

int server_set_record(struct server *server, const char *path, struct override_record_texts *texts,
		      struct error *err)
{
	int rc = make_change(path, texts->exists, &texts->now, texts->wanted.len > 0,
			     &texts->wanted, &server->record, err);

	server->has_record = rc == 1;
	server->settled = texts->settled;
	texts->settled = (struct buf)BUF_INIT;
	return rc < 0 ? rc : 0;
}

int server_add_folder(struct server *server, const char *path, const char *const *names,
		      bool pid_file, struct error *err)
{
	struct server_folder *folders =
		reallocarray(server->folders, server->n_folders + 1, sizeof(*folders));
	char *copy = strdup(path);

	if (folders)
		server->folders = folders;
	if (!folders || !copy) {
		free(copy);
		return error_set(err, -ENOMEM, "out of memory");
	}
	folders[server->n_folders++] =
		(struct server_folder){ .path = copy, .names = names, .pid_file = pid_file };
	return 0;
}

/* Into out: the folder that a file is in; "" for the root folder, or for a name alone. */
static int find_folder(const char *path, char out[PATH_MAX], struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	out[0] = '\0';
	if (n >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "the path %.40s... is too long", path);
	memcpy(out, path, n);
	out[n] = '\0';
	return 0;
}

int server_add_folder_of(struct server *server, const char *path, struct error *err)
{
	char folder[PATH_MAX];
	int rc = find_folder(path, folder, err);

	if (rc < 0 || folder[0] == '\0')
		return rc;
	for (size_t i = 0; i < server->n_folders; i++)
		if (strcmp(server->folders[i].path, folder) == 0)
			return 0;
	return server_add_folder(server, folder, NULL, false, err);
}

static int add_pid_folder(struct server *server, const char *pid_file, struct error *err)
{
	static const char *const names[] = { "master.pid", NULL };
	char folder[PATH_MAX];
	int rc = find_folder(pid_file, folder, err);

	return rc < 0 ? rc : server_add_folder(server, folder, names, true, err);
}

int server_find_master(const struct server_request *request, const char *pid_file,
		       struct server *server, struct error *err)
{
	struct error *why = &server->unseen_because;
	int rc = add_pid_folder(server, pid_file, why);

	if (rc == 0)
		rc = master_process_find(&request->host->root, pid_file, server->kind->programs[0],
					 &server->master, why);
	server->running = rc == MASTER_PROCESS_READY;
	server->starting = rc == MASTER_PROCESS_STARTING;
	server->unseen = rc < 0 && request->revert;
	if (rc < 0 && !request->revert && err)
		*err = *why;
	return rc < 0 && !request->revert ? rc : 0;
}

int server_add_closing(struct server *server, uint16_t port, struct error *err)
{
	uint16_t *closing;

	for (size_t i = 0; i < server->n_twins; i++)
		if (server->twins[i].port == port)
			return 0;
	closing = reallocarray(server->closing, server->n_closing + 1, sizeof(*closing));
	if (!closing)
		return error_set(err, -ENOMEM, "out of memory");
	server->closing = closing;
	closing[server->n_closing++] = port;
	return 0;
}

void server_look_at_twins(const struct server *server, struct listening *out)
{
	uint16_t ports[LISTENING_MAX];
	size_t n = 0;

	while (n < server->n_twins && n < LISTENING_MAX) {
		ports[n] = server->twins[n].port;
		n++;
	}
	ports_look(ports, n, server->running ? server->master.pid : 0, out);
}

int server_add_twin(struct server *server, const struct twin *twin, struct error *err)
{
	struct twin *twins = reallocarray(server->twins, server->n_twins + 1, sizeof(*twins));

	if (!twins)
		return error_set(err, -ENOMEM, "out of memory");
	server->twins = twins;
	twins += server->n_twins++;
	*twins = *twin;
	twins->listener = strdup(twin->listener);
	twins->stock = strdup(twin->stock);
	twins->address = strdup(twin->address);
	if (!twins->listener || !twins->stock || !twins->address)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

void server_remove_candidates(const struct host *host)
{
	int fd = rootfs_open(&host->root, HOST_JUDGE_DIRECTORY, O_RDONLY | O_DIRECTORY, 0, NULL);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (fd >= 0 && !dir)
		close(fd);
	/* Whoever fills it while we read does not keep us here. */
	for (int n = 0; n < CANDIDATES_MAX && dir && (entry = readdir(dir)); n++)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

int server_write_candidate(const struct host *host, const char *name, struct span text,
			   struct error *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	struct timespec now;

	if (asprintf(&path, "%s/%s", HOST_JUDGE_DIRECTORY, name) < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	/* A file of ours alone: one that is there may have another name elsewhere. */
	fd = rootfs_open_file(&host->root, path, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return fd;
	while (text.len > 0) {
		ssize_t n = write(fd, text.data, text.len);

		if (n < 0 && errno != EINTR)
			return error_errno(err, "write %s", path);
		if (n > 0)
			text = span_make(text.data + n, text.len - (size_t)n);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	times[1] = (struct timespec){ .tv_sec = now.tv_sec - CANDIDATE_AGE_S };
	return futimens(fd, times) < 0 ? error_errno(err, "set the time of %s", path) : 0;
}
