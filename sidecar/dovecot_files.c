/* SPDX-License-Identifier: MIT */
/* dovecot_files - Dovecot's configuration files, read inside a root. */
#include "dovecot_files.h"

#include "digest.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/dovecot_reader.h"
#include "rootfs.h"
#include "textfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

enum { PATTERNS_MAX = 1000 };

/* glob(3) hands no context to its functions; one call at a time sets this. */
static const struct rootfs *glob_root;

/*
 * Why something could not be looked at; 0: everything could.  glob(3) takes
 * what cannot be opened for absent, and the rest of the configuration would be
 * taken for the whole.
 */
static int glob_failure;

static void note_failure(int rc)
{
	if (glob_failure == 0 && !rootfs_is_absent(rc))
		glob_failure = rc;
}

static int glob_open(const char *path, int flags)
{
	int fd = rootfs_open(glob_root, path, flags, 0, NULL);

	if (fd < 0)
		note_failure(fd);
	return fd;
}

static void *glob_open_directory(const char *path)
{
	cleanup_fd int fd = glob_open(path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		(void)steal_fd(&fd);
	else if (fd >= 0)
		note_failure(-errno);
	return dir;
}

static struct dirent *glob_read_directory(void *dir)
{
	struct dirent *entry;

	errno = 0;
	entry = readdir(dir);
	if (!entry && errno != 0)
		note_failure(-errno);
	return entry;
}

static void glob_close_directory(void *dir)
{
	closedir(dir);
}

static int glob_stat(const char *path, struct stat *out)
{
	cleanup_fd int fd = glob_open(path, O_PATH);

	return fd < 0 ? -1 : fstat(fd, out);
}

static int glob_link_stat(const char *path, struct stat *out)
{
	cleanup_fd int fd = glob_open(path, O_PATH | O_NOFOLLOW);

	return fd < 0 ? -1 : fstat(fd, out);
}

/* At most how many patterns braces make of one; nested ones count more than they make. */
static size_t count_patterns(const char *pattern)
{
	size_t n = 1, here = 1;

	for (const char *p = pattern; *p && n <= PATTERNS_MAX; p++) {
		if (*p == '{' || *p == '}') {
			n *= here;
			here = 1;
		} else if (*p == ',') {
			here++;
		}
	}
	return n * here;
}

static int list_paths(void *ctx, const char *pattern, struct dovecot_paths *out, struct error *err)
{
	glob_t found = {
		.gl_closedir = glob_close_directory,
		.gl_readdir = glob_read_directory,
		.gl_opendir = glob_open_directory,
		.gl_lstat = glob_link_stat,
		.gl_stat = glob_stat,
	};
	int rc = 0, matched;

	if (count_patterns(pattern) > PATTERNS_MAX)
		return error_set(err, -E2BIG, "%s: the braces make more than %d patterns", pattern,
				 PATTERNS_MAX);
	glob_root = ctx;
	glob_failure = 0;
	matched = glob(pattern, GLOB_BRACE | GLOB_ALTDIRFUNC, NULL, &found);
	if (matched == GLOB_NOSPACE)
		rc = error_set(err, -ENOMEM, "out of memory");
	else if (glob_failure < 0)
		rc = error_code(err, glob_failure, "look for %s", pattern);
	for (size_t i = 0; rc == 0 && matched == 0 && i < found.gl_pathc; i++)
		rc = dovecot_paths_add(out, found.gl_pathv[i], err);
	globfree(&found);
	return rc;
}

static int read_path(void *ctx, const char *path, struct buf *out, struct error *err)
{
	int rc = textfile_read(ctx, path, out, err);

	return rc == -EISDIR ? 0 : rc;
}

struct dovecot_source dovecot_files_source(const struct rootfs *root)
{
	union {
		const struct rootfs *root;
		void *ctx;
	} alias = { .root = root }; /* the callbacks take it back as const */

	return (struct dovecot_source){
		.ctx = alias.ctx,
		.read = read_path,
		.list = list_paths,
	};
}

void dovecot_files_digest(const struct dovecot_conf *conf, struct digest_maker *maker)
{
	digest_add_number(maker, conf->n_files);
	for (size_t i = 0; i < conf->n_files; i++) {
		digest_add_text(maker, conf->files[i].path);
		digest_add(maker, buf_span(&conf->files[i].text));
	}
}
