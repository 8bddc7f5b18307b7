/* SPDX-License-Identifier: MIT */
/* overrides - docker-mailserver's override files. */
#include "overrides.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/override_record.h"
#include "rootfs.h"
#include "settings.h"
#include "textfile.h"
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

const char *const override_names[OVERRIDE_COUNT + 1] = {
	[OVERRIDE_MAIN_CF] = "postfix-main.cf",
	[OVERRIDE_MASTER_CF] = "postfix-master.cf",
	[OVERRIDE_DOVECOT_CF] = "dovecot.cf",
	[OVERRIDE_COUNT] = NULL,
};

void overrides_release(struct overrides *overrides)
{
	for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
		buf_release(&overrides->files[i].text);
		free(overrides->files[i].path);
	}
	*overrides = (struct overrides)OVERRIDES_INIT;
}

/*
 * Whether root alone decides what is in there: 1, 0 or a negative errno.  A volume may belong to
 * whoever its owner is; but where the folder is none, as in /tmp, anybody could have made it.
 */
static int is_trustworthy(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_UID | STATX_MODE, &st) < 0)
		return -errno;
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 1;
	return (st.stx_uid == 0 || st.stx_uid == geteuid()) && !(st.stx_mode & S_IWOTH);
}

/* 1 when the folder is there and may be read. */
static int check_folder(const struct rootfs *root, const char *dir, struct notes *notes,
			struct error *err)
{
	cleanup_fd int fd = rootfs_open(root, dir, O_RDONLY | O_DIRECTORY, 0, err);
	int rc;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fd;
	rc = is_trustworthy(fd);
	if (rc < 0)
		return error_code(err, rc, "stat %s", dir);
	if (rc > 0)
		return 1;
	notes_add(notes, NOTE_WARNING,
		  "overrides: %s is neither a volume nor root's own: anybody may have made it, it "
		  "is not read",
		  dir);
	return 0;
}

static int take_file(struct override_source *out, const char *dir, size_t which,
		     const struct volume_file *file, struct error *err)
{
	char *path;

	if (!file->exists)
		return 0;
	if (asprintf(&path, "%s/%s", dir, override_names[which]) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	free(out->path);
	out->path = path;
	out->exists = true;
	if (which == OVERRIDE_DOVECOT_CF)
		buf_clear(&out->text); /* a file as a whole: the last one */
	else if (out->text.len > 0 && out->text.data[out->text.len - 1] != '\n')
		buf_add_char(&out->text, '\n');
	buf_add(&out->text, buf_span(&file->text));
	return buf_check(&out->text, err);
}

static int read_folder(const struct rootfs *root, const char *dir, struct overrides *out,
		       struct notes *notes, struct error *err)
{
	struct volume_file files[OVERRIDE_COUNT] = { 0 };
	int rc = check_folder(root, dir, notes, err);

	if (rc <= 0)
		return rc;
	rc = volume_snapshot(root, dir, override_names, OVERRIDE_COUNT, files, err);
	for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
		if (rc == 0 && files[i].exists)
			volume_note_stale(root, dir, override_names[i], notes);
		if (rc == 0)
			rc = take_file(&out->files[i], dir, i, &files[i], err);
		volume_file_release(&files[i]);
	}
	return rc;
}

int overrides_read(const struct rootfs *root, const struct settings *settings,
		   struct overrides *out, struct notes *notes, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < settings->n_overrides && rc == 0; i++)
		rc = read_folder(root, settings->overrides[i], out, notes, err);
	return rc;
}

void overrides_digest(const struct overrides *overrides, struct digest_maker *maker)
{
	for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
		digest_add_number(maker, overrides->files[i].exists);
		digest_add(maker, buf_span(&overrides->files[i].text));
	}
}

/* ---- the record ---- */

int override_record_texts_read(const struct rootfs *root, const char *path,
			       struct override_record_texts *texts, struct error *err)
{
	int rc = textfile_read(root, path, &texts->now, err);

	texts->exists = rc == 0;
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

int override_record_texts_parse(const struct override_record_texts *texts, const char *path,
				struct override_record *out, struct error *err)
{
	return error_in_file(err, override_record_parse(buf_span(&texts->now), out, err), path);
}

int override_record_texts_plan(struct override_record_texts *texts, struct override_record *after,
			       bool stands, struct error *err)
{
	int rc;

	if (stands)
		override_record_settle(after);
	rc = override_record_print(after, &texts->wanted, err);
	override_record_settle(after);
	return rc < 0 ? rc : override_record_print(after, &texts->settled, err);
}

void override_record_texts_release(struct override_record_texts *texts)
{
	buf_release(&texts->now);
	buf_release(&texts->wanted);
	buf_release(&texts->settled);
}
