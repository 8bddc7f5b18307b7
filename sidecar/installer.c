/* SPDX-License-Identifier: MIT */
/* installer - the program and the hook in a shared folder. */
#include "installer.h"

#include "own_script.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/user_hook.h"
#include "placing.h"
#include "textfile.h"

#include <fcntl.h>

static int prepare_program(const struct installer_job *job, const struct placing_folder *folder,
			   struct placing *out, struct error *err)
{
	cleanup_buf struct buf bytes = BUF_INIT;
	cleanup_fd int fd = openat(AT_FDCWD, job->program, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return error_errno(err, "read this program: open %s", job->program);
	rc = textfile_read_fd(fd, &bytes, job->program, err);
	if (rc < 0)
		return error_wrap(err, rc, "read this program");
	return placing_prepare(folder, USER_HOOK_PROGRAM_NAME, buf_span(&bytes), out, err);
}

static int prepare_hook(const struct installer_job *job, const struct placing_folder *folder,
			struct placing *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = user_hook_render(job->hook, &text, err);

	return rc < 0 ? rc : placing_prepare(folder, USER_HOOK_NAME, buf_span(&text), out, err);
}

static int commit(struct placing *p, struct notes *notes, struct error *err)
{
	int rc = placing_commit(p, err);

	if (rc > 0)
		notes_add(notes, NOTE_NOTICE, "%s/%s: written", p->folder->path, p->name);
	return rc;
}

/* 1 when something was written. */
static int put_hook(const struct installer_job *job, const struct placing_folder *folder,
		    struct placing *program, struct notes *notes, struct error *err)
{
	CLEANUP(placing_release) struct placing hook = PLACING_INIT;
	enum own_script_state state = OWN_SCRIPT_NONE;
	int rc = own_script_look(folder, &state, err), written;

	if (rc == 0)
		rc = prepare_hook(job, folder, &hook, err);
	if (rc >= 0 && state == OWN_SCRIPT_PRESENT)
		rc = own_script_keep(folder, notes, err);
	if (rc < 0)
		return rc;
	/* The program first: a hook without one cannot do anything. */
	written = commit(program, notes, err);
	if (written < 0)
		return written;
	rc = commit(&hook, notes, err);
	return rc < 0 ? rc : written || rc;
}

static int put_program(const struct placing_folder *folder, struct placing *program,
		       struct notes *notes, struct error *err)
{
	int written = commit(program, notes, err), rc;

	if (written < 0)
		return written;
	rc = own_script_put_back(folder, notes, err);
	return rc < 0 ? rc : written || rc;
}

int installer_run(const struct installer_job *job, struct notes *notes, struct error *err)
{
	CLEANUP(placing_folder_release) struct placing_folder folder = PLACING_FOLDER_INIT;
	CLEANUP(placing_release) struct placing program = PLACING_INIT;
	int rc = placing_folder_open(job->root, job->folder, &folder, err);

	if (rc == 0)
		rc = prepare_program(job, &folder, &program, err);
	if (rc < 0)
		return rc;
	rc = job->hook ? put_hook(job, &folder, &program, notes, err)
		       : put_program(&folder, &program, notes, err);
	if (rc > 0)
		placing_folder_sync(&folder);
	return rc;
}
