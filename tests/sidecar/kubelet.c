/* SPDX-License-Identifier: MIT */
/* kubelet - write a ConfigMap volume with the system calls that kubelet makes. */
#include "kubelet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct volume {
	const char *path;
	char old_name[NAME_MAX + 1]; /* "..<time>" in force, or "" */
	char old_path[PATH_MAX];
	char new_path[PATH_MAX];
};

static void need(bool done, const char *what, const char *name)
{
	if (done)
		return;
	fprintf(stderr, "kubelet: %s %s: %s\n", what, name, strerror(errno));
	abort();
}

static const char *in(const char *folder, const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];
	int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);

	need(n > 0 && n < PATH_MAX, "name", name);
	return path;
}

static bool is_key(const struct kubelet_key keys[], const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return true;
	}
	return false;
}

/* Call `visit` for each visible name. */
static void for_each(const char *folder, void (*visit)(const char *folder, const char *name))
{
	DIR *listing = opendir(folder);
	const struct dirent *entry;

	need(listing != NULL, "list", folder);
	while ((entry = readdir(listing))) {
		if (strcmp(entry->d_name, ".") != 0 && strncmp(entry->d_name, "..", 2) != 0)
			visit(folder, entry->d_name);
	}
	closedir(listing);
}

static bool holds(const char *path, const char *text)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t left = strlen(text);
	ssize_t n;
	bool same = fd >= 0;

	while (same && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		same = (size_t)n <= left && memcmp(bytes, text, (size_t)n) == 0;
		text += same ? n : 0;
		left -= same ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return same && left == 0;
}

/* The names in the generation in force that the payload has not. */
static bool has_stale_keys(const struct volume *v, const struct kubelet_key keys[])
{
	DIR *listing = opendir(v->old_path);
	const struct dirent *entry;
	bool stale = false;

	need(listing != NULL, "list", v->old_name);
	while ((entry = readdir(listing)))
		stale = stale || (entry->d_name[0] != '.' && !is_key(keys, entry->d_name));
	closedir(listing);
	return stale;
}

static bool is_in_force(const struct volume *v, const struct kubelet_key keys[])
{
	if (!v->old_name[0] || has_stale_keys(v, keys))
		return false;
	for (; keys->name; keys++) {
		if (!holds(in(v->old_path, keys->name), keys->text))
			return false;
	}
	return true;
}

static void write_key(const char *folder, const struct kubelet_key *key)
{
	const char *path = in(folder, key->name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(key->text);

	need(fd >= 0, "open", path);
	need(write(fd, key->text, len) == (ssize_t)len, "write", path);
	close(fd);
	need(chmod(path, 0644) == 0, "chmod", path);
}

static void make_generation(struct volume *v, const struct kubelet_key keys[])
{
	char name[64];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	need(strftime(name, sizeof(name), "..%Y_%m_%d_%H_%M_%S.XXXXXX", &tm) > 0, "name", "time");
	snprintf(v->new_path, sizeof(v->new_path), "%s", in(v->path, name));
	need(mkdtemp(v->new_path) != NULL, "mkdtemp", v->new_path);
	need(chmod(v->new_path, 0755) == 0, "chmod", v->new_path);
	for (; keys->name; keys++)
		write_key(v->new_path, keys);
	/* setPerms */
	need(chmod(v->new_path, 0755) == 0, "chmod", v->new_path);
}

static void swap_data(const struct volume *v)
{
	const char *temp = in(v->path, "..data_tmp");

	need(unlink(temp) == 0 || errno == ENOENT, "unlink", temp);
	need(symlink(strrchr(v->new_path, '/') + 1, temp) == 0, "symlink", temp);
	need(rename(temp, in(v->path, "..data")) == 0, "rename", temp);
}

static void make_names(const struct volume *v, const struct kubelet_key keys[])
{
	for (; keys->name; keys++) {
		char target[NAME_MAX + 16];

		snprintf(target, sizeof(target), "..data/%s", keys->name);
		need(symlink(target, in(v->path, keys->name)) == 0 || errno == EEXIST, "symlink",
		     keys->name);
	}
}

/* Names that lead to nothing: only those of keys that are gone. */
static void remove_stale_name(const char *folder, const char *name)
{
	const char *path = in(folder, name);
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	if (n > 7 && memcmp(target, "..data/", 7) == 0 && access(path, F_OK) < 0)
		need(unlink(path) == 0, "unlink", path);
}

static void remove_file(const char *folder, const char *name)
{
	need(unlink(in(folder, name)) == 0, "unlink", name);
}

static void read_old_name(struct volume *v)
{
	ssize_t n = readlink(in(v->path, "..data"), v->old_name, sizeof(v->old_name) - 1);

	need(n >= 0 || errno == ENOENT, "readlink", "..data");
	v->old_name[n > 0 ? n : 0] = '\0';
	snprintf(v->old_path, sizeof(v->old_path), "%s", in(v->path, v->old_name));
}

bool kubelet_write(const char *path, enum kubelet_order order, const struct kubelet_key keys[])
{
	struct volume v = { .path = path };

	read_old_name(&v);
	if (is_in_force(&v, keys)) {
		make_names(&v, keys);
		return false;
	}
	make_generation(&v, keys);
	if (order == KUBELET_OLD)
		make_names(&v, keys);
	swap_data(&v);
	if (order == KUBELET_NEW)
		make_names(&v, keys);
	for_each(path, remove_stale_name);
	if (v.old_name[0]) {
		for_each(v.old_path, remove_file);
		need(rmdir(v.old_path) == 0, "rmdir", v.old_name);
	}
	return true;
}
