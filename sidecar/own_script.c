/* SPDX-License-Identifier: MIT */
/* own_script - the user's script, kept and put back. */
#include "own_script.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/user_hook.h"
#include "placing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#define NAME USER_HOOK_NAME
#define OWN USER_HOOK_OWN_NAME

enum { OLDER_NAME_BYTES = sizeof(OWN) + 8 };

/* 1 and *out; 0 when nothing has that name. */
static int look_at(const struct placing_folder *folder, const char *name, struct stat *out,
		   struct error *err)
{
	if (fstatat(folder->fd, name, out, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : placing_error(folder, "stat", name, err);
}

int own_script_look(const struct placing_folder *folder, enum own_script_state *out,
		    struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct stat st;
	int rc = look_at(folder, NAME, &st, err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		*out = OWN_SCRIPT_NONE;
		return 0;
	}
	rc = placing_read(folder, NAME, &text, err);
	if (rc < 0)
		return rc;
	*out = user_hook_is_ours(buf_span(&text)) ? OWN_SCRIPT_HOOK : OWN_SCRIPT_PRESENT;
	return 0;
}

/* ---- whether two are one ---- */

static int same_bytes(const struct placing_folder *folder, const char *a, const char *b,
		      struct error *err)
{
	cleanup_buf struct buf one = BUF_INIT, other = BUF_INIT;
	int rc = placing_read(folder, a, &one, err);

	if (rc >= 0)
		rc = placing_read(folder, b, &other, err);
	return rc < 0 ? rc : span_equal(buf_span(&one), buf_span(&other));
}

static int same_target(const struct placing_folder *folder, const char *a, const char *b,
		       struct error *err)
{
	char one[PATH_MAX], other[PATH_MAX];
	ssize_t n = readlinkat(folder->fd, a, one, sizeof(one));
	ssize_t m = readlinkat(folder->fd, b, other, sizeof(other));

	if (n < 0 || m < 0)
		return placing_error(folder, "read the link", n < 0 ? a : b, err);
	return span_equal(span_make(one, (size_t)n), span_make(other, (size_t)m));
}

/* Whether `name` is, or holds, what the file or link `kept` is: 1 or 0. */
static int is_kept_as(const struct placing_folder *folder, const char *name, const char *kept,
		      struct error *err)
{
	struct stat ours, theirs, target;
	int rc = look_at(folder, name, &ours, err);

	if (rc > 0)
		rc = look_at(folder, kept, &theirs, err);
	if (rc <= 0)
		return rc;
	if (S_ISLNK(ours.st_mode) && S_ISLNK(theirs.st_mode))
		return same_target(folder, name, kept, err);
	if (!S_ISREG(theirs.st_mode))
		return 0;
	/* A second name of it, or a link that leads there. */
	if (fstatat(folder->fd, name, &target, 0) == 0 && target.st_dev == theirs.st_dev &&
	    target.st_ino == theirs.st_ino)
		return 1;
	return S_ISREG(ours.st_mode) && ours.st_size == theirs.st_size
		       ? same_bytes(folder, name, kept, err)
		       : 0;
}

/* ---- keep ---- */

/* Take the kept one out of the way of a newer one. */
static int retire(const struct placing_folder *folder, struct notes *notes, struct error *err)
{
	struct stat st;
	int rc = look_at(folder, OWN, &st, err);

	if (rc <= 0)
		return rc;
	for (int n = 1; n <= OWN_SCRIPT_OLDER_MAX; n++) {
		char older[OLDER_NAME_BYTES];

		snprintf(older, sizeof(older), OWN ".%d", n);
		rc = is_kept_as(folder, OWN, older, err);
		if (rc > 0) /* a copy of it is enough */
			rc = unlinkat(folder->fd, OWN, 0) < 0
				     ? placing_error(folder, "remove", OWN, err)
				     : 1;
		if (rc != 0)
			return rc < 0 ? rc : 0;
		rc = look_at(folder, older, &st, err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		if (renameat(folder->fd, OWN, folder->fd, older) < 0)
			return placing_error(folder, "rename", OWN, err);
		notes_add(notes, NOTE_NOTICE, "%s/" OWN ": an older script: kept as %s, not run",
			  folder->path, older);
		return 0;
	}
	return error_set(err, -EMLINK, "%s holds %d older scripts " OWN ".*: remove some",
			 folder->path, OWN_SCRIPT_OLDER_MAX);
}

int own_script_keep(const struct placing_folder *folder, struct notes *notes, struct error *err)
{
	struct stat st;
	int rc = look_at(folder, NAME, &st, err);

	if (rc < 0)
		return rc;
	if (rc > 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return error_set(err, -EINVAL,
				 "%s/" NAME " is not a file: the hook has to be put there",
				 folder->path);
	rc = is_kept_as(folder, NAME, OWN, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = retire(folder, notes, err);
	if (rc < 0)
		return rc;
	/* A second name first, so that it never has none where it is looked for. */
	if (linkat(folder->fd, NAME, folder->fd, OWN, 0) < 0 &&
	    renameat(folder->fd, NAME, folder->fd, OWN) < 0)
		return placing_error(folder, "rename", NAME, err);
	notes_add(notes, NOTE_NOTICE,
		  "%s/" NAME ": a script of yours: kept as " OWN ", which the hook runs",
		  folder->path);
	return 0;
}

/* ---- put back ---- */

int own_script_put_back(const struct placing_folder *folder, struct notes *notes, struct error *err)
{
	enum own_script_state state = OWN_SCRIPT_NONE;
	struct stat st;
	int rc = own_script_look(folder, &state, err);

	if (rc < 0 || state == OWN_SCRIPT_PRESENT)
		return rc < 0 ? rc : 0;
	rc = look_at(folder, OWN, &st, err);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		if (renameat(folder->fd, OWN, folder->fd, NAME) < 0)
			return placing_error(folder, "rename", OWN, err);
		notes_add(notes, NOTE_NOTICE, "%s/" NAME ": your own script again", folder->path);
		return 1;
	}
	if (state == OWN_SCRIPT_NONE)
		return 0;
	if (unlinkat(folder->fd, NAME, 0) < 0)
		return placing_error(folder, "remove", NAME, err);
	notes_add(notes, NOTE_NOTICE, "%s/" NAME ": the hook is removed", folder->path);
	return 1;
}
