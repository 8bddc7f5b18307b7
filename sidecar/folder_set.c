/* SPDX-License-Identifier: MIT */
/* folder_set - the folders that folder_watch shall watch. */
#include "folder_set.h"

#include "name_list.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static void folder_release(struct folder *folder)
{
	name_list_release(folder->names);
	free(folder->path);
}

void folder_set_release(struct folder_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		folder_release(&set->folders[i]);
	free(set->folders);
	free(set->by_watch);
	*set = (struct folder_set)FOLDER_SET_INIT;
}

static int copy_request(const struct folder_request *request, struct folder *out, struct error *err)
{
	struct stat st = { 0 };

	if (request->path[0] != '/' || strlen(request->path) >= PATH_MAX)
		return error_set(err, -EINVAL, "\"%s\" is not an absolute path of a folder",
				 request->path);
	/* A root that is gone shows when the path is looked up. */
	(void)fstat(request->root->fd, &st);
	*out = (struct folder){
		.root = request->root,
		.root_fd = request->root->fd,
		.root_dev = st.st_dev,
		.root_ino = st.st_ino,
		.path = strdup(request->path),
		.pid_file = request->pid_file,
		.watch = -1,
		.watch_before = -1,
		.watch_between = -1,
		.lost = true,
	};
	if (!out->path || !name_list_copy(request->names, &out->names))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int copy_requests(const struct folder_request requests[], size_t n, struct folder_set *out,
			 struct error *err)
{
	int rc = 0;

	out->folders = calloc(n + 1, sizeof(*out->folders));
	out->by_watch = calloc(n + 1, sizeof(struct folder *));
	if (!out->folders || !out->by_watch)
		return error_set(err, -ENOMEM, "out of memory");
	while (rc == 0 && out->n < n) {
		rc = copy_request(&requests[out->n], &out->folders[out->n], err);
		out->by_watch[out->n] = &out->folders[out->n];
		out->n++; /* one that failed is released too */
	}
	return rc;
}

int folder_set_init(struct folder_set *set, const struct folder_request requests[], size_t n,
		    struct error *err)
{
	CLEANUP(folder_set_release) struct folder_set copied = FOLDER_SET_INIT;
	int rc;

	if (n > FOLDER_SET_MAX)
		return error_set(err, -E2BIG, "more than %d folders to watch", FOLDER_SET_MAX);
	rc = copy_requests(requests, n, &copied, err);
	if (rc < 0)
		return rc;
	*set = copied;
	copied = (struct folder_set)FOLDER_SET_INIT;
	return 0;
}

static bool same_root(const struct folder *folder, const struct rootfs *root)
{
	struct stat st;

	return folder->root == root && folder->root_fd == root->fd && fstat(root->fd, &st) == 0 &&
	       folder->root_dev == st.st_dev && folder->root_ino == st.st_ino;
}

bool folder_set_is_of(const struct folder_set *set, const struct folder_request requests[],
		      size_t n)
{
	if (set->n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct folder *folder = &set->folders[i];

		if (!same_root(folder, requests[i].root) ||
		    strcmp(folder->path, requests[i].path) != 0 ||
		    folder->pid_file != requests[i].pid_file ||
		    !name_list_equal(name_list_view(folder->names), requests[i].names))
			return false;
	}
	return true;
}

/* ---- the index by watch descriptor ---- */

static int compare_watches(const void *a, const void *b)
{
	const struct folder *const *left = a, *const *right = b;

	return ((*left)->watch > (*right)->watch) - ((*left)->watch < (*right)->watch);
}

void folder_set_sort(struct folder_set *set)
{
	if (set->n > 0)
		qsort(set->by_watch, set->n, sizeof(struct folder *), compare_watches);
}

size_t folder_set_find(const struct folder_set *set, int watch)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->by_watch[middle]->watch < watch)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->n && set->by_watch[low]->watch == watch ? low : set->n;
}

/* ---- names ---- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len >= n && strcmp(name + len - n, suffix) == 0;
}

bool folder_name_counts(const struct folder *folder, const char *name)
{
	if (strcmp(name, "..data") == 0)
		return true;
	if (strncmp(name, "..", 2) == 0)
		return false;
	if (folder->names)
		return name_list_has(name_list_view(folder->names), name);
	return !ends_in(name, ".lock") && !ends_in(name, ".tmp");
}

bool folder_awaits(const struct folder *folder, const char *name)
{
	return strlen(name) == folder->awaited.len &&
	       memcmp(folder->path + folder->awaited.at, name, folder->awaited.len) == 0;
}
